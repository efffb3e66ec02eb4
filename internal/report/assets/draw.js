"use strict";
// Plots are drawn when they come near the window, and again when their width changes.
const data = JSON.parse(document.getElementById("data").textContent);
const drawings = {}; // by data-plot: (index, width) => element

const look = { fontFamily: "inherit", fontSize: "12px", background: "none", color: "var(--soft)" };

function draw(host) {
  const width = Math.floor(host.clientWidth);
  if (width === 0 || Number(host.dataset.width) === width) return;
  host.dataset.width = width;
  const drawing = drawings[host.dataset.plot](Number(host.dataset.index), width);
  // An image has one name; Plot's labels of its parts would be names of nothing.
  drawing.querySelectorAll("[aria-label]").forEach((part) => part.removeAttribute("aria-label"));
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", host.dataset.alt);
  host.replaceChildren(drawing);
}

// panels sets plots side by side where each has at least the given width, else one below the other. The first of a row
// gets lead pixels more, for labels that the others share. Makers are told whether they are first in a row, and alone.
function panels(width, least, lead, makers) {
  const box = document.createElement("div");
  box.className = "panels";
  const columns = Math.max(1, Math.min(makers.length, Math.floor((width - lead) / least)));
  const each = Math.floor((width - lead) / columns);
  makers.forEach((make, i) => box.append(make(each + (i % columns === 0 ? lead : 0), i % columns === 0, columns === 1)));
  return box;
}

// unpack turns a byte per point into values; 0 is missing.
function unpack(text, low, high) {
  const bytes = atob(text);
  return Array.from(bytes, (c) => (c === "\0" ? NaN : low + ((c.charCodeAt(0) - 1) / 254) * (high - low)));
}

function minutes(row) {
  return (row * data.step) / 60;
}

function startDrawing() {
  const hosts = document.querySelectorAll(".plot");
  const near = new IntersectionObserver((entries) => {
    for (const e of entries) {
      if (!e.isIntersecting) continue;
      near.unobserve(e.target);
      draw(e.target);
      resized.observe(e.target);
    }
  }, { rootMargin: "600px 0px" });
  const resized = new ResizeObserver((entries) => requestAnimationFrame(() => entries.forEach((e) => draw(e.target))));
  hosts.forEach((host) => near.observe(host));
  addEventListener("beforeprint", () => hosts.forEach(draw));
}
