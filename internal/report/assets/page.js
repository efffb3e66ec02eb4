"use strict";
// What the page does besides drawing: theme, place in the page, search, arrow keys.
function startTheme() {
  const root = document.documentElement, button = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Use ${dark() ? "light" : "dark"} colours`); };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
}

function startPlace() {
  const links = new Map([...document.querySelectorAll(".bar li a")].map((a) => [a.hash.slice(1), a]));
  const sections = [...links.keys()].map((id) => document.getElementById(id));
  let current;
  const update = () => {
    const bottom = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const here = bottom ? sections.at(-1) : sections.findLast((s) => s.getBoundingClientRect().top < innerHeight / 3) ?? sections[0];
    if (here === current) return;
    current = here;
    links.forEach((a, id) => (id === here.id ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current")));
    const link = links.get(here.id), strip = link.closest("nav");
    strip.scrollTo({ left: link.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + link.clientWidth / 2 });
  };
  addEventListener("scroll", update, { passive: true });
  update();
}

// Search hides clusters without a hit and opens none; the members that match are marked.
function startSearch() {
  const box = document.getElementById("find");
  if (!box) return;
  box.hidden = false;
  const input = document.getElementById("query"), found = document.getElementById("found");
  const clusters = [...document.querySelectorAll(".cluster")].map((element) => {
    const rows = [...element.querySelectorAll("tbody th")];
    return { element, rows, names: rows.map((r) => r.textContent), lower: rows.map((r) => r.textContent.toLowerCase()), container: element.closest(".container") };
  });
  const show = (row, name, at, length) => {
    if (at < 0) return row.replaceChildren(name);
    const mark = document.createElement("mark");
    mark.textContent = name.slice(at, at + length);
    row.replaceChildren(name.slice(0, at), mark, name.slice(at + length));
  };
  const total = d3.sum(clusters, (c) => c.rows.length);
  const search = () => {
    const query = input.value.trim().toLowerCase();
    let series = 0, shown = 0;
    const containers = new Set();
    for (const c of clusters) {
      let hits = 0;
      c.rows.forEach((row, i) => {
        const at = query ? c.lower[i].indexOf(query) : -1;
        if (at >= 0) hits++;
        if (at >= 0 || row.querySelector("mark")) show(row, c.names[i], at, query.length);
      });
      const visible = !query || hits > 0;
      c.element.hidden = !visible;
      if (!visible) continue;
      shown++;
      series += hits;
      containers.add(c.container);
    }
    document.querySelectorAll(".container").forEach((s) => (s.hidden = !containers.has(s)));
    found.value = query ? `${series} of ${total} series, in ${shown} of ${clusters.length} clusters` : "";
    rove();
  };
  input.addEventListener("input", search);
}

// Of the clusters one is in the tab order; arrow keys, Home and End move along those that are shown.
function rove(to) {
  const all = [...document.querySelectorAll(".cluster > details > summary")];
  const shown = all.filter((s) => s.offsetParent !== null);
  const stop = shown.includes(to) ? to : shown[0];
  all.forEach((s) => (s.tabIndex = s === stop ? 0 : -1));
  if (to) stop?.focus();
}

function startKeys() {
  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  document.addEventListener("keydown", (event) => {
    const step = keys[event.key];
    if (step === undefined || !event.target.matches?.(".cluster > details > summary")) return;
    event.preventDefault();
    const shown = [...document.querySelectorAll(".cluster > details > summary")].filter((s) => s.offsetParent !== null);
    rove(shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(event.target) + step))]);
  });
  document.querySelectorAll(".keys").forEach((p) => (p.hidden = false));
  rove();
}

// What is folded away on the screen is printed.
function startPrint() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("#compare details:not([open]), #front details:not([open]), #causes details:not([open])")];
    opened.forEach((d) => (d.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((d) => (d.open = false)));
}

startTheme();
startDrawing();
startPlace();
startSearch();
startKeys();
startPrint();
