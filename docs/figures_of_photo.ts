/** The figures of docs/tour.md: one picture and one click. */
import { still } from "../models/nano/scenes.ts";
import { iou } from "../models/nano/scoring.ts";
import { heatColours, signedColours } from "../src/io/feature_colours.ts";
import type { photoActivations } from "./activations.ts";
import { colours, MARGIN, shapeText, WIDTH } from "./figure_parts.ts";
import { dryModel, frameWork, SCENE, traceGraph } from "./nano.ts";
import { ACCENT, Figure, PALE, percent, type Pixels, posterised, RULE } from "./svg.ts";

type Photo = Awaited<ReturnType<typeof photoActivations>>;

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

export async function moduleTree({ sam2 }: Photo): Promise<Figure> {
  const tiny = await traceGraph(await dryModel());
  const nano = await traceGraph(sam2);
  const rows = [...nano]
    .filter(([path, { class: name }]) => (SHOWN.test(name) || ALSO.test(path)) && !REPEATED.test(path))
    .sort(([, a], [, b]) => a.order - b.order);
  const work = await frameWork(await dryModel());
  const step = 19;
  const width = 924;
  const figure = new Figure(width, 132 + rows.length * step);
  const [xClass, xNano, xTiny, xShare] = [292, 446, 640, 850];
  figure.text(MARGIN, 30, "module", { bold: true });
  figure.text(xClass, 30, "class", { bold: true });
  figure.text(xNano, 30, "nano returns", { bold: true });
  figure.text(xTiny, 30, "tiny returns", { bold: true });
  figure.text(xShare, 30, "work*", { bold: true });
  figure.line(MARGIN, 40, width - MARGIN, 40);
  const stack: string[] = [];
  for (const [i, [path, { class: name, returned }]] of rows.entries()) {
    while (stack.length > 0 && !path.startsWith(`${stack.at(-1)}.`)) stack.pop();
    const short = stack.length > 0 ? path.slice(stack.at(-1)!.length + 1) : path;
    const y = 59 + i * step;
    const x = MARGIN + stack.length * 12;
    figure.text(x, y, short, { size: 12, mono: true, bold: stack.length === 0 });
    figure.text(xClass, y, name, { size: 11, fill: PALE });
    figure.text(xNano, y, listed(returned), { size: 11, mono: true });
    figure.text(xTiny, y, listed(tiny.get(path)?.returned ?? []), { size: 11, mono: true, fill: PALE });
    figure.rect(xShare, y - 9, 40, 9, `fill="${RULE}"`);
    figure.rect(xShare, y - 9, 40 * work.share(path), 9, `fill="${ACCENT}"`);
    stack.push(path);
  }
  const beyond = (path: string, from: number, to: number) =>
    percent(range(from, to).reduce((sum, i) => sum + work.share(`${path}.${i}`), 0));
  for (const [i, note] of [
    "* share of the multiply-adds of a tracked frame of tiny; a layer that is drawn once stands for its likes.",
    "Blocks are numbered through all stages, so that block 2, say, is in stage 3 of nano and in stage 2 of tiny. tiny alone has, not drawn,",
    `blocks 6 to 11 of the trunk, ${beyond("image_encoder.trunk.blocks", 6, 11)}, and layers 2 and 3 of memory attention, ${beyond("memory_attention.layers", 2, 3)} of the work.`,
  ].entries()) {
    figure.text(MARGIN, 84 + rows.length * step + 18 * i, note, { size: 12, fill: PALE });
  }
  return figure;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** The first of several. */
function listed([first = "–", ...others]: readonly string[]): string {
  return others.length > 0 ? `${first} and ${others.length} more` : first;
}

export function pyramid({ stages, levels, click, picture }: Photo): Figure {
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

export function windowPlan({ windows, position }: Photo): Figure {
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
    figure.text(x, top - 8, `gets ${H}×${H}`, { size: 12, fill: PALE });
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
export const CLICK_TOKEN = 6; // after the object score's, the IoU's and four masks' tokens
const FIRST_MASK_TOKEN = 2;
export const FIRST_CROSS_ATTENTION = "sam_mask_decoder.transformer.layers.0.cross_attn_token_to_image";

export function clickAttention({ attention, levels, click, picture, best, ious }: Photo): Figure {
  const E = levels[2].shape[1];
  const name = "sam_mask_decoder.transformer";
  const token = FIRST_MASK_TOKEN + 1 + best;
  const rows: [label: string, path: string, query: number][] = [
    ["the click, block 0", FIRST_CROSS_ATTENTION, CLICK_TOKEN],
    ["the click, block 1", `${name}.layers.1.cross_attn_token_to_image`, CLICK_TOKEN],
    ["the click, at the end", `${name}.final_attn_token_to_image`, CLICK_TOKEN],
    [`mask ${best}, at the end`, `${name}.final_attn_token_to_image`, token],
  ];
  const [size, gap, left] = [58, 6, 184];
  const figure = new Figure(WIDTH, MARGIN * 2 + 60 + rows.length * (size + 26));
  figure.text(left, MARGIN + 8, `the eight heads, each over ${E}×${E} image tokens; brightest = its own maximum`, {
    size: 13,
    fill: PALE,
  });
  for (const [i, [label, path, query]] of rows.entries()) {
    const weights = attention.get(path)!;
    const y = MARGIN + 24 + i * (size + 26);
    figure.text(MARGIN, y + 26, label, { size: 13, bold: true });
    figure.text(MARGIN, y + 44, `token ${query}${i === 3 ? `, IoU ${ious[best].toFixed(2)}` : ""}`, {
      size: 12,
      fill: PALE,
    });
    for (let head = 0; head < weights.heads; head++) {
      const x = left + head * (size + gap);
      const map = weights.of(head, query);
      const most = Math.max(...map);
      figure.image(x, y, size, heatColours(map, E, most));
      figure.click(x + (click[0] / picture.width) * size, y + (click[1] / picture.width) * size);
      figure.text(x + size / 2, y + size + 14, `max ${(100 * most).toFixed(0)} %`, {
        size: 11,
        fill: PALE,
        anchor: "middle",
      });
    }
  }
  const foot = MARGIN + 34 + rows.length * (size + 26);
  for (const [i, note] of [
    "tokens: 0 object score · 1 IoUs · 2 single mask · 3, 4, 5 masks 0, 1, 2 · 6 the click · 7 padding",
    `a head that looks everywhere alike has a maximum of ${percent(1 / E ** 2)}`,
  ].entries()) {
    figure.text(MARGIN, foot + 17 * i, note, { size: 12, fill: PALE });
  }
  return figure;
}

export function threeMasks({ picture, click, masks, found, ious, best, upscaled, target }: Photo): Figure {
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
    figure.image(x(k + 1), top, size, signedColours(logits, side, 12));
    figure.text(x(k + 1), top + size + 16, `${shapeText([side, side])}, −12 … 12`, { size: 12, mono: true });
    const truth = iou(found[k], target.mask);
    figure.image(x(k + 1), bottom, size, small, "smooth");
    figure.found(x(k + 1), bottom, size, found[k]);
    figure.text(x(k + 1), bottom - 8, `mask ${k}${k === best ? ", the best score" : ""}`, { size: 13, bold: true });
    figure.text(x(k + 1), bottom + size + 17, `IoU ${ious[k].toFixed(2)} predicted, ${truth.toFixed(2)} true`, {
      size: 11.5,
    });
  }
  return figure;
}
