import { basename, extname, join } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { decodeImage, type RgbImage } from "../io/image.ts";
import { encodeMaskPng } from "../io/masks.ts";
import { overlay } from "../io/overlay.ts";
import { encodePng } from "../io/png.ts";
import { encodeRle, type Rle, rleArea, rleBbox } from "../io/rle.ts";
import { type WrittenTensor, writeSafetensors } from "../io/safetensors.ts";
import { modelTitle } from "../model/config.ts";
import { ImagePredictor, type Prediction } from "../predict/image_predictor.ts";
import { checkPrompt, type Prompt } from "../predict/prompt.ts";
import { Sam2 } from "../predict/sam2.ts";
import { readInput, writeFiles } from "./files.ts";
import { type Io, painter, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, click, corners, count, type ModelOptions } from "./options.ts";
import { best, type PromptOptions, type PromptSet, promptFromOptions, promptsFromFile } from "./prompts.ts";

interface SegmentOptions extends ModelOptions, PromptOptions {
  model?: string;
  prompts?: string;
  out?: string;
  saveLogits?: string;
  maxHoleArea?: number;
  maxSprinkleArea?: number;
}

const EXAMPLES = `
Examples:
  sam2 segment truck.jpg --point 500,375                     what is at this pixel: three masks, part to whole
  sam2 segment truck.jpg --point 500,375 --point 900,40,0    … but without what is at (900, 40): one mask
  sam2 segment truck.jpg --box 425,600,700,875 --json        masks as JSON with COCO run lengths, no files
  sam2 segment truck.jpg --prompts clicks.json --out masks   several objects: [{"points": [[500, 375]]}, …]
  sam2 segment truck.jpg --point 500,375 --save-logits a.safetensors
  sam2 segment truck.jpg --mask-input a.safetensors --point 620,400      refine the best mask of that

Writes mask_<prompt>_<k>.png (0 or 255), overlay_<prompt>.png (the mask of highest predicted IoU) and result.json.
Coordinates are pixels of the image, x before y, from the top left. Numbering starts at 0.
`;

/** sam2 segment IMAGE */
export function addSegment(program: Command, io: Io): void {
  const command = program
    .command("segment")
    .summary("cut objects out of an image: by clicks, a box or a mask")
    .description("Masks for what you click on, draw a box around, or have a mask of already.")
    .argument("<image>", "a JPEG, PNG or WebP file")
    .optionsGroup("Prompts:")
    .option("--point <x,y[,0]>", "a click on the object, or beside it with ,0; may be repeated", click)
    .option("--box <x0,y0,x1,y1>", "a box around the object", corners)
    .option("--mask-input <file>", "logits of an earlier run (--save-logits)")
    .option("--mask-index <k>", "which of its masks (default: highest predicted IoU)", count("--mask-index", 0))
    .option("--prompts <file>", "several prompts, as JSON")
    .optionsGroup("Masks:")
    .option("--multimask", "three masks for each prompt (default for a single click)")
    .option("--no-multimask", "one mask for each prompt (default for anything else)")
    .option("--max-hole-area <n>", "fill holes up to n pixels of the low-resolution mask", count("--max-hole-area", 0))
    .option("--max-sprinkle-area <n>", "remove specks up to n such pixels", count("--max-sprinkle-area", 0))
    .optionsGroup("Output:")
    .option("--out <folder>", "default: <image name>.sam2, unless --json alone is asked for")
    .option("--save-logits <file>", "low-resolution logits and predicted IoUs, as safetensors");
  addModelOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((image: string, options: SegmentOptions) => segment(image, options, io));
}

async function segment(path: string, options: SegmentOptions, io: Io): Promise<void> {
  const { json, quiet, multimask, prompts: file, out = json ? undefined : defaultFolder(path) } = options;
  expectPrompts(path, options);
  const status = new Status(io, quiet);
  const watch = stopwatch();

  const image = await decodeImage(await readInput(path, "an image"), { where: path });
  const ms = { load: 0, decode: watch.lap(), encode: 0, predict: 0, total: 0 };

  const sets = file === undefined ? [await promptFromOptions(options)] : await promptsFromFile(file, multimask);
  const model = await chosenModel(options, io);
  status.show(`loading ${model} …`);
  const { signal } = io;
  const sam2 = await Sam2.fromPretrained(model, { ...options, video: false, signal });
  ms.load = watch.lap();

  const { config } = sam2;
  const { maxHoleArea, maxSprinkleArea } = options;
  const predictions: Prediction[] = [];
  try {
    const frame = { width: image.width, height: image.height, imageSize: config.imageSize, normalizeCoords: true };
    for (const { prompt, where } of sets) checkPrompt(prompt, frame, where);
    const predictor = new ImagePredictor(sam2, { maxHoleArea, maxSprinkleArea });
    status.show(`looking at ${path} (${image.width}×${image.height}) …`);
    await predictor.setImage(image, { signal });
    ms.encode = watch.lap();
    for (const { prompt, multimask } of sets) {
      predictions.push(await predictor.predict(prompt, { multimaskOutput: multimask, signal }));
    }
    ms.predict = watch.lap();
  } finally {
    sam2.dispose();
  }
  ms.total = watch.total();

  const prompts = sets.map(({ multimask }, p) => ({ multimask, masks: masksOf(predictions[p]) }));
  const result = {
    image: { path, width: image.width, height: image.height },
    model: { name: config.name, version: config.version, imageSize: config.imageSize },
    prompts,
    ms,
  };
  const text = `${JSON.stringify(result)}\n`;
  const files = new Map<string, Uint8Array>();
  if (options.saveLogits !== undefined) files.set(options.saveLogits, logitsFile(predictions));
  if (out !== undefined) addPictures(files, out, image, sets, predictions);
  if (out !== undefined) files.set(join(out, "result.json"), new TextEncoder().encode(text));
  await writeFiles(files, signal);
  status.clear();

  if (json) io.stdout.write(text);
  else if (!quiet) io.stdout.write(summary(result, modelTitle(config), sets, [...files.keys()], io));
}

