/**
 * The figures of the tour, from what nano computes, and the output that the pages show below their commands.
 *
 *     npx tsx docs/figures.ts      writes docs/figures/*.svg and brings the outputs in docs/*.md up to date
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { iou } from "../models/nano/scoring.ts";
import { still } from "../models/nano/scenes.ts";
import { overlay } from "../src/io/overlay.ts";
import { clipActivations, type Kept, photoActivations } from "./activations.ts";
import { renewOutputs } from "./blocks.ts";
import { diarySteps } from "./diary.ts";
import { dryModel, SCENE, traceGraph } from "./nano.ts";
import { ACCENT, Figure, heat, INK, PALE, pcaColours, type Pixels, posterised, RULE, signed } from "./svg.ts";

const FOLDER = new URL("figures/", import.meta.url);
const WIDTH = 720;
const MARGIN = 24;

type Photo = Awaited<ReturnType<typeof photoActivations>>;
type Clip = Awaited<ReturnType<typeof clipActivations>>;

/** Every figure by its name. */
export async function drawFigures(): Promise<Map<string, string>> {
  const photo = await photoActivations();
  const clip = await clipActivations();
  const figures: [name: string, title: string, figure: Figure][] = [
    ["tree", "The modules of SAM 2 with the shapes they return", await moduleTree(photo)],
    ["pyramid", "Features of the four stages and of the four levels of the neck, as colours", pyramid(photo)],
    ["windows", "Position embedding, and the windows of each block", windowPlan(photo)],
    ["attention", "What the click's token attends to", clickAttention(photo)],
    ["masks", "Three masks for one click", threeMasks(photo)],
    ["clip", "One object through a clip", clipStrip(clip)],
    ["memory_encoder", "How a frame becomes a memory", memoryEncoder(clip)],
    ["memory_attention", "What one token of a frame attends to in the memory", memoryAttention(clip)],
    ["gemm", "The steps of the matrix product's diary", diaryBars()],
  ];
  return new Map(figures.map(([name, title, figure]) => [name, figure.toString(title, `nano ${photo.digest}`)]));
}

function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** A feature map [1, H, W, C] as colours. */
function colours({ shape, data }: Kept): Pixels {
  return pcaColours(data, shape[2], shape[1]);
}

/** The scene of the tour, small. */
function scene(size = 128): Pixels {
  return posterised(still(SCENE.seed, size), 5);
}

/** Classes that make up the tree; what lies inside of the others is told on the page. */
const SHOWN =
  /^(ImageEncoder|Hiera|PatchEmbed|MultiScaleBlock|FpnNeck|PromptEncoder|PositionEmbeddingRandom|MaskDecoder|TwoWay\w+|Attention|Sequential|MemoryAttention\w*|RoPEAttention|MemoryEncoder|MaskDownSampler|Fuser|CXBlock)$/;
const ALSO =
  /^(sam_mask_decoder\.(conv_s.|output_hypernetworks_mlps\.0|iou_prediction_head|pred_obj_score_head)|obj_ptr_proj|obj_ptr_tpos_proj|memory_encoder\.(pix_feat_proj|out_proj))$/;
/** Modules like an earlier one. */
const REPEATED = /transformer\.layers\.1\.|memory_attention\.layers\.[1-9]\./;

