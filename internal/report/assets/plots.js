"use strict";
const ink = "var(--ink)", soft = "var(--soft)", rule = "var(--rule)", blue = "var(--blue)", orange = "var(--orange)", paper = "var(--paper)";
const halo = { stroke: paper, strokeWidth: 4, paintOrder: "stroke" };

// A chosen series over all runs, with its threshold and the violations.
drawings.series = (index, width) => {
  const s = data.chosen[index];
  const points = s.at.map((row, i) => ({ x: minutes(row), y: s.values[i] ?? NaN }));
  const gap = data.chosen.some((c) => c.threshold !== null) ? 62 : 12; // one for all, so that times stand below each other
  const wide = (r) => ((r.to - r.from) / data.rows) * (width - 48 - gap);
  return Plot.plot({
    width, height: 178, marginLeft: 48, marginRight: gap, marginTop: 26, marginBottom: 38, style: look,
    x: { domain: [0, minutes(data.rows)], label: "minutes", ticks: width / 90, tickSize: 3 },
    y: { label: s.unit || null, grid: true, ticks: 4, nice: true, tickFormat: short },
    marks: [
      Plot.rect(data.violations, { x1: (v) => minutes(v[0]), x2: (v) => minutes(v[1]), fill: "var(--shade)" }),
      Plot.ruleX(data.runs.filter((r) => r.from > 0), { x: (r) => minutes(r.from), stroke: soft, strokeOpacity: 0.5 }),
      Plot.text(data.runs.length > 1 ? data.runs : [], {
        x: (r) => minutes(r.from), text: (r, i) => runLabel(r, i, wide(r)), frameAnchor: "top", textAnchor: "start", dx: 4, dy: -12, fontSize: 10.5,
      }),
      Plot.lineY(points, { x: "x", y: "y", stroke: blue, strokeWidth: 1.3 }),
      s.threshold === null ? null : Plot.ruleY([s.threshold], { stroke: ink, strokeDasharray: "5 4" }),
      s.threshold === null ? null : Plot.text([s.threshold], { y: (v) => v, frameAnchor: "right", textAnchor: "start", dx: 5, text: () => s.label, fill: ink, fontSize: 11 }),
      Plot.tip(points, Plot.pointerX({ x: "x", y: "y", title: (d) => `${short(d.y)} ${s.unit}\nat ${d.x.toFixed(1)} min`, fontSize: 12 })),
    ],
  });
};

// runLabel is the longest name of a run that there is room for.
function runLabel(run, index, pixels) {
  const held = run.held ? " *" : "";
  const room = Math.floor((pixels - 6) / 5.6) - held.length;
  const names = [run.name + (run.workload && run.workload !== run.name ? " · " + run.workload : ""), run.name];
  if (room > 4) names.push(run.name.slice(0, room - 1) + "…");
  names.push(String(index + 1));
  const name = names.find((n) => n.length <= room);
  return name ? name + held : "";
}

