/** Masks, prompts and plots as SVG. What has a colour has a class; page.css gives it one. */
import { maskToPolygons } from "../../../src/io/polygons.ts";
import type { Prompt } from "../../../src/index.ts";
import type { Tracked } from "../figures.ts";

/** A mask's outline as path data, exact to the pixel; empty for an empty mask. */
export function outline(mask: Uint8Array, size: number): string {
  return maskToPolygons(mask, size, size)
    .map(([x, y, ...rest]) => {
      let path = `M${x} ${y}`;
      for (let i = 0, [px, py] = [x, y]; i < rest.length; i += 2) {
        path += rest[i + 1] === py ? `h${rest[i] - px}` : `v${rest[i + 1] - py}`;
        [px, py] = [rest[i], rest[i + 1]];
      }
      return `${path}z`;
    })
    .join("");
}

/** What a prompt says: discs with a plus or a minus, a box. */
export function promptMarks({ points = [], labels = [], box }: Prompt): string {
  const marks = points.map(([x, y], i) => {
    const sign = labels[i] === 0 ? "M-6 0h12" : "M-6 0h12M0-6v12";
    const kind = labels[i] === 0 ? "negative" : "positive";
    return `<g class="point ${kind}" transform="translate(${x} ${y})"><circle r="12"/><path d="${sign}"/></g>`;
  });
  if (!box) return marks.join("");
  const [x0, y0, x1, y1] = box;
  const rect = `x="${x0}" y="${y0}" width="${x1 - x0}" height="${y1 - y0}"`;
  return `<rect class="box-casing" ${rect}/><rect class="box" ${rect}/>${marks.join("")}`;
}

/** Runs of frames in which an object is not to be seen: [first, last]. */
export function absences({ present }: Tracked): [first: number, last: number][] {
  const runs: [number, number][] = [];
  for (const [t, shows] of present.entries()) {
    if (shows) continue;
    const run = runs.at(-1);
    if (run && run[1] === t - 1) run[1] = t;
    else runs.push([t, t]);
  }
  return runs;
}

/** A frame's width in a plot; plots are stretched, so units are no pixels. */
const STEP = 10;
const HEIGHT = 100;
/** A bar is at least so high, so that it shows. */
const LEAST = 4;

/** J over the frames in which the object shows. */
export function plotJ(track: Tracked): string {
  const { j, present } = track;
  const place = (t: number) => `${(t + 0.5) * STEP} ${round((1 - j[t]) * HEIGHT)}`;
  let line = "";
  let area = "";
  for (let t = 0; t < j.length; t++) {
    if (!present[t]) continue;
    const starts = t === 0 || !present[t - 1];
    const ends = t === j.length - 1 || !present[t + 1];
    line += `${starts ? "M" : "L"}${place(t)}`;
    area += `${starts ? `M${(t + 0.5) * STEP} ${HEIGHT}L` : "L"}${place(t)}${ends ? `V${HEIGHT}z` : ""}`;
  }
  const grid = `<path class="grid" d="M0 50H${j.length * STEP}"/>`;
  return plot(track, `${grid}<path class="area" d="${area}"/><path class="line" d="${line}"/>`, describeJ(track));
}

/** The object score: bars up where the model says that the object shows, of another colour where it is wrong. */
export function plotScore(track: Tracked): string {
  const { score, present } = track;
  const { top, bottom } = scoreRange(track);
  const unit = HEIGHT / (top + bottom);
  const bars = score.map((x, t) => {
    const height = Math.max(LEAST, Math.abs(x) * unit);
    const y = x > 0 ? top * unit - height : top * unit;
    const kind = x > 0 === present[t] ? "right" : "wrong";
    return `<rect class="${kind}" x="${t * STEP + 1.5}" y="${round(y)}" width="${STEP - 3}" height="${round(height)}"/>`;
  });
  const zero = `<path class="grid" d="M0 ${round(top * unit)}H${score.length * STEP}"/>`;
  const share = (100 * track.summary.sign).toFixed(0);
  return plot(
    track,
    `${zero}${bars.join("")}`,
    `Object score of object ${track.code}: its sign is right on ${share} % of the frames.`,
  );
}

/** Whole numbers that hold all scores: from −bottom to top. */
export function scoreRange({ score }: Tracked): { top: number; bottom: number } {
  return { top: Math.ceil(Math.max(1, ...score)), bottom: Math.ceil(-Math.min(-1, ...score)) };
}

function plot(track: Tracked, content: string, text: string): string {
  const width = track.j.length * STEP;
  const gone = absences(track).map(
    ([first, last]) =>
      `<rect class="gone" x="${first * STEP}" y="0" width="${(last - first + 1) * STEP}" height="${HEIGHT}"/>`,
  );
  return `<svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${text}">${gone.join("")}${content}</svg>`;
}

function describeJ(track: Tracked): string {
  const gone = absences(track).map(([first, last]) => `${first} to ${last}`);
  const absent = gone.length === 0 ? "It is always in sight." : `Not in sight: frames ${gone.join(", ")}.`;
  return `J of object ${track.code} over ${track.j.length} frames, ${track.summary.j.toFixed(3)} on average. ${absent}`;
}

function round(x: number): number {
  return Math.round(x * 100) / 100;
}