async function moduleTree({ sam2 }: Photo): Promise<Figure> {
  const tiny = await traceGraph(await dryModel());
  const nano = await traceGraph(sam2);
  const rows = [...nano]
    .filter(([path, { class: name }]) => (SHOWN.test(name) || ALSO.test(path)) && !REPEATED.test(path))
    .sort(([, a], [, b]) => a.order - b.order);
  const roots = rows.filter(([path]) => !rows.some(([other]) => path.startsWith(`${other}.`)));
  const total = roots.reduce((sum, [, { macs }]) => sum + macs, 0);
  const step = 19;
  const width = 812;
  const figure = new Figure(width, 74 + rows.length * step);
  const [xClass, xNano, xTiny, xShare] = [292, 446, 586, 744];
  figure.text(MARGIN, 30, "module", { bold: true });
  figure.text(xClass, 30, "class", { bold: true });
  figure.text(xNano, 30, "nano returns", { bold: true });
  figure.text(xTiny, 30, "tiny returns", { bold: true });
  figure.text(xShare, 30, "work", { bold: true });
  figure.line(MARGIN, 40, width - MARGIN, 40);
  const stack: string[] = [];
  for (const [i, [path, { class: name, returned, macs }]] of rows.entries()) {
    while (stack.length > 0 && !path.startsWith(`${stack.at(-1)}.`)) stack.pop();
    const short = stack.length > 0 ? path.slice(stack.at(-1)!.length + 1) : path;
    const y = 59 + i * step;
    const x = MARGIN + stack.length * 12;
    figure.text(x, y, short, { size: 12, mono: true, bold: stack.length === 0 });
    figure.text(xClass, y, name, { size: 11, fill: PALE });
    figure.text(xNano, y, listed(returned), { size: 11, mono: true });
    figure.text(xTiny, y, listed(tiny.get(path)?.returned ?? []), { size: 11, mono: true, fill: PALE });
    figure.rect(xShare, y - 9, 40, 9, `fill="${RULE}"`);
    figure.rect(xShare, y - 9, (40 * macs) / total, 9, `fill="${ACCENT}"`);
    stack.push(path);
  }
  return figure;
}

/** The first of several. */
function listed([first = "–", ...others]: readonly string[]): string {
  return others.length > 0 ? `${first} +${others.length}` : first;
}

function pyramid({ stages, levels, click, picture }: Photo): Figure {
  const [size, gap] = [124, 14];
  const figure = new Figure(WIDTH, 2 * MARGIN + 2 * (size + 62) + 10);
  const x = (i: number) => MARGIN + 134 + i * (size + gap);
  const [top, bottom] = [MARGIN + 34, MARGIN + size + 110];
  figure.image(MARGIN, top, size, scene(), "smooth");
  figure.click(MARGIN + (click[0] / picture.width) * size, top + (click[1] / picture.width) * size);
  figure.text(MARGIN, top - 10, "the picture", { size: 13 });
  for (let i = 0; i < 4; i++) {
    figure.text(x(i), top - 10, `stage ${i + 1}, stride ${4 * 2 ** i}`, { size: 12.5, bold: true });
    figure.image(x(i), top, size, colours(stages[i]));
    figure.text(x(i), top + size + 16, shapeText(stages[i].shape), { size: 12, mono: true });
    figure.arrow(x(i) + size / 2, top + size + 24, x(i) + size / 2, bottom - 24);
    figure.text(x(i), bottom - 8, i === 3 ? "level 3, dropped" : `level ${i}`, { size: 13, bold: true });
    figure.image(x(i), bottom, size, colours(levels[i]));
    figure.text(x(i), bottom + size + 16, shapeText(levels[i].shape), { size: 12, mono: true });
  }
  figure.text(MARGIN, bottom + 20, "convs: 1×1, all to", { size: 13 });
  figure.text(MARGIN, bottom + 38, `${levels[0].shape[3]} channels`, { size: 13 });
  figure.arrow(x(3) - 1, bottom + size / 2, x(2) + size + 3, bottom + size / 2);
  figure.text(MARGIN, bottom + 70, "level 3, enlarged,", { size: 13 });
  figure.text(MARGIN, bottom + 88, "is added to level 2:", { size: 13 });
  figure.text(MARGIN, bottom + 106, "only there", { size: 13 });
  return figure;
}

