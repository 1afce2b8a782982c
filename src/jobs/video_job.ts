import { PromptError, StateError } from "../errors.ts";
import { VideoPredictor } from "../engine/video_predictor.ts";
import type { VideoState } from "../engine/video_state.ts";
import { platform } from "../platform/platform.ts";
import { framesOfFolder } from "../video/folder.ts";
import { entriesOf, type ReadFile } from "./entries.ts";
import { lineOf } from "./frame_line.ts";
import type { JobContext } from "./image_job.ts";
import type { VideoJob } from "./job.ts";
import { applyPrompt, expectTrackable, namesOf, type TrackPrompt, trackPrompts, withMasks } from "./track_prompts.ts";

/** Where a video job keeps how far it is, so that another process can go on. */
export interface SavedState {
  /** The last state; undefined if there is none. */
  read(): Promise<Uint8Array | undefined>;
  /** Keep a state in place of the one before, whole or not at all. */
  write(state: Uint8Array): Promise<void>;
  /** The first `bytes` of the lines; undefined if there are not so many. */
  readLines(bytes: number): Promise<string | undefined>;
  /** Keep lines from byte `at` on, before the state that goes on after them. */
  writeLines(text: string, at: number): Promise<void>;
}

/** What goes with a job about a video. */
export interface VideoContext extends JobContext {
  /** of the video */
  path: string;
  /** what to call the job in an error */
  where: string;
  /** of masks that prompts name */
  read: ReadFile;
  /** where it begins, and how far it gets */
  saved: SavedState;
}

/** How far it is. */
interface Reached {
  /** the frame to go on with */
  next: number;
  /** all lines so far */
  text: string;
  /** of the lines that are kept already: so that each is written once, however long the video is */
  kept: { length: number; bytes: number };
}

/** What is kept with a state. */
type Note = { next: number; bytes: number };

/** A state is saved so often, or seldom enough to take a twentieth of the time. */
const SAVE_MS = 1000;
const SAVE_SHARE = 20;

/**
 * What `sam2 track --json` prints of a video, forward from the first frame with a prompt, without its times: lines of JSON.
 * An aborted job has saved how far it is, and goes on there the next time.
 *
 * @throws PromptError naming the prompt; ImageError naming a frame; the signal's reason if aborted
 */
export async function runVideoJob(predictor: VideoPredictor, job: VideoJob, context: VideoContext): Promise<string> {
  const { path, where, signal, saved } = context;
  const said = trackPrompts(entriesOf(job.prompts, where));
  expectTrackable(said, job.video);
  const prompts = await withMasks(said, context.read, context.notice ?? (() => {}));
  expectTrackable(prompts, job.video);
  const begun = (await resumed(predictor, path, context)) ?? (await started(predictor, path, prompts, signal));
  const { state, reached } = begun;
  try {
    await follow(predictor, state, prompts, reached, await frameNames(path), context);
    return reached.text;
  } catch (error) {
    if (signal?.aborted) await save(predictor, begun, saved);
    throw error;
  } finally {
    await state.dispose();
  }
}

interface Begun {
  state: VideoState;
  reached: Reached;
}

/** Where an earlier attempt stopped; undefined if there was none, or what it left is of no use. */
async function resumed(
  predictor: VideoPredictor,
  path: string,
  { saved, signal }: VideoContext,
): Promise<Begun | undefined> {
  const bytes = await saved.read();
  if (!bytes) return undefined;
  try {
    const { state, note } = await predictor.loadState(bytes, path, { signal });
    const { next, bytes: kept } = JSON.parse(note) as Note;
    const text = await saved.readLines(kept);
    if (text !== undefined) return { state, reached: { next, text, kept: { length: text.length, bytes: kept } } };
    await state.dispose();
    return undefined;
  } catch (error) {
    if (error instanceof StateError) return undefined;
    throw error;
  }
}

async function started(
  predictor: VideoPredictor,
  path: string,
  prompts: readonly TrackPrompt[],
  signal?: AbortSignal,
): Promise<Begun> {
  const state = await predictor.initState(path, { keepMasks: 0, signal });
  try {
    const first = prompts.filter(({ correct }) => !correct);
    for (const prompt of prompts) expectOnVideo(prompt, state);
    for (const prompt of first) await applyPrompt(predictor, state, prompt, signal);
    const next = Math.min(...first.map(({ frame }) => frame));
    return { state, reached: { next, text: "", kept: { length: 0, bytes: 0 } } };
  } catch (error) {
    await state.dispose();
    throw error;
  }
}

async function save(predictor: VideoPredictor, { state, reached }: Begun, saved: SavedState): Promise<void> {
  const { next, text, kept } = reached;
  const lines = text.slice(kept.length);
  await saved.writeLines(lines, kept.bytes);
  reached.kept = { length: text.length, bytes: kept.bytes + new TextEncoder().encode(lines).length };
  const note: Note = { next, bytes: reached.kept.bytes };
  await saved.write(await predictor.encodeState(state, JSON.stringify(note)));
}

function expectOnVideo({ frame, where }: TrackPrompt, { numFrames }: VideoState): void {
  if (frame < numFrames) return;
  throw new PromptError(where, `a frame of the video, 0…${numFrames - 1}`, `${frame}`, "count frames from 0");
}

async function follow(
  predictor: VideoPredictor,
  state: VideoState,
  prompts: readonly TrackPrompt[],
  reached: Reached,
  files: readonly string[],
  { signal, progress, saved }: VideoContext,
): Promise<void> {
  const names = namesOf(prompts);
  const corrections = new Set(prompts.filter(({ correct }) => correct));
  let [savedAt, took] = [performance.now(), 0];
  for (let goOn = true; goOn;) {
    goOn = false;
    const options = { startFrame: reached.next, resume: reached.text !== "", signal };
    for await (const result of predictor.propagateInVideo(state, options)) {
      const here = [...corrections].filter(({ frame }) => frame === result.frame);
      let latest = result;
      for (const prompt of here) latest = await applyPrompt(predictor, state, prompt, signal);
      reached.text += `${JSON.stringify(lineOf(latest, state.width, state.height, names, files[latest.frame]))}\n`;
      reached.next = latest.frame + 1;
      progress?.({ stage: "decode", fraction: isFinite(state.numFrames) ? reached.next / state.numFrames : undefined });
      const now = performance.now();
      if (now - savedAt > Math.max(SAVE_MS, SAVE_SHARE * took)) {
        await save(predictor, { state, reached }, saved);
        savedAt = performance.now();
        took = savedAt - now;
      }
      goOn = here.length > 0 && reached.next < state.numFrames;
      if (goOn) break; // what follows sees them
    }
  }
  for (const { frame, where } of corrections) {
    if (frame < reached.next) continue;
    throw new PromptError(where, "a frame that is tracked", `${frame}`, 'leave out "correct"');
  }
}

/** Of the frames, if they are files in a folder. */
async function frameNames(path: string): Promise<string[]> {
  const names = await platform.listFolder(path);
  return names ? framesOfFolder(path, names).map(({ name }) => name!) : [];
}
