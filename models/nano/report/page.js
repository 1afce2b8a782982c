// The report's script: moves the thresholds of everything, plays the clip, moves the playheads, opens and closes branches of the layer table.
"use strict";

const film = JSON.parse(document.getElementById("film").textContent);
const clip = document.getElementById("clip");
const screen = clip.querySelector("canvas").getContext("2d");
const play = document.getElementById("play");
const seek = document.getElementById("seek");
const now = document.getElementById("now");
const groups = [...clip.querySelectorAll(".screen svg > g")];
const cards = [...clip.querySelectorAll("article")];
const last = film.frames.length;
const pictures = [clip.querySelector(".screen img").src, ...film.frames].map((src) => {
  const picture = new Image();
  picture.src = src;
  return picture;
});

async function show(frame) {
  seek.value = frame;
  now.textContent = `${frame} / ${last}`;
  clip.style.setProperty("--at", (frame + 0.5) / (last + 1));
  film.objects.forEach(({ found, truth, j, score, present }, k) => {
    groups[k].querySelector(".mask").setAttribute("d", found[frame]);
    groups[k].querySelector(".truth").setAttribute("d", truth[frame]);
    groups[k].querySelector(".point").toggleAttribute("hidden", frame > 0);
    const said = score[frame] > 0 ? "the model sees it" : "gone, says the model";
    const truly = present[frame] ? `J ${j[frame].toFixed(3)}` : "not in sight";
    const sign = `${score[frame] > 0 ? "+" : "−"}${Math.abs(score[frame]).toFixed(1)}`;
    cards[k].querySelector(".readout").textContent = `${truly}; score ${sign}: ${said}`;
  });
  await pictures[frame].decode();
  if (Number(seek.value) === frame) screen.drawImage(pictures[frame], 0, 0);
}

let timer;
function playing(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => show((Number(seek.value) + 1) % (last + 1)), film.msPerFrame) : undefined;
  play.textContent = on ? "pause" : "play";
}

play.addEventListener("click", () => playing(timer === undefined));
seek.addEventListener("input", () => {
  playing(false);
  show(Number(seek.value));
});
for (const plot of clip.querySelectorAll(".canvas")) {
  plot.addEventListener("pointerdown", ({ clientX }) => {
    const { left, width } = plot.getBoundingClientRect();
    playing(false);
    show(Math.min(last, Math.max(0, Math.floor(((clientX - left) / width) * (last + 1)))));
  });
}
for (const [box, name] of [
  ["clip-masks", "no-masks"],
  ["clip-truth", "no-truth"],
]) {
  const input = document.getElementById(box);
  input.addEventListener("change", () => clip.classList.toggle(name, !input.checked));
}
const truth = document.getElementById("show-truth");
truth.addEventListener("change", () => document.querySelector(".gallery").classList.toggle("no-truth", !truth.checked));

show(0);
playing(!matchMedia("(prefers-reduced-motion: reduce)").matches);

// Everything: of all masks those that the thresholds let through, and the best of them for each drawn object.
const everything = document.getElementById("everything");
const found = JSON.parse(document.getElementById("found").textContent);
const sliders = [...everything.querySelectorAll("input[type=range]")];
const masks = [...everything.querySelectorAll(".masks path")];
const best = [...everything.querySelectorAll(".best data")];

function choose() {
  const at = sliders.map(({ value }) => Number(value));
  [found.predIouThreshs, found.stabilityThreshs].forEach((values, k) => {
    const text = values[at[k]].toFixed(2);
    sliders[k].nextElementSibling.textContent = text;
    sliders[k].setAttribute("aria-valuetext", text);
  });
  const selected = found.selected[at[0]][at[1]];
  masks.forEach((mask, k) => mask.toggleAttribute("hidden", !selected.includes(k)));
  const ious = best.map((cell, object) => {
    const iou = Math.max(0, ...selected.map((k) => found.ious[k][object]));
    cell.value = iou;
    cell.textContent = iou.toFixed(3);
    return iou;
  });
  const hits = ious.filter((iou) => iou >= 0.5).length;
  const mean = ious.reduce((sum, iou) => sum + iou, 0) / ious.length;
  everything.querySelector(".readout").textContent =
    `${selected.length} masks; ${hits} of ${best.length} objects found (IoU 0.5), mean IoU ${mean.toFixed(3)}`;
}

for (const slider of sliders) slider.addEventListener("input", choose);
const everyTruth = document.getElementById("everything-truth");
everyTruth.addEventListener("change", () => everything.classList.toggle("no-truth", !everyTruth.checked));
choose();

// Layers: a row shows if all branches above it are open.
const rows = [...document.querySelectorAll("#layer-table tbody tr")].map((row) => ({
  row,
  level: Number(row.dataset.level),
  toggle: row.querySelector("button"),
}));

function isOpen({ toggle }) {
  return toggle?.getAttribute("aria-expanded") === "true";
}

function layout() {
  let shown = 0; // the deepest level that the branches above let through
  for (const entry of rows) {
    entry.row.hidden = entry.level > shown;
    if (!entry.row.hidden) shown = isOpen(entry) ? entry.level + 1 : entry.level;
  }
}

function open(depth) {
  for (const { toggle, level } of rows) toggle?.setAttribute("aria-expanded", level < depth);
  layout();
}

for (const { toggle } of rows) {
  toggle?.addEventListener("click", () => {
    toggle.setAttribute("aria-expanded", toggle.getAttribute("aria-expanded") === "false");
    layout();
  });
}
document.getElementById("open-all").addEventListener("click", () => open(Number.POSITIVE_INFINITY));
document.getElementById("close-all").addEventListener("click", () => open(0));
open(2);
