/**
 * Boxes and arrows: what a photo and what a video frame pass through in tiny at 1024, a sequence of training, and what tiny and
 * EdgeTAM remember.
 */
import { edgeTamConfig, memoryLayout, memoryTokens, type Sam2Config, variantConfig } from "../src/model/config.ts";
import { MAX_OBJ_PTRS } from "../src/model/memory_bank.ts";
import { MARGIN, WIDTH } from "./figure_parts.ts";
import { dryModel, frameWork, traceGraph } from "./nano.ts";
import { ACCENT, Figure, PALE } from "./svg.ts";

const PHOTO = ["image_encoder", "sam_prompt_encoder", "sam_mask_decoder"];
/** Where the columns of boxes begin, and how wide they are. */
const [ENCODER, MIDDLE, DECODER, RESULT] = [132, 322, 462, 624] as const;
const BOX = 146;

export async function architecture(): Promise<Figure> {
  const tiny = await dryModel();
  const trace = await traceGraph(tiny);
  const work = await frameWork(tiny);
  const ofPhoto = PHOTO.reduce((sum, path) => sum + work.of(path), 0);
  const shape = (path: string, k = 0) => trace.get(path)!.returned[k];
  const giga = (macs: number) => `${(macs / 1e9).toFixed(0)} billion multiply-adds`;
  const figure = new Figure(WIDTH, 576);
  const note = (x: number, y: number, text: string) =>
    figure.text(x, y, text, { size: 11, fill: PALE, mono: /\[/.test(text) });
  const heading = (y: number, title: string, macs: number) => {
    figure.text(MARGIN, y, title, { size: 15, bold: true });
    figure.text(WIDTH - MARGIN, y, giga(macs), { size: 12, anchor: "end", fill: ACCENT });
  };
  const encoder = (y: number, share: number, input: string) => {
    figure.box(MARGIN - 4, y + 20, 92, 48, input, ["1024 × 1024"]);
    figure.arrow(MARGIN + 88, y + 44, ENCODER, y + 44);
    figure.box(ENCODER, y, BOX, 104, "image encoder", ["Hiera, then a neck", "strides 4, 8 and 16"], share);
  };
  const decoder = (y: number, share: number, ...prompt: string[]) => {
    figure.box(DECODER, y, BOX, 104, "mask decoder", ["two-way transformer,", "then upscaling", ...prompt], share);
    figure.path([
      [ENCODER + 73, y + 104],
      [ENCODER + 73, y + 122],
      [DECODER + 24, y + 122],
      [DECODER + 24, y + 104],
    ]);
    note(MARGIN, y + 138, `${shape("sam_mask_decoder.conv_s1")} and ${shape("sam_mask_decoder.conv_s0")}`);
    note(MARGIN, y + 153, "the fine features, strides 8 and 4");
    figure.arrow(DECODER + BOX, y + 44, RESULT, y + 44);
  };
  const prompts = (y: number, title: string, line: string) => {
    figure.arrow(DECODER + 100, y + 150, DECODER + 100, y + 104);
    figure.box(DECODER, y + 150, BOX, 46, title, [line]);
  };
  const level = shape("image_encoder", 2);

  heading(34, "A photo and a click", ofPhoto);
  let y = 54;
  encoder(y, work.of("image_encoder") / ofPhoto, "photo");
  figure.arrow(ENCODER + BOX, y + 44, DECODER, y + 44);
  note(MIDDLE - 38, y + 34, level);
  note(MIDDLE - 38, y + 62, "+ no_mem_embed");
  decoder(y, work.of("sam_mask_decoder") / ofPhoto);
  prompts(y, "prompt encoder", `click → ${shape("sam_prompt_encoder")}`);
  figure.text(RESULT + 4, y + 30, "3 masks", { size: 13, bold: true });
  note(RESULT + 4, y + 48, "256 × 256, and");
  note(RESULT + 4, y + 62, "3 guesses of");
  note(RESULT + 4, y + 76, "their IoU");

  figure.line(MARGIN, 268, WIDTH - MARGIN, 268);
  heading(296, "A video frame that remembers", work.total);
  y = 316;
  encoder(y, work.share("image_encoder"), "frame");
  figure.arrow(ENCODER + BOX, y + 44, MIDDLE - 26, y + 44);
  figure.box(MIDDLE - 26, y, BOX, 104, "memory attention", ["4 layers", level], work.share("memory_attention"));
  figure.arrow(MIDDLE + BOX - 26, y + 44, DECODER, y + 44);
  decoder(y, work.share("sam_mask_decoder"), "(prompt: padding only)");
  figure.text(RESULT + 4, y + 30, "1 mask,", { size: 13, bold: true });
  note(RESULT + 4, y + 48, "object score,");
  note(RESULT + 4, y + 62, "object pointer");
  figure.path([
    [RESULT + 40, y + 70],
    [RESULT + 40, y + 200],
    [DECODER + BOX, y + 200],
  ]);
  figure.box(
    DECODER,
    y + 158,
    BOX,
    84,
    "memory encoder",
    [`frame and mask → map`, shape("memory_encoder")],
    work.share("memory_encoder"),
  );
  figure.arrow(DECODER, y + 200, MIDDLE + BOX - 26, y + 200);
  figure.box(MIDDLE - 26, y + 158, BOX, 84, "memory bank", [
    "7 maps, 16 pointers:",
    `${bankShape(trace.get("memory_attention")!.inputs)}`,
  ]);
  figure.arrow(MIDDLE + 20, y + 158, MIDDLE + 20, y + 104);
  return figure;
}

/** One training sequence: eight frames in the order in which they are processed. */
export function trainingSequence(): Figure {
  const frames: [frame: number, given: string, why: string][] = [
    [0, "prompt", "+ 7 clicks"],
    [4, "prompt", "+ 7 clicks"],
    ...[1, 2, 3, 5, 6, 7].map((t): [number, string, string] => [t, "", ""]),
  ];
  const [size, step, top] = [58, 84, MARGIN + 50];
  const figure = new Figure(WIDTH, top + 214);
  figure.text(MARGIN, MARGIN + 8, "Prompted frames first, then the others in order", { size: 15, bold: true });
  figure.text(MARGIN, MARGIN + 27, "here two were drawn to be prompted, by clicks or boxes; time runs to the right", {
    size: 12,
    fill: PALE,
  });
  for (const [i, [t, given, more]] of frames.entries()) {
    const x = MARGIN + i * step;
    figure.rect(x, top, size, size, `rx="5" fill="#ffffff" stroke="${given ? ACCENT : PALE}" stroke-width="2"`);
    figure.text(x + 8, top + 24, "frame", { size: 11, fill: PALE });
    figure.text(x + 8, top + 44, `${t}`, { size: 17, bold: true });
    figure.text(x, top + size + 17, given, { size: 12, bold: true, fill: ACCENT });
    figure.text(x, top + size + 33, more, { size: 12, fill: ACCENT });
    if (i > 0) figure.arrow(x - step + size, top + size / 2, x, top + size / 2);
  }
  figure.text(MARGIN + 2 * step, top + size + 17, "each frame attends to the memories of those before it,", {
    size: 12,
    fill: PALE,
  });
  figure.text(MARGIN + 2 * step, top + size + 33, "which are made of the model's own masks", { size: 12, fill: PALE });
  const y = top + size + 62;
  figure.box(MARGIN, y, 150, 66, "true masks", ["of all eight frames"]);
  figure.arrow(MARGIN + 150, y + 33, MARGIN + 186, y + 33);
  figure.box(MARGIN + 186, y, 300, 66, "losses, summed", [
    "over the frames, and over the masks after",
    "each click: outline, IoU, in sight or not",
  ]);
  figure.arrow(MARGIN + 486, y + 33, MARGIN + 522, y + 33);
  figure.box(MARGIN + 522, y, 150, 66, "weights", ["one step of AdamW"]);
  return figure;
}

/** Full memory banks of tiny and of EdgeTAM, a token as large in both. */
export function memoryBanks(): Figure {
  const [side, step] = [1.25, 88]; // of a token, and from memory to memory
  const figure = new Figure(WIDTH, 290);
  const square = (x: number, y: number, tokens: number, placed: boolean) => {
    const size = side * Math.sqrt(tokens);
    figure.rect(x, y, size, size, `fill="${placed ? PALE : ACCENT}" fill-opacity="${placed ? 0.35 : 0.8}"`);
    return size;
  };
  const bank = (y: number, config: Sam2Config, title: string) => {
    const { lone, side: grid } = memoryLayout(config);
    const pointers = (MAX_OBJ_PTRS * config.dModel) / config.memDim;
    const all = config.numMaskmem * memoryTokens(config) + pointers;
    figure.text(MARGIN, y, title, { size: 15, bold: true });
    figure.text(WIDTH - MARGIN, y, `${all.toLocaleString("en")} tokens`, { size: 12, anchor: "end", fill: ACCENT });
    for (let i = 0; i < config.numMaskmem; i++) {
      const x = MARGIN + i * step;
      const left = lone ? square(x, y + 14, lone, false) + 4 : 0;
      const size = square(x + left, y + 14, grid ** 2, true);
      const frame = i === 0 ? "clicked" : `${config.numMaskmem - i} before`;
      figure.text(x, y + 30 + size, frame, { size: 12, fill: PALE });
    }
    const size = square(MARGIN + config.numMaskmem * step, y + 14, pointers, false);
    figure.text(MARGIN + config.numMaskmem * step, y + 30 + size, "pointers", { size: 12, fill: PALE });
  };
  bank(34, variantConfig("tiny", "2.1"), "SAM 2.1 tiny");
  bank(186, edgeTamConfig(), "EdgeTAM");
  square(MARGIN, 256, 64, true);
  figure.text(MARGIN + 16, 266, "tokens on a grid", { size: 12 });
  square(MARGIN + 2 * step, 256, 64, false);
  figure.text(MARGIN + 2 * step + 16, 266, "tokens without a place", { size: 12 });
  return figure;
}

/** Of the inputs of memory attention the one with the most tokens. */
function bankShape(inputs: ReadonlySet<string>): string {
  const tokens = (shape: string) => Number(shape.split(", ")[1]);
  return [...inputs].reduce((most, shape) => (tokens(shape) > tokens(most) ? shape : most));
}