// fit cuts a text to about the given width in pixels.
function fit(text, pixels) {
  const most = Math.max(3, Math.floor(pixels / 6.2) - 1);
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

function short(v) {
  return Math.abs(v) >= 1e5 ? d3.format("~s")(v) : d3.format(",.4~r")(v);
}

// Algorithms: one row each, one panel a measure.
drawings.compare = (_, width) => {
  const rows = data.compare;
  const names = rows.map((r) => r.algorithm);
  const costs = rows.map((r) => r.cost).filter((c) => c > 0);
  const spread = costs.length > 0 && d3.max(costs) > 40 * d3.min(costs);
  const panel = (title, x, marks) => (w, first, alone) => Plot.plot({
    width: w, height: 58 + 24 * rows.length, marginLeft: first ? 98 : 14, marginRight: 18, marginTop: 34, marginBottom: 24, style: look,
    x: { ticks: Math.max(2, (w - 110) / 45), tickSize: 3, ...x, label: null },
    y: { type: "band", domain: names, axis: null, padding: 0.2 },
    marks: [
      Plot.barX(rows.filter((r) => r.chosen), { y: "algorithm", x1: x.domain[0], x2: x.domain[1], fill: "var(--mark)", insetTop: -2, insetBottom: -2 }),
      Plot.ruleY(names, { y: (d) => d, stroke: rule }),
      ...marks,
      first ? Plot.text(rows.filter((r) => !r.chosen), { y: "algorithm", text: "algorithm", frameAnchor: "left", textAnchor: "end", dx: -8, fill: ink }) : null,
      first ? Plot.text(rows.filter((r) => r.chosen), { y: "algorithm", text: "algorithm", frameAnchor: "left", textAnchor: "end", dx: -8, fill: blue, fontWeight: 700 }) : null,
      ...title.map(([text, fill, dx]) => Plot.text([text], { frameAnchor: "top-left", dx: dx - (alone ? 98 : 0), dy: -32, text: (d) => d, fill, fontWeight: 600, fontSize: 14, textAnchor: "start" })),
    ],
  });
  const heading = (text, fill = ink, dx = 0) => [text, fill, dx];
  const dots = (key, options) => Plot.dot(rows.filter((r) => r[key] !== null), { y: "algorithm", x: key, r: 4.5, fill: blue, tip: { format: { y: false }, fontSize: 12 }, channels: { algorithm: "algorithm" }, ...options });
  const upTo = (key) => [0, (d3.max(rows, (r) => r[key]) || 1) * 1.06];
  const both = [
    Plot.link(rows.filter((r) => r.recall !== null), { y: "algorithm", x1: "recall", x2: "precision", stroke: soft }),
    dots("precision", { symbol: "diamond", r: 5, fill: orange }),
    dots("recall", { fill: blue }),
  ];
  const cost = spread ? { type: "log", domain: [d3.min(costs) / 1.3, d3.max(costs) * 1.3], ticks: 4, tickFormat: (d) => (/^[125]/.test(d3.format("e")(d)) ? d3.format("~g")(d) : "") } : { domain: upTo("cost") };
  return panels(width, 210, 84, [
    panel([heading("● Recall", blue), heading("◆ Precision", orange, 80)], { domain: [-0.02, 1.02], tickFormat: "%", ticks: [0, 0.5, 1] }, both),
    panel([heading("Median lead time, s")], { domain: upTo("lead") }, [dots("lead")]),
    panel([heading("False alarms per hour")], { domain: upTo("false") }, [dots("false")]),
    panel([heading(fit(data.costUnit ? "Cost, " + data.costUnit : "Cost", 190) + (spread ? " (log)" : ""))], cost, [dots("cost", { filter: spread ? (r) => r.cost > 0 : null })]),
  ]);
};

// The best prediction that each cost buys.
drawings.front = (_, width) => {
  const all = data.fronts.flatMap((f) => f.points);
  const domain = [0, d3.max(all, (p) => p.cost) * 1.08 || 1];
  const low = Math.min(data.chance, d3.min(all, (p) => p.low));
  const one = (f) => (w) => Plot.plot({
    width: w, height: 320, marginLeft: 46, marginRight: 20, marginTop: 56, marginBottom: 40, style: look,
    x: { domain, label: data.costUnit ? "cost, " + data.costUnit : "cost", ticks: w / 80, labelAnchor: "center", labelArrow: "none" },
    y: { domain: [Math.max(0, Math.floor(low * 10) / 10), 1], label: null, grid: true, ticks: 5 },
    marks: [
      Plot.ruleY([data.chance], { stroke: soft, strokeDasharray: "2 3" }),
      Plot.text([data.chance], { y: (d) => d, frameAnchor: "right", textAnchor: "end", dy: -7, text: () => "chance", fontSize: 11 }),
      Plot.line(f.points, { x: "cost", y: "ap", curve: "step-after", stroke: blue, strokeOpacity: 0.5 }),
      Plot.ruleX(f.points, { x: "cost", y1: "low", y2: "high", stroke: soft }),
      Plot.dot(f.points, { x: "cost", y: "ap", r: 4, fill: paper, stroke: blue, strokeWidth: 1.6, title: (p) => `${p.series.join("\n")}\naverage precision ${p.ap}, cost ${p.cost}`, tip: { fontSize: 12 } }),
      Plot.dot(f.points.filter((p) => p.chosen), { x: "cost", y: "ap", r: 6.5, fill: orange, stroke: paper, strokeWidth: 1.5 }),
      ...["start", "end"].map((textAnchor) => Plot.text(f.points.filter((p) => p.chosen && (p.cost > domain[1] / 4) === (textAnchor === "end")), { x: "cost", y: "high", dx: textAnchor === "end" ? 8 : -8, dy: -10, textAnchor, text: (p) => `taken: ${p.series.length} series`, fill: ink, fontWeight: 600, ...halo })),
      Plot.text([f.algorithm], { frameAnchor: "top-left", dx: -46, dy: -52, text: (d) => d, fill: ink, fontWeight: 600, fontSize: 14, textAnchor: "start" }),
      Plot.text(["average precision"], { frameAnchor: "top-left", dx: -46, dy: -32, text: (d) => d, textAnchor: "start" }),
    ],
  });
  return panels(width, 420, 0, data.fronts.map(one));
};

// Silhouette against k of one container, with the others behind it.
drawings.silhouette = (index, width) => {
  const own = data.silhouettes[index];
  const others = data.silhouettes.filter((_, i) => i !== index).slice(0, 100);
  const value = (s) => s.choices.map(([k, v]) => ({ k, v, container: s.container }));
  const taken = own.choices.filter(([k]) => k === own.k);
  const low = Math.min(0, d3.min(data.silhouettes, (s) => d3.min(s.choices, (c) => c[1])));
  const high = d3.max(data.silhouettes, (s) => d3.max(s.choices, (c) => c[1]));
  return Plot.plot({
    width, height: 110, marginLeft: 30, marginRight: 10, marginTop: 14, marginBottom: 22, style: { ...look, fontSize: "11px" },
    x: { domain: d3.extent(data.silhouettes.flatMap((s) => s.choices.map((c) => c[0]))), ticks: d3.union(data.silhouettes.flatMap((s) => s.choices.map((c) => c[0]))), tickFormat: "d", label: null, tickSize: 3 },
    y: { domain: [low, Math.max(high, 0.1)], ticks: 2, label: null, grid: true, nice: true },
    marks: [
      Plot.line(others.flatMap(value), { x: "k", y: "v", z: "container", stroke: rule }),
      Plot.line(value(own), { x: "k", y: "v", stroke: blue, strokeWidth: 1.6 }),
      Plot.dot(taken, { x: (c) => c[0], y: (c) => c[1], r: 4.5, fill: blue }),
      Plot.text(taken, { x: (c) => c[0], y: (c) => c[1], dy: -11, text: (c) => c[1].toFixed(2), fill: ink, fontWeight: 600, ...halo }),
    ],
  });
};

// The curves of a cluster over each other.
drawings.shape = (index, width) => {
  const s = data.shapes[index];
  const scale = s.minutes / Math.max(1, s.points - 1);
  const points = (text, z) => unpack(text, s.low, s.high).map((y, i) => ({ x: i * scale, y, z }));
  const members = s.members.flatMap((text, i) => points(text, i));
  const opacity = Math.max(0.22, 0.75 / Math.sqrt(s.members.length || 1));
  return Plot.plot({
    width, height: 150, marginLeft: 30, marginRight: 14, marginTop: 6, marginBottom: 22, style: { ...look, fontSize: "11px" },
    x: { domain: [0, s.minutes], ticks: 4, label: null, tickSize: 3, tickFormat: (d) => (d === 0 ? "0" : `${short(d)} min`) },
    y: { domain: [s.low, s.high], ticks: 3, label: null, grid: true, tickFormat: (d) => (d === 0 ? "0" : `${short(d).replace("-", "−")} σ`) },
    marks: [
      Plot.ruleX(data.learnt.slice(1), { stroke: rule }),
      Plot.lineY(members, { x: "x", y: "y", z: "z", stroke: "var(--member)", strokeWidth: 1, strokeOpacity: opacity }),
      Plot.lineY(points(s.representative, 0), { x: "x", y: "y", stroke: blue, strokeWidth: 1.4 }),
    ],
  });
};

// Services by who calls whom, and who drives whom; from left to right where there is room, else from top to bottom.
drawings.graph = (_, width) => {
  const g = data.graph;
  const across = width > 110 * g.depth;
  const along = (n) => n.layer, aside = (n) => n.place;
  const [x, y] = across ? [along, aside] : [aside, along];
  const room = across ? 78 * g.width : 92 * g.depth;
  const at = (i) => g.nodes[i];
  const ends = { x1: (e) => x(at(e.from)), y1: (e) => y(at(e.from)), x2: (e) => x(at(e.to)), y2: (e) => y(at(e.to)) };
  const call = { x1: (c) => x(at(c[0])), y1: (c) => y(at(c[0])), x2: (c) => x(at(c[1])), y2: (c) => y(at(c[1])) };
  const side = Math.max(0.6, g.width / 2);
  const layers = [-0.25, Math.max(1, g.depth - 1) + 0.25], places = [-side, side];
  return Plot.plot({
    width: Math.min(width, across ? 230 * g.depth : width), height: Math.max(190, room), margin: 24, style: { ...look, fontSize: "13px" },
    x: { domain: across ? layers : places, axis: null },
    y: { domain: across ? places : layers, axis: null, reverse: true },
    marks: [
      Plot.link(g.calls, { ...call, stroke: rule, strokeWidth: 7, strokeLinecap: "round" }),
      Plot.arrow(g.edges, { ...ends, bend: true, insetStart: 16, insetEnd: 16, headLength: 9, stroke: orange, strokeWidth: (e) => 1.2 + Math.sqrt(e.count), title: "text", tip: { fontSize: 12 } }),
      Plot.dot(g.nodes, { x, y, r: 7, fill: paper, stroke: ink, strokeWidth: 1.8 }),
      Plot.text(g.nodes, { x, y, text: "name", dy: 20, fill: ink, fontWeight: 600, ...halo }),
    ],
  });
};
