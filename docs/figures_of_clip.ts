/** The figures of docs/memory.md: one clip and one object. */
import { heatColours, signedColours } from "../src/io/feature_colours.ts";
import type { clipActivations, Kept } from "./activations.ts";
import { colours, MARGIN, shapeText, WIDTH } from "./figure_parts.ts";
import { ACCENT, Figure, INK, PALE, percent, type Pixels, posterised } from "./svg.ts";

type Clip = Awaited<ReturnType<typeof clipActivations>>;

/** A frame at a quarter of its size, and what was found on it. */
function thumbnail(figure: Figure, { frames, results }: Clip, t: number, x: number, y: number, side: number): void {
  figure.image(x, y, side, quarterSize(frames[t]), "smooth");
  figure.found(x, y, side, results[t].mask);
}

function quarterSize({ width, data }: Pixels): Pixels {
  const size = width / 4;
  const small = new Uint8Array(size * size * 3);
  for (let i = 0; i < small.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    let sum = 0;
    for (let dy = 0; dy < 4; dy++)
      for (let dx = 0; dx < 4; dx++) sum += data[3 * ((4 * y + dy) * width + 4 * x + dx) + c];
    small[i] = sum / 16;
  }
  return posterised({ width: size, height: size, data: small }, 4);
}

export function clipStrip(clip: Clip): Figure {
  const { frames, results, maps, last, click } = clip;
  const [columns, size] = [8, 78];
  const lines = Math.ceil(frames.length / columns);
  const figure = new Figure(WIDTH, 2 * MARGIN + lines * (size + 58) - 10);
  for (let t = 0; t < frames.length; t++) {
    const x = MARGIN + (t % columns) * (size + 6.5);
    const y = MARGIN + 14 + Math.floor(t / columns) * (size + 58);
    const seen = maps.find(({ frame }) => frame === t);
    figure.text(x, y - 6, `frame ${t}`, { size: 12, bold: true });
    thumbnail(figure, clip, t, x, y, size);
    if (t === 0) figure.click(x + (click[0] / frames[0].width) * size, y + (click[1] / frames[0].width) * size);
    if (seen || t === last) {
      figure.rect(x, y, size, size, `fill="none" stroke="${t === last ? INK : ACCENT}" stroke-width="3"`);
    }
    figure.text(x, y + size + 14, `IoU ${results[t].iou.toFixed(2)}`, { size: 12 });
    const place = seen && `tPos ${seen.tPos}${t === 0 ? ", clicked" : ""}`;
    if (place) figure.text(x, y + size + 28, place, { size: 11.5, fill: ACCENT });
    if (t === last) figure.text(x, y + size + 28, "remembers", { size: 12 });
  }
  return figure;
}

export function memoryEncoder(clip: Clip): Figure {
  const { encoder, last } = clip;
  const [mask, down, features, memory] = [
    "mask",
    "memory_encoder.mask_downsampler",
    "memory_encoder.pix_feat_proj",
    "memory_encoder",
  ].map((name) => encoder.get(name)!);
  const size = 104;
  const figure = new Figure(WIDTH, 2 * MARGIN + size + 64);
  const top = MARGIN + 36;
  const cells: [label: string, note: string, pixels: Pixels | undefined, shape: readonly number[] | undefined][] = [
    [`frame ${last}`, "and its mask", undefined, undefined],
    ["the mask", "−10 … 10", signedColours(quarter(mask), mask.shape[2] / 4, 10), mask.shape],
    ["mask_downsampler", "four halvings", colours(down), down.shape],
    ["pix_feat_proj", "without memory", colours(features), features.shape],
    ["the memory", "after the fuser", colours(memory), memory.shape],
  ];
  for (const [i, [label, note, pixels, shape]] of cells.entries()) {
    const x = MARGIN + i * (size + 37);
    figure.text(x, top - 24, label, { size: 12, bold: true });
    figure.text(x, top - 8, note, { size: 12, fill: PALE });
    if (pixels) figure.image(x, top, size, pixels);
    else thumbnail(figure, clip, last, x, top, size);
    if (shape) figure.text(x, top + size + 16, shapeText(shape), { size: 11, mono: true });
    const sign = ["", "→", "+", "→"][i] ?? "";
    figure.text(x + size + 18.5, top + size / 2 + 6, sign, { size: 18, anchor: "middle", fill: PALE });
  }
  return figure;
}

