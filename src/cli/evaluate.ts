import type { Command } from "commander";
import { Sam2Error } from "../errors.ts";
import { overall, type Pair, type VideoScores } from "../evaluate/evaluate_video.ts";
import { findMaskFolders, type MaskFolder, readMaskFolder } from "../io/formats/davis.ts";
import { notify } from "../platform/notices.ts";
import { platform } from "../platform/platform.ts";
import { evaluateAll } from "./evaluate_pool.ts";
import { type Io, type Paint, painter, Status } from "./io.ts";
import { addCommonOptions, type CommonOptions } from "./options.ts";

interface EvaluateOptions extends CommonOptions {
  allFrames?: boolean;
}

const EXAMPLES = `
Examples:
  sam2 evaluate run.sam2 DAVIS/Annotations/480p/bear       one video
  sam2 evaluate predicted DAVIS/Annotations/480p --json    a folder for each video, of the same names
  sam2 evaluate predicted sav_val/Annotations_6fps         SA-V: in it a folder for each object

J is the intersection over union of the masks, F compares their outlines, J&F is their mean; in percent, as SA-V's
sav_evaluator.py computes them. The first and the last frame of the truth do not count: there the mask is given.
`;

/** sam2 evaluate PREDICTED TRUTH */
export function addEvaluate(program: Command, io: Io): void {
  const command = program
    .command("evaluate")
    .summary("compare masks of videos with the truth: J, F and J&F")
    .description("How good are the masks of a video, or of a data set of videos?")
    .argument("<predicted>", "a folder of PNG masks, as track writes it, or one with a folder for each video")
    .argument("<truth>", "the same, of the truth: DAVIS, YouTube-VOS (pictures of ids) or SA-V (a folder an object)")
    .option("--all-frames", "count the first and the last frame too");
  addCommonOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((predicted: string, truth: string, options: EvaluateOptions) => evaluate(predicted, truth, options, io));
}

async function evaluate(predicted: string, truth: string, options: EvaluateOptions, io: Io): Promise<void> {
  const { json, quiet, allFrames = false } = options;
  const status = new Status(io, quiet);
  try {
    status.show(`looking into ${truth} …`);
    const folders = await pairUp(predicted, truth);
    const pairs: Pair[] = folders.map((pair) => ({ ...pair, allFrames }));
    const show = (done: number) => status.show(`${done} of ${pairs.length} videos …`);
    show(0);
    const videos = await evaluateAll(pairs, platform.cores(), io.signal, show);
    status.clear();
    expectScores(videos, truth);
    if (json) io.stdout.write(`${JSON.stringify({ ...overall(videos), videos })}\n`);
    else io.stdout.write(table(videos, painter(io.stdout, io.env)));
  } finally {
    status.clear();
  }
}

/** @throws Sam2Error if a video of the truth was not predicted */
async function pairUp(predicted: string, truth: string): Promise<{ predicted: MaskFolder; truth: MaskFolder }[]> {
  const wanted = await findMaskFolders(truth);
  if (wanted.isVideo) {
    const found = await readMaskFolder(predicted);
    if (found.frames.length + found.objects.length === 0) {
      throw new Sam2Error(predicted, "the masks of one video, as in the truth", "no PNG file", "check the path");
    }
    return [{ predicted: found, truth: wanted.videos[0] }];
  }
  const videos = new Map((await findMaskFolders(predicted)).videos.map((video) => [video.name, video]));
  const pairs = wanted.videos.map((video) => {
    const own = videos.get(video.name);
    const todo = "predict it too, or leave it out of the truth";
    if (!own) throw new Sam2Error(`${predicted}/${video.name}`, "masks for every video of the truth", "none", todo);
    videos.delete(video.name);
    return { predicted: own, truth: video };
  });
  if (videos.size > 0) {
    const names = [...videos.keys()].slice(0, 9).join(", ");
    notify(`${predicted}: videos without truth are left out: ${names}`);
  }
  return pairs;
}

function expectScores(videos: readonly VideoScores[], truth: string): void {
  if (videos.some(({ objects }) => objects.length > 0)) return;
  throw new Sam2Error(truth, "an object on the frames that count", "none", "check that the masks are not black");
}

/** Names to the left, numbers to the right. */
function table(videos: readonly VideoScores[], paint: Paint): string {
  const { jf, j, f } = overall(videos);
  const rows = videos.flatMap(({ name, objects }) =>
    objects.map(({ id, j, f }) => [name, `${id}`, (j + f) / 2, j, f] as const),
  );
  const all = "all objects";
  const width = Math.max(all.length, ...rows.map(([name]) => name.length));
  const ids = Math.max("object".length, ...rows.map(([, id]) => id.length));
  const line = (name: string, id: string, numbers: readonly string[]) =>
    `${name.padEnd(width)}  ${id.padStart(ids)}  ${numbers.map((text) => text.padStart(5)).join("  ")}`;
  const percents = (values: readonly number[]) => values.map((value) => value.toFixed(1));
  return [
    paint("dim", line("video", "object", ["J&F", "J", "F"])),
    ...rows.map(([name, id, ...scores]) => line(name, id, percents(scores))),
    paint("bold", line(all, `${rows.length}`, percents([jf, j, f]))),
    "",
  ].join("\n");
}