function windowPlan({ windows, position }: Photo): Figure {
  const size = 98;
  const figure = new Figure(WIDTH, MARGIN * 2 + size + 54);
  const top = MARGIN + 36;
  figure.text(MARGIN, top - 24, "position", { size: 13, bold: true });
  figure.text(MARGIN, top - 8, "embedding", { size: 13, bold: true });
  figure.image(MARGIN, top, size, colours(position));
  figure.text(MARGIN, top + size + 16, shapeText(position.shape), { size: 11, mono: true });
  const picture = scene(64);
  const step = (WIDTH - 2 * MARGIN - size - 12) / windows.length;
  for (const [i, { size: window, H }] of windows.entries()) {
    const [x, small] = [MARGIN + size + 16 + i * step, step - 10];
    figure.text(x, top - 24, `block ${i}`, { size: 13, bold: true });
    figure.text(x, top - 8, `grid ${H}×${H}`, { size: 12, fill: PALE });
    figure.image(x, top, small, picture, "smooth");
    const cells = window ? H / window : 1;
    for (let line = 1; line < cells; line++) {
      const at = (line / cells) * small;
      figure.line(x + at, top, x + at, top + small, 'stroke="#ffffff" stroke-width="1"');
      figure.line(x, top + at, x + small, top + at, 'stroke="#ffffff" stroke-width="1"');
    }
    figure.text(x, top + small + 16, window ? `windows ${window}×${window}` : "the whole grid", { size: 12 });
  }
  return figure;
}

/** The rows of the figure: which attention, and which of its queries. */
const CLICK_TOKEN = 6; // after the object score's, the IoU's and four masks' tokens
const FIRST_MASK_TOKEN = 2;

function clickAttention({ attention, levels, click, picture, best, ious }: Photo): Figure {
  const E = levels[2].shape[1];
  const name = "sam_mask_decoder.transformer";
  const token = FIRST_MASK_TOKEN + 1 + best;
  const rows: [label: string, path: string, query: number][] = [
    ["the click, block 0", `${name}.layers.0.cross_attn_token_to_image`, CLICK_TOKEN],
    ["the click, block 1", `${name}.layers.1.cross_attn_token_to_image`, CLICK_TOKEN],
    ["the click, at the end", `${name}.final_attn_token_to_image`, CLICK_TOKEN],
    [`mask ${best}, at the end`, `${name}.final_attn_token_to_image`, token],
  ];
  const [size, gap, left] = [58, 6, 184];
  const figure = new Figure(WIDTH, MARGIN * 2 + 26 + rows.length * (size + 26));
  figure.text(left, MARGIN + 8, `the eight heads, each over ${E}×${E} image tokens; brightest = its own maximum`, {
    size: 13,
    fill: PALE,
  });
  for (const [i, [label, path, query]] of rows.entries()) {
    const weights = attention.get(path)!;
    const y = MARGIN + 24 + i * (size + 26);
    figure.text(MARGIN, y + 26, label, { size: 13, bold: true });
    figure.text(MARGIN, y + 44, i === 3 ? `predicted IoU ${ious[best].toFixed(2)}` : `token ${query}`, {
      size: 12,
      fill: PALE,
    });
    for (let head = 0; head < weights.heads; head++) {
      const x = left + head * (size + gap);
      const map = weights.of(head, query);
      const most = Math.max(...map);
      figure.image(x, y, size, heat(map, E, most));
      figure.click(x + (click[0] / picture.width) * size, y + (click[1] / picture.width) * size);
      figure.text(x + size / 2, y + size + 14, `≤ ${(100 * most).toFixed(0)} %`, {
        size: 11,
        fill: PALE,
        anchor: "middle",
      });
    }
  }
  return figure;
}

