import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { PromptError, Sam2Error, StateError, UsageError } from "../errors.ts";
import type { AnnotationFormat } from "../io/formats/write.ts";
import { type FrameLine, lineOf } from "../jobs/frame_line.ts";
import { applyPrompt, namesOf, type TrackPrompt } from "../jobs/track_prompts.ts";
import { modelTitle } from "../model/config.ts";
import type { FrameResult, VideoPredictor } from "../predict/video_predictor.ts";
import type { VideoState } from "../predict/video_state.ts";
import type { Frames } from "../video/frames.ts";
import { type Io, painter, type Status } from "./io.ts";
import type { ModelOptions } from "./options.ts";
import { makePreview } from "./preview.ts";
import { annotatedFrames, TrackFiles } from "./track_files.ts";

export interface TrackOptions extends ModelOptions {
  model?: string;
  prompts?: string;
  start?: number;
  maxFrames?: number;
  reverse?: boolean;
  both?: boolean;
  fillHoleArea: number;
  nonOverlap?: boolean;
  out?: string;
  perObject?: boolean;
  format?: AnnotationFormat[];
  state?: string;
  every: number;
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
  /** of all directions */
  written: number;
  /** length of frames.jsonl */
  bytes: number;
}

/** One command: prompts, one or two directions, and the files that grow with every frame. */
export class Run {
  readonly #video: string;
  readonly #frames: Frames;
  readonly #prompts: readonly TrackPrompt[];
  readonly #predictor: VideoPredictor;
  readonly #options: TrackOptions;
  readonly #status: Status;
  readonly #io: Io;
  readonly #files: TrackFiles | undefined;
  readonly #directions: readonly boolean[];
  readonly #names: ReadonlyMap<number, string>;
  #state!: VideoState;
  #progress!: Progress;
  /** until the files of the latest frame are written */
  #written = Promise.resolve();
  #tracked = 0;
  #began = 0;
  #last = 0;

  constructor(
    video: string,
    frames: Frames,
    prompts: readonly TrackPrompt[],
    predictor: VideoPredictor,
    options: TrackOptions,
    status: Status,
    io: Io,
  ) {
    this.#video = video;
    this.#frames = frames;
    this.#prompts = prompts;
    this.#predictor = predictor;
    this.#options = options;
    this.#status = status;
    this.#io = io;
    const out = options.out ?? (options.json ? undefined : `${basename(resolve(video))}.sam2`);
    this.#files = out === undefined ? undefined : new TrackFiles(out, options.perObject ?? false);
    this.#directions = options.both ? [false, true] : [options.reverse ?? false];
    this.#names = namesOf(prompts);
  }

  async finish(): Promise<void> {
    await this.#begin();
    const before = this.#progress.written;
    this.#began = performance.now();
    this.#last = this.#began;
    try {
      while (this.#progress.passes < this.#directions.length) await this.#pass(this.#directions[this.#progress.passes]);
    } finally {
      await this.#save();
    }
    if (this.#files) {
      this.#status.show("writing preview.webp …");
      const lines = await this.#files.lines();
      this.#files.writePreview(await makePreview(lines, this.#frames, this.#predictor.sam2, this.#io.signal));
      const annotated = annotatedFrames(lines, this.#video, this.#files.folder, this.#frames);
      await this.#files.writeAnnotations(this.#options.format ?? [], annotated);
    }
    this.#status.clear();
    this.#expectCorrected();
    if (!this.#options.json && !this.#options.quiet) this.#io.stdout.write(this.#summary(before));
  }

  /** A new state with all prompts, or the one that was saved. */
  async #begin(): Promise<void> {
    const { state: file } = this.#options;
    const { signal } = this.#io;
    const command = this.#fingerprint();
    if (file !== undefined && existsSync(file)) {
      this.#status.show("reading the frames that were tracked before …");
      const { state, note } = await this.#predictor.loadState(file, this.#frames, { signal });
      this.#state = state;
      this.#progress = JSON.parse(note) as Progress;
      if (this.#progress.command !== command) {
        const todo = "give the same options, or another --state";
        throw new StateError(file, "the command that saved it", "other prompts or options", todo);
      }
      await this.#files?.resume(this.#progress.bytes, file);
      return;
    }
    this.#state = await this.#predictor.initState(this.#frames, { keepMasks: 0, signal });
    for (const prompt of this.#prompts) {
      this.#status.show(`looking at frame ${prompt.frame} …`);
      if (!prompt.correct) await this.#apply(prompt);
    }
    this.#progress = { command, passes: 0, frames: 0, next: null, written: 0, bytes: 0 };
    await this.#expectStart();
    for (const prompt of this.#prompts) this.#expectReached(prompt);
    await this.#files?.begin();
  }

  /** What decides about the output, but not where it goes. */
  #fingerprint(): string {
    const { model, config, imageSize, kernels, start, maxFrames, reverse, both, perObject } = this.#options;
    const digest = (data: string | NodeJS.ArrayBufferView) => createHash("sha256").update(data).digest("hex");
    const prompts = this.#prompts.map(({ where, picture, ...prompt }) => ({
      ...prompt,
      pixels: picture && digest(picture(this.#frames).mask),
    }));
    const said = JSON.stringify([
      model,
      config,
      imageSize,
      kernels,
      start,
      maxFrames,
      reverse,
      both,
      perObject,
      prompts,
    ]);
    return digest(said);
  }

  get #start(): number {
    const said = this.#prompts.filter(({ correct }) => !correct).map(({ frame }) => frame);
    return this.#options.start ?? Math.min(...said);
  }

