import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import { readCheckpoint } from "../io/checkpoint.ts";
import { expectTrackable, type TrackPrompt, withMasks } from "../jobs/track_prompts.ts";
import { checkpointConfig, expectTensors } from "../model/load.ts";
import { Sam2 } from "../predict/sam2.ts";
import { VideoPredictor } from "../predict/video_predictor.ts";
import { openFrames } from "../video/open.ts";
import { readInput } from "../platform/node_files.ts";
import { notify } from "../platform/notices.ts";
import { addFormatOption } from "./annotation_files.ts";
import { type Io, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, count, expectFolder } from "./options.ts";
import { addPromptOptions, trackPromptsFromFile } from "./track_prompts.ts";
import { Run, type TrackOptions } from "./track_run.ts";

const EXAMPLES = `
Examples:
  sam2 track frames --object 1 --point 210,350                       a click on frame 0
  sam2 track video.mp4 --object 1 --box 10,20,200,300 --object 2 --frame 30 --point 400,80
  sam2 track frames --object 1 --frame 30 --mask person.png --both   forward from frame 30, then back to frame 0
  sam2 track frames --prompts prompts.json --json                    [{"object": 1, "frame": 0, "points": [[210, 350]]}, …]
  sam2 track frames --object 1 --point 210,350 --state run.state     the same command again goes on where it stopped

Writes masks/NAME.png for every frame (the ids of the objects, in DAVIS colours), frames.jsonl and preview.webp. NAME is
that of the frame in a folder; frames of a video are 00000, 00001 … A prompt with "correct": true in a file of prompts is
applied when tracking reaches its frame. Frames and pixels are counted from 0.
`;

/** sam2 track FRAMES_DIR|VIDEO */
export function addTrack(program: Command, io: Io): void {
  const command = program
    .command("track")
    .summary("follow objects through a video")
    .description("Say on one frame what the objects are; their masks on all others follow.")
    .argument("<frames>", "a folder of JPEG, PNG or WebP files, or a video (needs ffmpeg)")
    .optionsGroup("Prompts:");
  const flags = addPromptOptions(command);
  command
    .option("--prompts <file>", "prompts as JSON instead")
    .optionsGroup("Frames:")
    .option("--start <f>", "where tracking starts (default: the first frame with a prompt)", count("--start", 0))
    .option("--max-frames <n>", "track at most n frames in each direction", count("--max-frames"))
    .option("--reverse", "backward in time")
    .addOption(new Option("--both", "forward, then from the start back to frame 0").conflicts("reverse"))
    .optionsGroup("Masks:")
    .option("--fill-hole-area <n>", "fill holes up to n low-resolution pixels", count("--fill-hole-area", 0), 0)
    .option("--non-overlap", "a pixel belongs to one object at most")
    .optionsGroup("Output:")
    .option("--out <folder>", "default: <name of the frames>.sam2, unless --json alone is asked for")
    .option("--per-object", "also masks/<id>/NAME.png, black and white");
  addFormatOption(command);
  command
    .option("--state <file>", "save there how far it is, and go on from there")
    .option("--every <n>", "save every n frames", count("--every"), 1);
  addModelOptions(command);
  command
    .addHelpText("after", EXAMPLES)
    .action((video: string, options: TrackOptions) => track(video, flags, options, io));
}

async function track(video: string, flags: readonly TrackPrompt[], options: TrackOptions, io: Io): Promise<void> {
  if (options.prompts !== undefined && flags.length > 0) {
    throw new UsageError("track", "--prompts alone", `${flags.length} more`, "put all prompts into the file");
  }
  expectFolder(options, ["format"]);
  const given = options.prompts === undefined ? flags : await trackPromptsFromFile(options.prompts);
  expectTrackable(given, video);
  const prompts = await withMasks(given, readInput, notify);
  expectTrackable(prompts, video);
  const status = new Status(io, options.quiet);
  status.show("opening the video …");
  const onSkip = (frame: number) => status.show(`reading frame ${frame} …`);
  const frames = await openFrames(video, { signal: io.signal, onSkip });
  try {
    status.show("loading the model …");
    const { fillHoleArea, nonOverlap: nonOverlapMasks } = options;
    const predictor = new VideoPredictor(await loadModel(options, io), { fillHoleArea, nonOverlapMasks });
    await new Run(video, frames, prompts, predictor, options, status, io).finish();
  } finally {
    frames.close();
    status.clear();
  }
}

/** @throws CheckpointError naming what an image-only file lacks */
async function loadModel(options: TrackOptions, io: Io): Promise<Sam2> {
  const { config, imageSize, kernels, threads } = options;
  const checkpoint = await readCheckpoint(await chosenModel(options, io), { signal: io.signal });
  try {
    expectTensors(checkpoint, checkpointConfig(checkpoint, { config, imageSize }), "video");
    return await Sam2.fromCheckpoint(checkpoint, { config, imageSize, kernels, threads });
  } finally {
    checkpoint.close();
  }
}