function threeMasks({ picture, click, masks, found, ious, best, upscaled, target }: Photo): Figure {
  const size = 158;
  const figure = new Figure(WIDTH, 2 * MARGIN + 2 * size + 96);
  const side = masks.shape[3];
  const x = (i: number) => MARGIN + i * (size + 13);
  const [top, bottom] = [MARGIN + 22, MARGIN + size + 78];
  const small = scene();
  figure.text(x(0), top - 8, "upscaled embedding", { size: 13, bold: true });
  figure.image(x(0), top, size, colours(upscaled));
  figure.text(x(0), top + size + 16, shapeText(upscaled.shape), { size: 12, mono: true });
  figure.text(x(0), bottom - 8, "picture and click", { size: 13, bold: true });
  figure.image(x(0), bottom, size, small, "smooth");
  figure.click(x(0) + (click[0] / picture.width) * size, bottom + (click[1] / picture.width) * size);
  for (let k = 0; k < 3; k++) {
    const logits = masks.data.subarray(k * side * side, (k + 1) * side * side);
    figure.text(x(k + 1), top - 8, `logits of mask ${k}`, { size: 13, bold: true });
    figure.image(x(k + 1), top, size, signed(logits, side, 12));
    figure.text(x(k + 1), top + size + 16, `${shapeText([side, side])}, −12 … 12`, { size: 12, mono: true });
    const truth = iou(found[k], target.mask);
    figure.image(
      x(k + 1),
      bottom,
      size,
      posterised(overlay(small, [shrunk(found[k], picture.width, small.width)]), 5),
      "smooth",
    );
    figure.text(x(k + 1), bottom - 8, `mask ${k}${k === best ? ", the best score" : ""}`, { size: 13, bold: true });
    figure.text(x(k + 1), bottom + size + 17, `IoU ${ious[k].toFixed(2)} predicted, ${truth.toFixed(2)} true`, {
      size: 11.5,
    });
  }
  return figure;
}

/** Every n-th pixel of a square mask. */
function shrunk(mask: Uint8Array, width: number, size: number): Uint8Array {
  const step = width / size;
  return Uint8Array.from(
    { length: size * size },
    (_, i) => mask[Math.floor(i / size) * step * width + (i % size) * step],
  );
}

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

function clipStrip(clip: Clip): Figure {
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

function memoryEncoder(clip: Clip): Figure {
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

function memoryAttention(clip: Clip): Figure {
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

/** The table of docs/kernels.md as bars. */
function diaryBars(): Figure {
  const { steps, limits } = diarySteps(readFileSync(new URL("kernels.md", import.meta.url), "utf8"));
  const [left, bar, step] = [288, 340, 40];
  const figure = new Figure(WIDTH, MARGIN * 2 + 34 + steps.length * step);
  const scale = bar / limits[1];
  figure.text(left, MARGIN + 8, "GFLOP/s, one thread:", { size: 13 });
  figure.rect(left + 152, MARGIN - 3, 12, 12, `fill="${PALE}"`);
  figure.text(left + 169, MARGIN + 8, "128 bits", { size: 13 });
  figure.rect(left + 240, MARGIN - 3, 12, 12, `fill="${ACCENT}"`);
  figure.text(left + 257, MARGIN + 8, "256 bits", { size: 13 });
  const top = MARGIN + 26;
  for (const [i, limit] of limits.entries()) {
    const x = left + limit * scale;
    figure.line(x, top - 4, x, top + steps.length * step, `stroke="${i ? ACCENT : PALE}" stroke-dasharray="4 3"`);
  }
  for (const [i, { label, speeds }] of steps.entries()) {
    const y = top + i * step;
    figure.text(MARGIN, y + 22, label, { size: 13 });
    for (const [k, speed] of speeds.entries()) {
      if (speed === undefined) continue;
      figure.rect(left, y + 4 + k * 14, speed * scale, 12, `fill="${k ? ACCENT : PALE}"`);
      figure.text(left + speed * scale - 5, y + 14 + k * 14, `${speed}`, {
        size: 11,
        fill: "#ffffff",
        anchor: "end",
        bold: true,
      });
    }
  }
  return figure;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(FOLDER, { recursive: true });
  let bytes = 0;
  for (const [name, svg] of await drawFigures()) {
    writeFileSync(new URL(`${name}.svg`, FOLDER), svg);
    bytes += svg.length;
    console.log(`docs/figures/${name}.svg  ${Math.ceil(svg.length / 1024)} KiB`);
  }
  console.log(`together ${Math.ceil(bytes / 1024)} KiB`);
  for (const page of await renewOutputs()) console.log(`docs/${page}: outputs renewed`);
}