  /** Frames of one direction, if the video has `count`. */
  #framesOf(reverse: boolean, count: number): number {
    const room = reverse ? (this.#start > 0 ? this.#start + 1 : 0) : Math.max(0, count - this.#start);
    return Math.min(room, this.#options.maxFrames ?? room);
  }

  async #expectStart(): Promise<void> {
    const start = this.#start;
    const least = this.#options.reverse ? 1 : 0;
    const exists = start < this.#frames.count && (await this.#frames.read(start, 0, this.#io.signal)) !== undefined;
    if (start >= least && exists) return;
    const todo = "choose another frame with --start, or the other direction";
    const last = Number.isFinite(this.#frames.last) ? this.#frames.last : "";
    throw new UsageError("--start", `a frame to go on from, ${least}…${last}`, `${start}`, todo);
  }

  #expectReached({ frame, correct, where }: TrackPrompt): void {
    const reached = (reverse: boolean) => {
      const distance = reverse ? this.#start - frame : frame - this.#start;
      return distance >= 0 && distance < this.#framesOf(reverse, this.#frames.count);
    };
    if (!correct || this.#directions.some(reached)) return;
    throw new Sam2Error(where, "a frame that is tracked", `${frame}`, 'leave out "correct", or track further');
  }

  /** Of a video whose length was not known, the end shows whether every correction was reached. */
  #expectCorrected(): void {
    for (const prompt of this.#prompts) this.#expectReached(prompt);
  }

  /** One direction, from where it stands. */
  async #pass(reverse: boolean): Promise<void> {
    const progress = this.#progress;
    const most = this.#framesOf(reverse, this.#frames.count);
    const step = reverse ? -1 : 1;
    for (let goOn = progress.frames < most; goOn;) {
      goOn = false;
      const startFrame = progress.next ?? this.#start;
      const maxFrames = most - progress.frames - 1;
      const resume = progress.next !== null;
      const pass = this.#predictor.propagateInVideo(this.#state, { startFrame, maxFrames, reverse, resume });
      for await (const result of pass) {
        const isRepeated = progress.passes > 0 && result.frame === this.#start; // the first direction has written it
        const corrections = isRepeated ? [] : this.#correctionsOn(result.frame);
        let latest = result;
        for (const prompt of corrections) latest = await this.#apply(prompt);
        if (!isRepeated) await this.#write(latest);
        progress.frames++;
        progress.next = latest.frame + step;
        if (!isRepeated && this.#isSaveDue && progress.frames < most) await this.#save();
        await nextTurn(); // Ctrl-C is heard here
        this.#io.signal.throwIfAborted();
        goOn = corrections.length > 0 && progress.frames < most;
        if (goOn) break; // what follows sees them
      }
    }
    progress.passes++;
    progress.frames = 0;
    progress.next = null;
  }

  async #apply(prompt: TrackPrompt): Promise<FrameResult> {
    const { frame, where } = prompt;
    const { signal } = this.#io;
    const reaches = frame < this.#frames.count && (await this.#frames.read(frame, 1, signal)) !== undefined;
    if (reaches) return applyPrompt(this.#predictor, this.#state, prompt, signal);
    throw new PromptError(
      where,
      `a frame of the video, 0…${this.#frames.count - 1}`,
      `${frame}`,
      "count frames from 0",
    );
  }

  #correctionsOn(frame: number): TrackPrompt[] {
    return this.#prompts.filter((prompt) => prompt.correct && prompt.frame === frame);
  }

  /** The files of a frame are written while the next one is computed: it returns when those of the one before are. */
  async #write(result: FrameResult): Promise<void> {
    const { width, height } = this.#frames;
    const line = lineOf(result, width, height, this.#names, this.#frames.name(result.frame));
    const now = performance.now();
    const ms = Math.round((now - this.#last) * 10) / 10;
    this.#last = now;
    this.#tracked++;
    await this.#written;
    this.#written = this.#writeFiles(result, line, ms);
    this.#written.catch(() => {}); // told to whoever awaits it
  }

  async #writeFiles(result: FrameResult, line: FrameLine, ms: number): Promise<void> {
    const { width, height } = this.#frames;
    if (this.#files) {
      const maxId = Math.max(...this.#state.objectIds);
      this.#progress.bytes += await this.#files.write(line, result, width, height, maxId);
    }
    this.#progress.written++;
    if (this.#options.json) this.#io.stdout.write(`${JSON.stringify({ ...line, ms })}\n`);
    this.#showProgress(result.frame);
  }

  #showProgress(frame: number): void {
    const rate = this.#tracked / ((performance.now() - this.#began) / 1000);
    const speed = rate < 1 ? `${(1 / rate).toFixed(1)} s a frame` : `${rate.toFixed(1)} frames/s`;
    const both = this.#directions.reduce((sum, reverse) => sum + this.#framesOf(reverse, this.#frames.estimate), 0);
    const total = this.#options.both && this.#start > 0 ? both - 1 : both;
    const about = Number.isFinite(this.#frames.count) ? "" : "about ";
    const done = this.#progress.written;
    if (!Number.isFinite(total)) {
      this.#status.show(`frame ${frame} · ${done} · ${speed}`);
      return;
    }
    const left = Math.max(0, Math.round((total - done) / rate));
    const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    this.#status.show(`frame ${frame} · ${done} of ${about}${total} · ${speed} · ${time} left`);
  }

  get #isSaveDue(): boolean {
    const { state, every } = this.#options;
    return state !== undefined && this.#tracked % every === 0;
  }

  /** A state claims no frame whose files are not written: with one, or without, these are awaited. */
  async #save(): Promise<void> {
    await this.#written;
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
      `  written to ${paint("bold", this.#files?.folder ?? "")}: masks, frames.jsonl, preview.webp`,
      "",
    ].join("\n");
  }
}