/** Every fourth row and column of a plane [1, H, W, 1]. */
function quarter({ shape, data }: Kept): Float32Array {
  const [, H, W] = shape;
  return Float32Array.from({ length: (H / 4) * (W / 4) }, (_, i) => {
    const [x, y] = [i % (W / 4), Math.floor(i / (W / 4))];
    return data[4 * y * W + 4 * x];
  });
}

export function memoryAttention(clip: Clip): Figure {
  const { maps, config, last, pointers } = clip;
  const E = config.imageSize / 16;
  const [size, left, top, step] = [66, 126, MARGIN + 56, 88];
  const figure = new Figure(WIDTH, top + MARGIN + 5 * step - 8);
  const what = `where the tokens of frame ${last} look; each map is as bright as its own maximum`;
  figure.text(MARGIN, MARGIN + 8, what, { size: 13, fill: PALE });
  for (const [i, { frame, tPos }] of maps.entries()) {
    const x = left + i * (size + 6);
    figure.text(x, top - 20, `frame ${frame}`, { size: 12, bold: true });
    figure.text(x, top - 6, `tPos ${tPos}`, { size: 12, fill: PALE });
    thumbnail(figure, clip, frame, x, top, size);
  }
  const xPointers = left + maps.length * (size + 6);
  figure.text(xPointers, top - 20, `${pointers} pointers`, { size: 12, bold: true });
  const isOn = tokensOn(clip);
  for (let line = 0; line < 2 * config.memoryAttentionLayers; line++) {
    const [layer, on] = [Math.floor(line / 2), line % 2 === 0];
    const queries = isOn.flatMap((inside, i) => (inside === on ? [i] : []));
    const row = meanWeights(clip, layer, queries);
    const y = top + (line + 1) * step - 6;
    figure.text(MARGIN, y + 26, `layer ${layer}`, { size: 13, bold: true });
    figure.text(MARGIN, y + 43, on ? "tokens on the" : "all other", { size: 12, fill: PALE });
    figure.text(MARGIN, y + 57, on ? "object" : "tokens", { size: 12, fill: PALE });
    for (let i = 0; i < maps.length; i++) {
      const x = left + i * (size + 6);
      const map = row.subarray(i * E * E, (i + 1) * E * E);
      figure.image(x, y, size, heatColours(map.map(Math.sqrt), E, Math.sqrt(Math.max(...map))));
      figure.text(x + size / 2, y + size + 13, percent(sum(map)), { size: 12, anchor: "middle" });
    }
    const share = sum(row.subarray(maps.length * E * E));
    figure.text(xPointers, y + 38, percent(share), { size: 16, bold: true, fill: ACCENT });
  }
  return figure;
}

/** Attention of some of the last frame's tokens to all memory tokens, on average. */
function meanWeights({ attention }: Clip, layer: number, queries: readonly number[]): Float64Array {
  const weights = attention.get(`memory_attention.layers.${layer}.cross_attn_image`)!;
  const rows = queries.map((query) => weights.of(0, query));
  return rows[0].map((_, key) => rows.reduce((total, row) => total + row[key] / rows.length, 0));
}

/** What the last frame's tokens on the object, or all others, give to the map of the prompted frame, on average. */
export function promptedShare(clip: Clip, layer: number, on: boolean): number {
  const queries = tokensOn(clip).flatMap((inside, i) => (inside === on ? [i] : []));
  const prompted = clip.maps.findIndex(({ tPos }) => tPos === 0);
  const places = (clip.config.imageSize / 16) ** 2;
  return sum(meanWeights(clip, layer, queries).subarray(prompted * places, (prompted + 1) * places));
}

/** What each of the last frame's tokens gives to the pointers. */
export function pointerShares({ attention, maps, config }: Clip, layer: number): number[] {
  const weights = attention.get(`memory_attention.layers.${layer}.cross_attn_image`)!;
  const spatial = maps.length * (config.imageSize / 16) ** 2;
  return Array.from({ length: weights.queries }, (_, query) => sum(weights.of(0, query).subarray(spatial)));
}

function sum(weights: Float64Array): number {
  return weights.reduce((total, weight) => total + weight, 0);
}

/** For each image token of the last frame: is its middle on the object? */
function tokensOn({ results, frames, last, config }: Clip): boolean[] {
  const E = config.imageSize / 16;
  const { width } = frames[last];
  const at = (n: number) => Math.floor(((n + 0.5) / E) * width);
  return Array.from({ length: E * E }, (_, i) => results[last].mask[at(Math.floor(i / E)) * width + at(i % E)] === 1);
}
