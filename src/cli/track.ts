import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdir, rename, stat, truncate, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Command, Option } from "commander";
import { Sam2Error, StateError, UsageError } from "../errors.ts";
import { readCheckpoint } from "../io/checkpoint.ts";
import { encodePalettePng } from "../io/masks.ts";
import { encodeRle, rleArea, rleBbox } from "../io/rle.ts";
import { modelTitle } from "../model/config.ts";
import { checkpointConfig, expectTensors } from "../model/load.ts";
import { Sam2 } from "../predict/sam2.ts";
import { type FrameResult, VideoPredictor } from "../predict/video_predictor.ts";
import type { VideoState } from "../predict/video_state.ts";
import { systemReason } from "./files.ts";
import { type Io, painter, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, count, type ModelOptions } from "./options.ts";
import { writePreview } from "./preview.ts";
import {
  addPromptOptions,
  applyPrompt,
  expectTrackable,
  type TrackPrompt,
  trackPromptsFromFile,
} from "./track_prompts.ts";
import { frameFolder } from "./video_file.ts";

interface TrackOptions extends ModelOptions {
  model?: string;
  prompts?: string;
  start?: number;
  maxFrames?: number;
  reverse?: boolean;
  both?: boolean;
  fillHoleArea: number;
  nonOverlap?: boolean;
  out?: string;
  state?: string;
  every: number;
}

const EXAMPLES = `
Examples:
  sam2 track frames --object 1 --point 210,350                       a click on frame 0
  sam2 track video.mp4 --object 1 --box 10,20,200,300 --object 2 --frame 30 --point 400,80
  sam2 track frames --object 1 --frame 30 --mask person.png --both   forward from frame 30, then back to frame 0
  sam2 track frames --prompts prompts.json --json                    [{"object": 1, "frame": 0, "points": [[210, 350]]}, …]
  sam2 track frames --object 1 --point 210,350 --state run.state     the same command again goes on where it stopped

Writes masks/00000.png (the ids of the objects, in DAVIS colours), frames.jsonl and preview.webp. A prompt with
"correct": true in a file of prompts is applied when tracking reaches its frame. Frames and pixels are counted from 0.
`;

