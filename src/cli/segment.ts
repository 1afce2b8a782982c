import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { type AnnotationFormat, annotationNames } from "../io/formats/write.ts";
import { decodeImage } from "../io/image.ts";
import { modelOf, type PromptResult, promptResult } from "../jobs/image_result.ts";
import { promptsFor } from "../jobs/prompts.ts";
import { ImagePredictor } from "../predict/image_predictor.ts";
import { Sam2 } from "../predict/sam2.ts";
import { notify } from "../platform/notices.ts";
import { addFormatOption, annotationFiles, seenFrom } from "./annotation_files.ts";
import { pictureName, readPicture, replaceFile } from "./files.ts";
import { type Io, painter, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, click, corners, count, expectFolder, type ModelOptions, once } from "./options.ts";
import { type PromptOptions, promptFromOptions, promptsFromFile } from "./prompts.ts";
import { SegmentPictures } from "./segment_pictures.ts";
import { type Logits, logitsFile, logitsOf, objectsOf, type SegmentResult, summary } from "./segment_result.ts";
import { stopwatch, tenths } from "./stopwatch.ts";

interface SegmentOptions extends ModelOptions, PromptOptions {
  model?: string;
  prompts?: string;
  out?: string;
  cutout?: boolean;
  format?: AnnotationFormat[];
  saveLogits?: string;
  maxHoleArea?: number;
  maxSprinkleArea?: number;
}

/** How many masks the model gives where one would not tell part from whole. */
const MULTIMASKS = 3;

const EXAMPLES = `
Examples:
  sam2 segment truck.jpg --point 500,375                     what is at this pixel: three masks, part to whole
  sam2 segment truck.jpg --point 500,375 --point 900,40,0    … but without what is at (900, 40): one mask
  sam2 segment truck.jpg --box 425,600,700,875 --json        masks as JSON with COCO run lengths, no files
  sam2 segment truck.jpg --prompts clicks.json --out masks   several objects: [{"points": [[500, 375]]}, …]
  sam2 segment https://example.org/truck.jpg --point 500,375 --cutout
  sam2 segment truck.jpg --point 500,375 --save-logits a.safetensors
  sam2 segment truck.jpg --mask-input a.safetensors --point 620,400      refine the best mask of that

Writes mask_<prompt>_<k>.png (0 or 255), overlay.png (of every prompt the mask of highest predicted IoU) and result.json.
What an earlier run has written there goes; other files stay. Coordinates are pixels of the image, x before y, from the
top left. Numbering starts at 0.
`;

/** sam2 segment IMAGE */
export function addSegment(program: Command, io: Io): void {
  const command = program
    .command("segment")
    .summary("cut objects out of an image: by clicks, a box or a mask")
    .description("Masks for what you click on, draw a box around, or have a mask of already.")
    .argument("<image>", "a picture's path or http(s) address, or - for standard input")
    .optionsGroup("Prompts:")
    .option("--point <x,y[,0]>", "a click on the object, or beside it with ,0; may be repeated", click)
    .option("--box <x0,y0,x1,y1>", "a box around the object", once("--box", corners))
    .option("--mask-input <file>", "logits of an earlier run (--save-logits)", once("--mask-input", String))
    .option("--mask-index <k>", "which of its masks (default: highest predicted IoU)", count("--mask-index", 0))
    .option(
      "--mask-image <file>",
      "a mask as a picture: white on black, or its alpha; or COCO JSON",
      once("--mask-image", String),
    )
    .option("--prompts <file>", "several prompts, as JSON")
    .optionsGroup("Masks:")
    .option("--multimask", "three masks for each prompt (default for a single click)")
    .option("--no-multimask", "one mask for each prompt (default for anything else)")
    .option("--max-hole-area <n>", "fill holes up to n pixels of the low-resolution mask", count("--max-hole-area", 0))
    .option("--max-sprinkle-area <n>", "remove specks up to n such pixels", count("--max-sprinkle-area", 0))
    .optionsGroup("Output:")
    .option("--out <folder>", "default: <file name>.sam2, unless --json alone is asked for")
    .option("--cutout", "also cutout_<prompt>.png, the object on nothing")
    .option("--save-logits <file>", "low-resolution logits and predicted IoUs, as safetensors");
  addFormatOption(command);
  addModelOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((image: string, options: SegmentOptions) => segment(image, options, io));
}

