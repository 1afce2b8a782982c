/** The figures of docs/memory.md: one clip and one object. */
import { overlay } from "../src/io/overlay.ts";
import type { clipActivations, Kept } from "./activations.ts";
import { colours, MARGIN, shapeText, WIDTH } from "./figure_parts.ts";
import { ACCENT, Figure, heat, INK, PALE, type Pixels, posterised, signed } from "./svg.ts";

type Clip = Awaited<ReturnType<typeof clipActivations>>;

/** A frame at a quarter of its size, with what was found on it. */
function thumbnail({ frames, results }: Clip, t: number, bits = 4): Pixels {
  const { width, data } = overlay(frames[t], [results[t].mask]);
  const size = width / 4;
  const small = new Uint8Array(size * size * 3);
  for (let i = 0; i < small.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    let sum = 0;
    for (let dy = 0; dy < 4; dy++)
      for (let dx = 0; dx < 4; dx++) sum += data[3 * ((4 * y + dy) * width + 4 * x + dx) + c];
    small[i] = sum / 16;
  }
  return posterised({ width: size, height: size, data: small }, bits);
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
    figure.image(x, y, size, thumbnail(clip, t), "smooth");
    if (t === 0) figure.click(x + (click[0] / frames[0].width) * size, y + (click[1] / frames[0].width) * size);
    if (seen || t === last) {
      figure.rect(x, y, size, size, `fill="none" stroke="${t === last ? INK : ACCENT}" stroke-width="3"`);
    }
    figure.text(x, y + size + 14, `IoU ${results[t].iou.toFixed(2)}`, { size: 12 });
    if (seen) figure.text(x, y + size + 28, `tPos ${seen.tPos}`, { size: 12, fill: ACCENT });
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
  const cells: [label: string, note: string, pixels: Pixels, shape: readonly number[] | undefined][] = [
    [`frame ${last}`, "and its mask", thumbnail(clip, last), undefined],
    ["the mask", "−10 … 10", signed(quarter(mask), mask.shape[2] / 4, 10), mask.shape],
    ["mask_downsampler", "four halvings", colours(down), down.shape],
    ["pix_feat_proj", "without memory", colours(features), features.shape],
    ["the memory", "after the fuser", colours(memory), memory.shape],
  ];
  for (const [i, [label, note, pixels, shape]] of cells.entries()) {
    const x = MARGIN + i * (size + 37);
    figure.text(x, top - 24, label, { size: 12, bold: true });
    figure.text(x, top - 8, note, { size: 12, fill: PALE });
    figure.image(x, top, size, pixels, i === 0 ? "smooth" : "squares");
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
  const { maps, attention, config, results, frames, last, pointers } = clip;
  const E = config.imageSize / 16;
  const query = centreToken(results[last].mask, frames[last].width, E);
  const [size, left, top] = [70, 92, MARGIN + 56];
  const figure = new Figure(WIDTH, top + MARGIN + 3 * size + 60);
  const layers = Array.from({ length: config.memoryAttentionLayers }, (_, i) => i);
  figure.text(
    MARGIN,
    MARGIN + 8,
    `one image token of frame ${last}, in the middle of the object: where its attention goes`,
    {
      size: 13,
      fill: PALE,
    },
  );
  for (const [i, { frame, tPos }] of maps.entries()) {
    const x = left + i * (size + 6);
    figure.text(x, top - 20, `frame ${frame}`, { size: 12, bold: true });
    figure.text(x, top - 6, `tPos ${tPos}`, { size: 12, fill: PALE });
    figure.image(x, top, size, thumbnail(clip, frame), "smooth");
  }
  const xPointers = left + maps.length * (size + 6);
  figure.text(xPointers, top - 20, `${pointers} pointers`, { size: 12, bold: true });
  for (const layer of layers) {
    const weights = attention.get(`memory_attention.layers.${layer}.cross_attn_image`)!;
    const row = weights.of(0, query);
    const spatial = row.subarray(0, maps.length * E * E);
    const most = Math.max(...spatial);
    const y = top + (layer + 1) * (size + 26) - 4;
    figure.text(MARGIN, y + 26, `layer ${layer}`, { size: 13, bold: true });
    for (let i = 0; i < maps.length; i++) {
      const x = left + i * (size + 6);
      const map = row.subarray(i * E * E, (i + 1) * E * E);
      figure.image(x, y, size, heat(map, E, most));
      figure.text(x + size / 2, y + size + 14, share(map), { size: 12, anchor: "middle" });
    }
    figure.text(xPointers, y + 40, share(row.subarray(maps.length * E * E)), { size: 16, bold: true, fill: ACCENT });
  }
  return figure;
}

function share(weights: Float64Array): string {
  return `${(100 * weights.reduce((sum, weight) => sum + weight, 0)).toFixed(1)} %`;
}

/** The image token at the centre of a mask; of a mask that is empty, the middle one. */
function centreToken(mask: Uint8Array, width: number, E: number): number {
  let [sx, sy, n] = [0, 0, 0];
  for (const [i, inside] of mask.entries()) {
    if (!inside) continue;
    sx += i % width;
    sy += Math.floor(i / width);
    n++;
  }
  const [x, y] = n ? [sx / n, sy / n] : [width / 2, width / 2];
  return Math.floor((y / width) * E) * E + Math.floor((x / width) * E);
}