/** photo.jpg → photo.sam2 */
function defaultFolder(path: string): string {
  return `${basename(path, extname(path))}.sam2`;
}

function expectPrompts(image: string, options: SegmentOptions): void {
  const flags = (["point", "box", "maskInput"] as const).filter((flag) => options[flag] !== undefined);
  const example = `sam2 segment ${image} --point 500,375`;
  if (options.prompts !== undefined && flags.length > 0) {
    throw new UsageError("segment", "--prompts alone", `${flags.length} more`, "put all prompts into the file");
  }
  if (options.prompts === undefined && flags.length === 0) {
    throw new UsageError("segment", "--point, --box, --mask-input or --prompts", "no prompt", `e.g. ${example}`);
  }
  if (options.maskIndex !== undefined && options.maskInput === undefined) {
    throw new UsageError("--mask-index", "a file of masks to choose from", "none", "add --mask-input FILE");
  }
}

interface MaskResult {
  iou: number;
  area: number;
  bbox: [x: number, y: number, w: number, h: number];
  rle: Rle;
}

function masksOf({ masks, iouPredictions, width, height }: Prediction): MaskResult[] {
  return masks.map((mask, k) => {
    const rle = encodeRle(mask, width, height);
    return { iou: iouPredictions[k], area: rleArea(rle), bbox: rleBbox(rle), rle };
  });
}

function addPictures(
  files: Map<string, Uint8Array>,
  folder: string,
  image: RgbImage,
  sets: readonly PromptSet[],
  predictions: readonly Prediction[],
): void {
  for (const [p, { masks, iouPredictions, width, height }] of predictions.entries()) {
    for (const [k, mask] of masks.entries()) {
      files.set(join(folder, `mask_${p}_${k}.png`), encodeMaskPng(mask, width, height));
    }
    const picture = overlay(image, [masks[best(iouPredictions)]], [sets[p].prompt]);
    files.set(join(folder, `overlay_${p}.png`), encodePng({ ...picture, channels: 3 }));
  }
}

/** `low_res_logits` [M, h, w] and `iou_predictions` [M]; numbered if there are several prompts. */
function logitsFile(predictions: readonly Prediction[]): Uint8Array {
  const tensors = new Map<string, WrittenTensor>();
  for (const [p, { lowResMasks, lowResSize, iouPredictions }] of predictions.entries()) {
    const suffix = predictions.length > 1 ? `.${p}` : "";
    const data = new Float32Array(lowResMasks.length * lowResSize ** 2);
    for (const [k, mask] of lowResMasks.entries()) data.set(mask, k * mask.length);
    tensors.set(`low_res_logits${suffix}`, { shape: [lowResMasks.length, lowResSize, lowResSize], data });
    tensors.set(`iou_predictions${suffix}`, { shape: [iouPredictions.length], data: iouPredictions });
  }
  return writeSafetensors(tensors);
}

interface Result {
  image: { path: string; width: number; height: number };
  model: { name: string; version: string; imageSize: number };
  prompts: { multimask: boolean; masks: MaskResult[] }[];
  ms: Record<string, number>;
}

function summary(
  { image, prompts, ms }: Result,
  model: string,
  sets: readonly PromptSet[],
  files: string[],
  io: Io,
): string {
  const paint = painter(io.stdout, io.env);
  const pixels = image.width * image.height;
  const lines = [
    `${paint("bold", image.path)}  ${image.width}×${image.height} · ${model} · ${(ms.total / 1000).toFixed(1)} s`,
  ];
  for (const [p, { masks }] of prompts.entries()) {
    lines.push(`  prompt ${p}: ${describe(sets[p].prompt)}`);
    for (const [k, { iou, area, bbox }] of masks.entries()) {
      const share = `${((100 * area) / pixels).toFixed(1)} %`.padStart(7);
      lines.push(
        `    mask ${p}_${k}  predicted IoU ${iou.toFixed(3)}  ${share} of the image  ${paint("dim", `bbox ${bbox.join(",")}`)}`,
      );
    }
  }
  const places = [...new Set(files.map((file) => (file.endsWith(".safetensors") ? file : join(file, ".."))))];
  lines.push(`  written to ${paint("bold", places.join(", "))}`);
  return `${lines.join("\n")}\n`;
}

function describe({ points = [], labels, box, maskInput }: Prompt): string {
  const clicks = points.map(([x, y], i) => `${labels?.[i] === 0 ? "not " : ""}(${x}, ${y})`);
  const corners = box ? [`box ${box.join(",")}`] : [];
  return [...clicks, ...corners, ...(maskInput ? ["mask"] : [])].join(", ");
}

/** Milliseconds to a tenth. */
function stopwatch() {
  const start = performance.now();
  let last = start;
  const round = (ms: number) => Math.round(ms * 10) / 10;
  return {
    lap(): number {
      const now = performance.now();
      const ms = round(now - last);
      last = now;
      return ms;
    },
    total: () => round(performance.now() - start),
  };
}