async function segment(path: string, options: SegmentOptions, io: Io): Promise<void> {
  const { json, quiet, multimask, prompts: file, format: formats = [] } = options;
  const name = pictureName(path);
  const { out = json ? undefined : `${name}.sam2` } = options;
  expectPrompts(path, options);
  const status = new Status(io, quiet);
  const watch = stopwatch();
  const { signal } = io;

  status.show(`reading ${path} …`);
  const bytes = await readPicture(path, signal);
  const image = await decodeImage(bytes, { where: path, onNotice: (text) => notify(`${path}: ${text}`) });
  const ms = { load: 0, decode: watch.lap(), encode: 0, predict: 0, total: 0 };

  const sets = file === undefined ? [await promptFromOptions(options)] : await promptsFromFile(file, multimask);
  for (const { maskImage } of sets) if (maskImage && "note" in maskImage && maskImage.note) notify(maskImage.note);
  const model = await chosenModel(options, io);
  status.show(`loading ${model} …`);
  const sam2 = await Sam2.fromPretrained(model, { ...options, video: false, signal });
  ms.load = watch.lap();

  let pictures: SegmentPictures | undefined;
  try {
    const { config } = sam2;
    const { width, height } = image;
    const asked = promptsFor(sets, { width, height, imageSize: config.imageSize, normalizeCoords: true });
    const numMasks = sets.map(({ multimask }) => (multimask ? MULTIMASKS : 1));
    if (out !== undefined) {
      const others = annotationNames(formats, [name]);
      pictures = await SegmentPictures.open(out, image, numMasks, options.cutout ?? false, others);
    }
    const { maxHoleArea, maxSprinkleArea } = options;
    const predictor = new ImagePredictor(sam2, { maxHoleArea, maxSprinkleArea });
    status.show(`looking at ${path} (${width}×${height}) …`);
    await predictor.setImage(image, { signal });
    ms.encode = watch.lap();

    const prompts: PromptResult[] = [];
    const logits: Logits[] = [];
    for (const [p, prompt] of asked.entries()) {
      status.show(`prompt ${p + 1} of ${asked.length} …`);
      const { multimask } = sets[p];
      watch.lap();
      const prediction = await predictor.predict(prompt, { multimaskOutput: multimask, signal });
      ms.predict = tenths(ms.predict + watch.lap());
      prompts.push(promptResult(prediction, multimask));
      if (options.saveLogits !== undefined) logits.push(logitsOf(prediction));
      await pictures?.add(p, prediction);
    }
    if (pictures) status.show("drawing overlay.png …");
    await pictures?.addOverlay(asked);
    if (pictures && out !== undefined) {
      const annotated = { file: name, path: seenFrom(out, path), width, height, objects: objectsOf(prompts, asked) };
      for (const [name, bytes] of annotationFiles(formats, [annotated])) await pictures.folder.write(name, bytes);
    }
    if (options.saveLogits !== undefined) replaceFile(options.saveLogits, logitsFile(logits));
    signal.throwIfAborted();
    ms.total = watch.total();

    const files = pictures && { files: pictures.folder.files };
    const result: SegmentResult = { image: { path, width, height }, model: modelOf(config), prompts, ...files, ms };
    const text = `${JSON.stringify(result)}\n`;
    await pictures?.folder.finish(new TextEncoder().encode(text));
    status.clear();
    const places = [out, options.saveLogits].filter((place) => place !== undefined);
    if (json) io.stdout.write(text);
    else if (!quiet) io.stdout.write(summary(result, config, asked, places, painter(io.stdout, io.env)));
  } catch (error) {
    status.clear();
    await pictures?.folder.undo();
    throw error;
  } finally {
    sam2.dispose();
  }
}

function expectPrompts(image: string, options: SegmentOptions): void {
  const flags = (["point", "box", "maskInput", "maskImage"] as const).filter((flag) => options[flag] !== undefined);
  const example = `sam2 segment ${image} --point 500,375`;
  if (options.prompts !== undefined && flags.length > 0) {
    throw new UsageError("segment", "--prompts alone", `${flags.length} more`, "put all prompts into the file");
  }
  if (options.prompts === undefined && flags.length === 0) {
    const expected = "--point, --box, --mask-input, --mask-image or --prompts";
    throw new UsageError("segment", expected, "no prompt", `e.g. ${example}`);
  }
  if (options.maskInput !== undefined && options.maskImage !== undefined) {
    throw new UsageError("segment", "--mask-input or --mask-image", "both", "leave out one of them");
  }
  if (options.maskIndex !== undefined && options.maskInput === undefined) {
    throw new UsageError("--mask-index", "a file of masks to choose from", "none", "add --mask-input FILE");
  }
  expectFolder(options, ["cutout", "format"]);
}
