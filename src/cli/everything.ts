import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Command } from "commander";
import { Sam2Error, UsageError } from "../errors.ts";
import { modelOf } from "../jobs/image_result.ts";
import { checkOptions } from "../predict/automatic_mask_options.ts";
import { Sam2 } from "../predict/sam2.ts";
import { stemOf } from "../video/folder.ts";
import { notify } from "../platform/notices.ts";
import { addFormatOption } from "./annotation_files.ts";
import { EverythingIndex } from "./everything_index.ts";
import { addMaskOptions, maskOptions } from "./everything_options.ts";
import { type EverythingOptions, EverythingRun, type Picture } from "./everything_run.ts";
import { pictureName, STDIN } from "./files.ts";
import { type Io, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, expectFolder } from "./options.ts";
import { stopwatch } from "./stopwatch.ts";

const EXAMPLES = `
Examples:
  sam2 everything photo.jpg --model tiny                  labels.png, overlay.png and result.json in photo.jpg.sam2
  sam2 everything photo.jpg --json > masks.json           records with COCO run lengths, no files
  sam2 everything *.jpg --out masks --format coco         a folder for each photo, and one file of annotations of all
  sam2 everything photo.jpg --points-per-side 16          a quarter of the points: faster, small objects are missed
  sam2 everything photo.jpg --crop-n-layers 1 --crop-n-points-downscale-factor 2
                                                          looks at four enlarged parts as well: more small objects
  sam2 everything photo.jpg --pred-iou-thresh 0.7 --stability-score-thresh 0.9      more masks, worse ones too
  sam2 everything photo.jpg --min-mask-region-area-full 100                         no holes or specks below 100 pixels

A grid of points is laid over the picture; each point gives up to three masks, of which those stay that the model expects
to be good and that are stable. labels.png has 16 bits: 0 is nothing, k is record k − 1, smaller masks lie over larger ones.
What an earlier run has written there goes; other files stay. The options and defaults are upstream's.
`;

/** sam2 everything IMAGE… */
export function addEverything(program: Command, io: Io): void {
  const command = program
    .command("everything")
    .summary("find every object of an image, without a prompt")
    .description("Masks of everything in a picture, or in several.")
    .argument("<images...>", "paths or http(s) addresses of pictures, or - for standard input");
  addMaskOptions(command);
  command
    .optionsGroup("Output:")
    .option("--out <folder>", "default: <file name>.sam2, unless --json alone; of several images <folder>/<file name>")
    .option("--masks", "also mask_<k>.png of every record, black and white");
  addFormatOption(command);
  addModelOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((images: string[], options: EverythingOptions) => everything(images, options, io));
}

async function everything(paths: readonly string[], options: EverythingOptions, io: Io): Promise<void> {
  const { out, format: formats = [], quiet } = options;
  expectFolder(options, ["masks", "format"]);
  checkOptions(maskOptions(options));
  const pictures = picturesOf(paths, options);
  const isSeveral = pictures.length > 1;
  for (const { path, name } of pictures) {
    if (name !== pictureName(path)) notify(`${path}: its results are called ${name}, for another has its name`);
  }
  const index = isSeveral && out !== undefined ? await EverythingIndex.open(out, pictures, formats) : undefined;
  const status = new Status(io, quiet);
  const watch = stopwatch();
  const model = await chosenModel(options, io);
  status.show(`loading ${model} …`);
  const sam2 = await Sam2.fromPretrained(model, { ...options, video: false, signal: io.signal });
  const run = new EverythingRun(sam2, options, io, status);
  let load = watch.lap();
  let failed = 0;
  try {
    for (const [i, picture] of pictures.entries()) {
      const title = isSeveral ? `${picture.name} (${i + 1} of ${pictures.length})` : picture.name;
      try {
        const found = await run.segment(picture, title, load);
        index?.add(picture, found);
        load = 0; // the model is loaded once
      } catch (error) {
        if (!isSeveral || io.signal.aborted || !(error instanceof Sam2Error) || error instanceof UsageError)
          throw error;
        status.clear();
        io.stderr.write(`sam2: ${error.message}\n`);
        index?.fail(picture, error);
        failed++;
      }
      await nextTurn(); // Ctrl-C is heard here
      io.signal.throwIfAborted();
    }
    await index?.write(modelOf(sam2.config));
  } finally {
    status.clear();
    sam2.dispose();
  }
  if (failed > 0) {
    const todo = "see the lines above; the others are done";
    throw new Sam2Error("everything", `${pictures.length} usable pictures`, `${pictures.length - failed}`, todo);
  }
}

function picturesOf(paths: readonly string[], { json, out, format = [] }: EverythingOptions): Picture[] {
  const isSeveral = paths.length > 1;
  if (paths.filter((path) => path === STDIN).length > 1) {
    throw new UsageError("everything", "standard input once", "twice", "name each picture once");
  }
  if (isSeveral && format.length > 0 && out === undefined) {
    throw new UsageError("--format", "a folder for the annotations of all pictures", "none", "add --out FOLDER");
  }
  return differentNames(paths.map(pictureName)).map((name, i) => {
    const beside = json ? undefined : `${name}.sam2`;
    const folder = out === undefined ? beside : isSeveral ? join(out, name) : out;
    return { path: paths[i], name, folder, root: out ?? folder, own: isSeveral ? [] : format };
  });
}

/** Names of which none is another, in whatever case: photo.jpg, photo-2.jpg. */
function differentNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const [stem, ending] = [stemOf(name), name.slice(stemOf(name).length)];
    let free = name;
    for (let n = 2; taken.has(free.toLowerCase()) || (n > 2 && names.includes(free)); n++)
      free = `${stem}-${n}${ending}`;
    taken.add(free.toLowerCase());
    return free;
  });
}