/** sam2 track FRAMES_DIR|VIDEO */
export function addTrack(program: Command, io: Io): void {
  const command = program
    .command("track")
    .summary("follow objects through a video")
    .description("Say on one frame what the objects are; their masks on all others follow.")
    .argument("<frames>", "a folder of JPEG, PNG or WebP files named by number, or a video (needs ffmpeg)")
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
  const prompts = options.prompts === undefined ? flags : await trackPromptsFromFile(options.prompts);
  expectTrackable(prompts, video);
  const status = new Status(io, options.quiet);
  const frames = await frameFolder(video, io.signal);
  try {
    status.show("loading the model …");
    const { fillHoleArea, nonOverlap: nonOverlapMasks } = options;
    const predictor = new VideoPredictor(await loadModel(options, io), { fillHoleArea, nonOverlapMasks });
    await new Run(video, frames.path, prompts, predictor, options, status, io).finish();
  } finally {
    await frames.remove();
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

/** How far a run is. Saved with the state, so that the files fit it. */
interface Progress {
  /** of the command: what it tracks, and how */
  command: string;
  /** directions that are done */
  passes: number;
  /** frames of the direction that is not, and the frame it goes on with */
  frames: number;
  next: number | null;
  /** length of frames.jsonl */
  bytes: number;
}

/** One command: prompts, one or two directions, and the files that grow with every frame. */
class Run {
  readonly #video: string;
  readonly #folder: string;
  readonly #prompts: readonly TrackPrompt[];
  readonly #predictor: VideoPredictor;
  readonly #options: TrackOptions;
  readonly #status: Status;
  readonly #io: Io;
  readonly #out: string | undefined;
  readonly #directions: readonly boolean[];
  #state!: VideoState;
  #progress!: Progress;
  #tracked = 0;
  #total = 0;
  #began = 0;
  #last = 0;

  constructor(
    video: string,
    folder: string,
    prompts: readonly TrackPrompt[],
    predictor: VideoPredictor,
    options: TrackOptions,
    status: Status,
    io: Io,
  ) {
    this.#video = video;
    this.#folder = folder;
    this.#prompts = prompts;
    this.#predictor = predictor;
    this.#options = options;
    this.#status = status;
    this.#io = io;
    const name = basename(resolve(video), extname(video));
    this.#out = options.out ?? (options.json ? undefined : `${name}.sam2`);
    this.#directions = options.both ? [false, true] : [options.reverse ?? false];
  }

  async finish(): Promise<void> {
    await this.#begin();
    this.#total = this.#directions.reduce((sum, reverse) => sum + this.#framesOf(reverse), 0);
    const before = this.#directions.slice(0, this.#progress.passes).map((reverse) => this.#framesOf(reverse));
    const done = before.reduce((sum, n) => sum + n, this.#progress.frames);
    this.#total -= done;
    this.#began = performance.now();
    this.#last = this.#began;
    try {
      while (this.#progress.passes < this.#directions.length) await this.#pass(this.#directions[this.#progress.passes]);
    } catch (error) {
      await this.#save();
      throw error;
    }
    await this.#save();
    if (this.#out !== undefined) {
      this.#status.show("writing preview.webp …");
      await replaceFile(join(this.#out, "preview.webp"), await writePreview(this.#out, this.#state));
    }
    this.#status.clear();
    if (!this.#options.json && !this.#options.quiet) this.#io.stdout.write(this.#summary(done));
  }

  /** A new state with all prompts, or the one that was saved. */
  async #begin(): Promise<void> {
    const { state: file } = this.#options;
    const { signal } = this.#io;
    const command = this.#fingerprint();
    if (file !== undefined && existsSync(file)) {
      const { state, note } = await this.#predictor.loadState(file, this.#folder, { signal });
      this.#state = state;
      this.#progress = JSON.parse(note) as Progress;
      if (this.#progress.command !== command) {
        const todo = "give the same options, or another --state";
        throw new StateError(file, "the command that saved it", "other prompts or options", todo);
      }
      await this.#cutLog(file);
      return;
    }
    this.#state = await this.#predictor.initState(this.#folder, { signal });
    for (const prompt of this.#prompts) {
      if (!prompt.correct) await applyPrompt(this.#predictor, this.#state, prompt, signal);
    }
    this.#progress = { command, passes: 0, frames: 0, next: null, bytes: 0 };
    this.#expectFrames();
    for (const prompt of this.#prompts) this.#expectReached(prompt);
    if (this.#out === undefined) return;
    await mkdir(join(this.#out, "masks"), { recursive: true });
    await writeFile(join(this.#out, "frames.jsonl"), "");
  }

  /** What decides about the output, but not where it goes. */
  #fingerprint(): string {
    const { model, config, imageSize, kernels, start, maxFrames, reverse, both } = this.#options;
    const prompts = this.#prompts.map(({ where, ...prompt }) => prompt);
    const said = JSON.stringify([model, config, imageSize, kernels, start, maxFrames, reverse, both, prompts]);
    return createHash("sha256").update(said).digest("hex");
  }

  /** Lines that were written after the state was saved are cut off, and will be written again. */
  async #cutLog(file: string): Promise<void> {
    if (this.#out === undefined) return;
    const log = join(this.#out, "frames.jsonl");
    const size = (await stat(log).catch(() => undefined))?.size ?? 0;
    if (size < this.#progress.bytes) {
      const todo = `remove ${file} to start again`;
      throw new StateError(log, `the ${this.#progress.bytes} bytes that ${file} goes on from`, `${size}`, todo);
    }
    await truncate(log, this.#progress.bytes);
  }

  get #start(): number {
    const said = this.#prompts.filter(({ correct }) => !correct).map(({ frame }) => frame);
    return this.#options.start ?? Math.min(...said);
  }

  /** Frames of one direction. */
  #framesOf(reverse: boolean): number {
    const room = reverse ? (this.#start > 0 ? this.#start + 1 : 0) : this.#state.numFrames - this.#start;
    return Math.min(room, this.#options.maxFrames ?? room);
  }

  #expectFrames(): void {
    const start = this.#start;
    const last = this.#state.numFrames - 1;
    const least = this.#options.reverse ? 1 : 0;
    if (start >= least && start <= last) return;
    const todo = "choose another frame with --start, or the other direction";
    throw new UsageError("--start", `a frame to go on from, ${least}…${last}`, `${start}`, todo);
  }

  #expectReached({ frame, correct, where }: TrackPrompt): void {
    const reached = (reverse: boolean) => {
      const distance = reverse ? this.#start - frame : frame - this.#start;
      return distance >= 0 && distance < this.#framesOf(reverse);
    };
    if (!correct || this.#directions.some(reached)) return;
    throw new Sam2Error(where, "a frame that is tracked", `${frame}`, 'leave out "correct", or track further');
  }

  /** One direction, from where it stands. */
  async #pass(reverse: boolean): Promise<void> {
    const progress = this.#progress;
    const total = this.#framesOf(reverse);
    const step = reverse ? -1 : 1;
    while (progress.frames < total) {
      const startFrame = progress.next ?? this.#start;
      const maxFrames = total - progress.frames - 1;
      const resume = progress.next !== null;
      const pass = this.#predictor.propagateInVideo(this.#state, { startFrame, maxFrames, reverse, resume });
      for await (const result of pass) {
        const corrections = this.#correctionsOn(result.frame);
        let latest = result;
        for (const prompt of corrections) {
          latest = await applyPrompt(this.#predictor, this.#state, prompt, this.#io.signal);
        }
        await this.#write(latest);
        progress.frames++;
        progress.next = latest.frame + step;
        if (++this.#tracked % this.#options.every === 0 && progress.frames < total) await this.#save();
        await nextTurn(); // Ctrl-C is heard here
        this.#io.signal.throwIfAborted();
        if (corrections.length > 0) break; // what follows sees them
      }
    }
    progress.passes++;
    progress.frames = 0;
    progress.next = null;
  }

  #correctionsOn(frame: number): TrackPrompt[] {
    if (this.#progress.passes > 0 && frame === this.#start) return []; // the first direction has applied them
    return this.#prompts.filter((prompt) => prompt.correct && prompt.frame === frame);
  }

  async #write({ frame, objects }: FrameResult): Promise<void> {
    const { width, height } = this.#state;
    const lines = objects.map(({ id, score, mask }) => {
      const rle = encodeRle(mask, width, height);
      return { id, score, area: rleArea(rle), bbox: rleBbox(rle), rle };
    });
    if (this.#out !== undefined) {
      const ids = new Uint8Array(width * height);
      for (const { id, mask } of objects) for (let i = 0; i < mask.length; i++) if (mask[i]) ids[i] = id;
      const name = `${String(frame).padStart(5, "0")}.png`;
      await replaceFile(join(this.#out, "masks", name), encodePalettePng(ids, width, height));
      const line = `${JSON.stringify({ frame, objects: lines })}\n`;
      await appendFile(join(this.#out, "frames.jsonl"), line);
      this.#progress.bytes += Buffer.byteLength(line);
    }
    const now = performance.now();
    const ms = Math.round((now - this.#last) * 10) / 10;
    this.#last = now;
    if (this.#options.json) this.#io.stdout.write(`${JSON.stringify({ frame, objects: lines, ms })}\n`);
    this.#showProgress(frame, now);
  }

  #showProgress(frame: number, now: number): void {
    const finished = this.#tracked + 1;
    const rate = finished / ((now - this.#began) / 1000);
    const left = Math.round((this.#total - finished) / rate);
    const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    const speed = rate < 1 ? `${(1 / rate).toFixed(1)} s a frame` : `${rate.toFixed(1)} frames/s`;
    this.#status.show(`frame ${frame} · ${finished} of ${this.#total} · ${speed} · ${time} left`);
  }

  async #save(): Promise<void> {
    const { state: file } = this.#options;
    if (file === undefined) return;
    await mkdir(dirname(file), { recursive: true });
    await this.#predictor.saveState(this.#state, file, JSON.stringify(this.#progress));
  }

  #summary(before: number): string {
    const paint = painter(this.#io.stdout, this.#io.env);
    const { config } = this.#predictor.sam2;
    const seconds = (performance.now() - this.#began) / 1000;
    const speed = this.#tracked === 0 ? "" : ` · ${(this.#tracked / seconds).toFixed(2)} frames/s`;
    const ids = this.#state.objectIds.join(", ");
    const earlier = before > 0 ? ` (${before} before)` : "";
    return [
      `${paint("bold", this.#video)}  ${this.#state.width}×${this.#state.height} · ${modelTitle(config)}`,
      `  ${this.#tracked} frames${earlier} · objects ${ids}${speed}`,
      `  written to ${paint("bold", this.#out ?? "")}: masks, frames.jsonl, preview.webp`,
      "",
    ].join("\n");
  }
}

/** Write a file beside its place, then move it there: whoever looks sees all of it or nothing. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  try {
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  } catch (cause) {
    throw new Sam2Error(path, "a file that can be written", systemReason(cause), "free some space", { cause });
  }
}
