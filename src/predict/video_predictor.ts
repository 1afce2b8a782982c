import { CheckpointError, UsageError } from "../errors.ts";
import { atLeast, COUNT, expectKind, FLAG, type Kinds, OPTIONAL, SIGNAL, whole } from "../io/options.ts";
import type { FrameFeatures, Past, TrackedMask, Tracker } from "../model/tracker.ts";
import { resize } from "../nn/resize.ts";
import { platform } from "../platform/platform.ts";
import { machine } from "../runtime/machine.ts";
import { toBfloat16 } from "../tensor/bfloat16.ts";
import { reshape, type Tensor, values } from "../tensor/view.ts";
import type { Frames } from "../video/frames.ts";
import { latestFrames } from "../video/latest.ts";
import { type FrameInput, openFrames } from "../video/open.ts";
import { expectFields } from "./fields.ts";
import { type FrameImage, frameImage, runOnFrame } from "./frame_features.ts";
import { binaryMask } from "./mask_arrays.ts";
import { fillHoles } from "./postprocess.ts";
import { checkPrompt, promptPoints } from "./prompt.ts";
import type { Sam2 } from "./sam2.ts";
import { decodeState, encodeState, expectSameFrames, type StateOwner } from "./state_file.ts";
import { type FrameResult, videoMasks } from "./video_masks.ts";
import {
  expectFrame,
  expectPlace,
  framePrompt,
  joinPoints,
  knownObject,
  MASK_FIELDS,
  type NewMask,
  type NewPoints,
  type ObjectMask,
  type Place,
  PLACE_FIELDS,
  placeName,
  POINTS_FIELDS,
} from "./video_prompt.ts";
import { type FrameOutput, type StoredPoints, TrackedObject, VideoState } from "./video_state.ts";

export type { FrameResult, ObjectResult } from "./video_masks.ts";
export type { NewMask, NewPoints, Place } from "./video_prompt.ts";

/** Upstream's options of the same names; all off by default, as upstream is on a CPU. */
export interface VideoPredictorOptions {
  /** fill holes of at most this many low-resolution pixels: upstream's builders ask for 8, which takes effect with CUDA alone */
  fillHoleArea?: number;
  /** a pixel belongs to at most one object, the one of the highest logit */
  nonOverlapMasks?: boolean;
  /** a corrected frame becomes a conditioning frame, which is seen from everywhere */
  addAllFramesToCorrectAsCond?: boolean;
  /** forget what was tracked around a frame that receives a prompt */
  clearNonCondMemAroundInput?: boolean;
}

export const PREDICTOR_KINDS: Kinds<VideoPredictorOptions> = {
  fillHoleArea: atLeast(0),
  nonOverlapMasks: FLAG,
  addAllFramesToCorrectAsCond: FLAG,
  clearNonCondMemAroundInput: FLAG,
};

/** Options of `initState`. */
export interface InitOptions {
  /** Keep every frame's memory, as upstream does: at 1024², 0.75 MB a frame and object. */
  keepAll?: boolean;
  /**
   * Frames of each object whose masks are kept, the latest ones, so that they can be corrected after a pass: memories are
   * made again from masks. Default: as many as fit into 256 MiB, but at most 750; of a stream, which cannot go back, none.
   */
  keepMasks?: number;
  /**
   * Of a stream: drop the frames that come while one is computed, so that a camera is followed at whatever rate the machine
   * has. Every frame that is looked at is the latest that has come; they are numbered 0, 1, 2 … without the dropped ones,
   * and `arrival` of a result tells which of all it was. Dropped `VideoFrame`s are closed.
   */
  latest?: boolean;
  /** ends the call early: it rejects with the reason of the signal */
  signal?: AbortSignal;
}

export const INIT_KINDS: Kinds<InitOptions> = { keepAll: FLAG, keepMasks: COUNT, latest: FLAG, signal: SIGNAL };

/** Options of `propagateInVideo`. */
export interface PropagateOptions {
  /** default: the earliest frame with a prompt; of a stream, the frame that arrived last */
  startFrame?: number;
  /** frames to go beyond the first, as upstream; default: all */
  maxFrames?: number;
  /** backward in time */
  reverse?: boolean;
  /** `startFrame` goes on where an earlier call stopped: what was kept around its start stays, and it may be frame 0 */
  resume?: boolean;
  /** also return the logits at the size of the video */
  returnLogits?: boolean;
  /** ends the call early: it rejects with the reason of the signal */
  signal?: AbortSignal;
}

export const PROPAGATE_KINDS: Kinds<PropagateOptions> = {
  startFrame: whole(0),
  maxFrames: COUNT,
  reverse: FLAG,
  resume: FLAG,
  returnLogits: FLAG,
  signal: SIGNAL,
};

/** Options of `loadState`. */
export interface LoadStateOptions {
  /** ends the call early: it rejects with the reason of the signal */
  signal?: AbortSignal;
}

export const LOAD_STATE_KINDS: Kinds<LoadStateOptions> = { signal: SIGNAL };

/**
 * Say on some frames what the objects are, then follow them through the video.
 *
 * @example
 * const predictor = new VideoPredictor(await Sam2.fromPretrained("tiny"));
 * const state = await predictor.initState("frames");
 * await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[210, 350]] });
 * for await (const { frame, objects } of predictor.propagateInVideo(state)) …
 *
 * A stream's length is not known: it counts as long, so a frame sees up to 16 object pointers and their places in time
 * are parts of 15 frames, as in any video of 16 frames or more.
 *
 * @source sam2/sam2_video_predictor.py, SAM2VideoPredictor
 */
export class VideoPredictor {
  readonly sam2: Sam2;
  readonly options: Required<VideoPredictorOptions>;

  /** @throws CheckpointError if the model was trained for images alone */
  constructor(sam2: Sam2, options: VideoPredictorOptions = {}) {
    if (!sam2.canTrack) {
      const got = `${sam2.config.name} without maskmem_tpos_enc and the like`;
      throw new CheckpointError(
        "VideoPredictor",
        "the weights of the memory",
        got,
        "load a checkpoint for video, without video: false",
      );
    }
    const { fillHoleArea = 0, nonOverlapMasks = false } = options;
    const { addAllFramesToCorrectAsCond = false, clearNonCondMemAroundInput = false } = options;
    this.sam2 = sam2;
    this.options = { fillHoleArea, nonOverlapMasks, addAllFramesToCorrectAsCond, clearNonCondMemAroundInput };
  }

  /**
   * Open a video: a folder of frames, a video file, a list of images, images that are read by number when they are needed,
   * or images that arrive one by one.
   *
   * @throws ImageError if there is no frame, or the first one cannot be read; UsageError if `latest` is asked of no stream
   */
  async initState(
    video: FrameInput | Frames,
    { keepAll = false, keepMasks, latest = false, signal }: InitOptions = {},
  ): Promise<VideoState> {
    const frames = await openFrames(latest ? latestFrames(video) : video, { signal });
    return new VideoState(frames, { keepAll, keepMasks });
  }

  /**
   * Say where an object is on a frame, or correct what was tracked of it. The box counts before the points.
   *
   * @returns the masks of all objects on this frame
   * @throws PromptError if the prompt is empty, inconsistent, or outside of the video
   */
  async addNewPointsOrBox(state: VideoState, asked: NewPoints): Promise<FrameResult> {
    const where = placeName(asked);
    const prompt = expectFields(asked, POINTS_FIELDS, where);
    const { frame, object, box, clearOldPoints = true, normalizeCoords = true } = prompt;
    expectPlace(state, prompt);
    expectKind(clearOldPoints, FLAG, `${where}: clearOldPoints`, OPTIONAL);
    expectKind(normalizeCoords, FLAG, `${where}: normalizeCoords`, OPTIONAL);
    if (box && !clearOldPoints) {
      throw new UsageError(where, "a box before all points", "one after them", "leave clearOldPoints as it is");
    }
    const place = { width: state.width, height: state.height, imageSize: this.sam2.config.imageSize, normalizeCoords };
    checkPrompt({ ...prompt, maskInput: undefined }, place, where);

    const old = clearOldPoints ? undefined : state.objects.get(object)?.prompts.get(frame);
    const points = this.sam2.run(() => {
      const added = promptPoints(prompt, place, machine.heap)!;
      return joinPoints(old === "mask" ? undefined : old, values(added.coords), added.labels[0]);
    });
    return this.#interact(state, prompt, points);
  }

  /**
   * Give the whole mask of an object on a frame. It is taken as it is.
   *
   * @returns the masks of all objects on this frame
   */
  async addNewMask(state: VideoState, asked: NewMask): Promise<FrameResult> {
    const where = `mask of ${placeName(asked)}`;
    const prompt = expectFields(asked, MASK_FIELDS, where);
    const { width = state.width, height = state.height } = prompt;
    expectPlace(state, prompt);
    expectKind(width, whole(1), `${where}: width`, OPTIONAL);
    expectKind(height, whole(1), `${where}: height`, OPTIONAL);
    const mask = binaryMask(prompt.mask, width, height, where);
    return this.#interact(state, prompt, { mask, width, height });
  }

  /**
   * Follow all objects from frame to frame; masks leave as they come. Prompts that are added meanwhile count in the next
   * call. When a call is aborted or a frame cannot be read, everything is as it was after the frame before.
   *
   * @throws UsageError if an object has no prompt; ImageError naming a frame that cannot be read
   */
  async *propagateInVideo(state: VideoState, options: PropagateOptions = {}): AsyncGenerator<FrameResult> {
    const { reverse = false, resume = false, returnLogits = false, signal } = options;
    await this.#encodeNewPrompts(state, signal);
    const objects = [...state.objects.values()];
    const { startFrame = this.#defaultStart(state), maxFrames = Number.POSITIVE_INFINITY } = options;
    expectFrame(state, startFrame, "startFrame", Math.min(state.lastFrame + 1, state.numFrames - 1));
    const step = reverse ? -1 : 1;
    const end = reverse ? Math.max(startFrame - maxFrames, 0) : Math.min(startFrame + maxFrames, state.numFrames - 1);
    if (reverse && startFrame === 0 && !resume) return; // as upstream: there is nothing before it

    const start = resume ? state.start : startFrame;
    for (let frame = startFrame; reverse ? frame >= end : frame <= end; frame += step) {
      const known = new Set(state.objects.values()); // one may have been removed meanwhile
      const present = objects.filter((object) => known.has(object));
      const searched = present.filter(({ cond }) => !cond.has(frame));
      for (const object of searched) await this.#remember(state, object, frame, reverse, false, signal);
      const needed = searched.length > 0;
      const image = needed || frame > state.frames.last ? await frameImage(state, frame, step, signal) : undefined;
      if (frame > state.frames.last) {
        if (frame === startFrame) expectFrame(state, startFrame, "startFrame", state.lastFrame + 1);
        return; // the stream has ended
      }
      this.#trackFrame(state, present, searched, frame, reverse, image, signal);
      state.start = start;
      state.position = frame;
      state.evict(this.#maps, this.#masks(state));
      yield this.#result(state, frame, (object) => object.outputOn(frame, NONE), returnLogits);
    }
  }

  /**
   * Take back what was said of an object on a frame. What was found there stays, as if it had been tracked.
   *
   * @returns the masks of all objects on this frame
   */
  async clearAllPromptsInFrame(state: VideoState, place: Place): Promise<FrameResult> {
    expectFields(place, PLACE_FIELDS, placeName(place));
    expectFrame(state, place.frame, "frame");
    knownObject(state, place.object).clearPrompts(place.frame);
    return this.#resultWithPrompts(state, place.frame);
  }

  /**
   * Everything that is known of the video but its frames, as bytes; `note` is kept for the caller. Masks that are kept for
   * corrections far from where tracking stands are left out.
   */
  encodeState(state: VideoState, note = ""): Promise<Uint8Array> {
    return encodeState(state, this.#owner, note);
  }

  /** Write `encodeState` to a file, whole or not at all. */
  async saveState(state: VideoState, path: string, note = ""): Promise<void> {
    await platform.writeFile(path, await this.encodeState(state, note));
  }

  /**
   * Go on where `saveState` was called, with the same bits. All frames that were seen are read again and compared; a
   * stream must begin with its first frame again.
   *
   * @param saved a path, or what `encodeState` returned
   * @throws StateError if it is damaged, or was saved with another checkpoint, other options or another video
   */
  async loadState(
    saved: string | Uint8Array,
    video: FrameInput | Frames,
    { signal }: LoadStateOptions = {},
  ): Promise<{ state: VideoState; note: string }> {
    const bytes = typeof saved === "string" ? await platform.readFile(saved) : saved;
    const where = typeof saved === "string" ? saved : "loadState";
    const frames = await openFrames(video, { signal });
    try {
      const loaded = await decodeState(bytes, this.#owner, frames, where);
      await expectSameFrames(loaded.state, where, signal);
      return loaded;
    } catch (error) {
      frames.close();
      throw error;
    }
  }

  get #owner(): StateOwner {
    return { digest: this.sam2.digest, config: this.sam2.config, options: this.options };
  }

  /** Forget all objects. */
  resetState(state: VideoState): void {
    state.objects.clear();
    state.start = 0;
    state.position = 0;
  }

  /**
   * Forget one object. The others are not touched.
   *
   * @returns the masks of the others on the frames where it had prompts: they may have been hidden behind it
   * @throws UsageError if there is no such object
   */
  async removeObject(state: VideoState, id: number): Promise<FrameResult[]> {
    const object = knownObject(state, id);
    state.objects.delete(id);
    if (state.objects.size === 0) return [];
    return [...object.prompts.keys()].map((frame) => this.#resultWithPrompts(state, frame));
  }

  /** Find the mask of one object from a prompt. Its memory is encoded when all has been said: by the next propagation. */
  async #interact(state: VideoState, place: Place & { signal?: AbortSignal }, prompt: StoredPoints | ObjectMask) {
    const { frame, object: id, signal } = place;
    const object = state.objects.get(id) ?? new TrackedObject();
    const backward = object.trackedBackward(frame);
    const isInitial = backward === undefined;
    const isCond = isInitial || this.options.addAllFramesToCorrectAsCond;
    const fresh = isCond ? object.newCond : object.newNonCond;
    const reverse = backward ?? false;
    if (!isInitial) await this.#remember(state, object, frame, reverse, true, signal);

    const image = await frameImage(state, frame, 1, signal);
    expectPlace(state, place); // if the video's length was not known, it is by now
    const output = runOnFrame(this.sam2, state, frame, image, signal, (features, tracker, attended) => {
      const past = isInitial ? undefined : this.#past(state, object, frame, reverse, attended());
      const previous = object.outputOn(frame, fresh);
      const taken = framePrompt(prompt, previous && this.#filled(previous), this.sam2.config.imageSize);
      return store(tracker.trackStep(features, taken, past), true);
    });
    state.objects.set(id, object);
    object.prompts.set(frame, "mask" in prompt ? "mask" : prompt);
    fresh.set(frame, output);
    return this.#result(state, frame, (other) => other.outputOn(frame, isCond ? other.newCond : other.newNonCond));
  }

  /**
   * Encode the memory of new prompts and let later frames see it.
   *
   * @source SAM2VideoPredictor.propagate_in_video_preflight
   */
  async #encodeNewPrompts(state: VideoState, signal?: AbortSignal): Promise<void> {
    if (state.objects.size === 0) {
      throw new UsageError(
        "propagateInVideo",
        "an object to follow",
        "none",
        "call addNewPointsOrBox or addNewMask first",
      );
    }
    for (const [id, { cond, newCond }] of state.objects) {
      if (cond.size + newCond.size > 0) continue;
      throw new UsageError(`object ${id}`, "a prompt on some frame", "none", "prompt it, or call removeObject");
    }
    const all = [...state.objects.values()].flatMap(({ newCond, newNonCond }) => [...newNonCond, ...newCond]);
    for (const frame of new Set(all.map(([frame]) => frame))) {
      const waiting = all.filter(([t, output]) => t === frame && !output.maskmemFeatures).map(([, output]) => output);
      if (waiting.length === 0) continue;
      const image = await frameImage(state, frame, 1, signal);
      const memories = runOnFrame(this.sam2, state, frame, image, signal, (features, tracker) => {
        const prepared = tracker.prepare(features);
        return waiting.map((output) => machine.heap.scope(() => this.#memoryOf(prepared, tracker, output)));
      });
      for (const [i, output] of waiting.entries()) output.maskmemFeatures = memories[i];
    }
    for (const object of state.objects.values()) {
      for (const [fresh, kept] of [
        [object.newNonCond, object.nonCond],
        [object.newCond, object.cond],
      ]) {
        for (const [frame, output] of fresh) {
          kept.set(frame, output);
          if (this.options.clearNonCondMemAroundInput) object.clearAround(frame, this.sam2.config.numMaskmem);
        }
        fresh.clear();
      }
      for (const frame of object.cond.keys()) object.nonCond.delete(frame);
    }
  }

  /** The memory of a frame from its mask: of a prompted one as it is seen, of a tracked one as the heads gave it. */
  #memoryOf(features: FrameFeatures, tracker: Tracker, output: FrameOutput): Uint16Array {
    const S = this.sam2.config.imageSize;
    const logits = output.prompted ? this.#filled(output)! : output.predMasks!;
    const lowRes = machine.heap.from(logits, [1, S / 4, S / 4, 1]);
    const highResMasks = reshape(resize(lowRes, S, S, "bilinear"), [1, 1, S, S]);
    const objectScoreLogits = machine.heap.from(Float32Array.of(output.score), [1, 1]);
    return toBfloat16(values(tracker.encodeMemory(features, { highResMasks, objectScoreLogits }, output.prompted)));
  }

  /**
   * Make again what was dropped of the memories that `frame` sees, with the same bits; `own`: its own mask must be there.
   *
   * @throws UsageError if a mask that is needed was dropped too
   */
  async #remember(
    state: VideoState,
    object: TrackedObject,
    frame: number,
    reverse: boolean,
    own: boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const { maps, lost } = object.missing(frame, reverse, own, this.#maps);
    const streams = state.numFrames === Number.POSITIVE_INFINITY;
    const gone = lost ?? (streams ? maps[0] : undefined);
    if (gone !== undefined) {
      const [id] = [...state.objects].find(([, other]) => other === object)!;
      throw new UsageError(
        `object ${id} on frame ${frame}`,
        `the memory of frame ${gone}`,
        `masks of the latest ${this.#masks(state)} frames, and memories around frame ${state.position} and the prompts`,
        "raise keepMasks of initState, or go on from a frame nearby",
      );
    }
    for (const t of maps) {
      const output = object.nonCond.get(t)!;
      const image = await frameImage(state, t, reverse ? -1 : 1, signal);
      output.maskmemFeatures = runOnFrame(this.sam2, state, t, image, signal, (features, tracker) =>
        this.#memoryOf(features, tracker, output),
      );
    }
  }

  /** How far back maps are seen. */
  get #maps(): number {
    return this.sam2.config.numMaskmem - 1;
  }

  /** Frames of each object whose masks are kept. */
  #masks({ keepMasks, numFrames, objects }: VideoState): number {
    if (numFrames === Number.POSITIVE_INFINITY) return 0;
    const { imageSize, dModel } = this.sam2.config;
    const bytes = 4 * ((imageSize / 4) ** 2 + dModel);
    return keepMasks ?? Math.min(MOST_MASKS, Math.floor(MASK_BYTES / (bytes * Math.max(1, objects.size))));
  }

  #defaultStart(state: VideoState): number {
    if (state.numFrames === Number.POSITIVE_INFINITY) return state.lastFrame;
    return Math.min(...[...state.objects.values()].flatMap(({ cond }) => [...cond.keys()]));
  }

  #trackFrame(
    state: VideoState,
    objects: readonly TrackedObject[],
    searched: readonly TrackedObject[],
    frame: number,
    reverse: boolean,
    image: FrameImage | undefined,
    signal?: AbortSignal,
  ): void {
    const search = () =>
      runOnFrame(this.sam2, state, frame, image!, signal, (features, tracker, attended) => {
        const shared = { attended: attended(), features: tracker.prepare(features) };
        return searched.map((object) =>
          machine.heap.scope(() => {
            const past = this.#past(state, object, frame, reverse, shared.attended);
            const found = machine.heap.scope(() => tracker.trackStep(shared.features, {}, past));
            const memory = tracker.encodeMemory(shared.features, found, false);
            return { ...store(found, false), maskmemFeatures: toBfloat16(values(memory)) };
          }),
        );
      });
    const outputs = searched.length > 0 ? search() : [];
    // From here on nothing can fail: an aborted frame leaves everything as it was.
    if (this.options.clearNonCondMemAroundInput) {
      const reach = this.sam2.config.numMaskmem;
      for (const object of objects) if (!searched.includes(object)) object.clearAround(frame, reach);
    }
    for (const [i, object] of searched.entries()) object.addTracked(frame, outputs[i]);
    for (const object of objects) object.setTracked(frame, reverse);
  }

  #past(state: VideoState, object: TrackedObject, frame: number, reverse: boolean, attended: Tensor): Past {
    if (object.cond.size === 0) {
      const todo = "call propagateInVideo first, or prompt a frame that was not tracked";
      throw new UsageError(`frame ${frame}`, "a conditioning frame to correct from", "none", todo);
    }
    return { bank: object.bank, at: { frame, numFrames: state.numFrames, reverse }, attended };
  }

  /** The mask of an output as it is shown. */
  #filled({ predMasks }: FrameOutput): Float32Array | undefined {
    const { fillHoleArea } = this.options;
    const side = this.sam2.config.imageSize / 4;
    return predMasks && fillHoleArea > 0 ? fillHoles(predMasks, side, side, fillHoleArea) : predMasks;
  }

  /** The masks on a frame that has new prompts, or had some. */
  #resultWithPrompts(state: VideoState, frame: number): FrameResult {
    const isCond = [...state.objects.values()].some(({ newCond }) => newCond.has(frame));
    return this.#result(state, frame, (object) => object.outputOn(frame, isCond ? object.newCond : object.newNonCond));
  }

  /** Masks of all objects at the size of the video. */
  #result(
    state: VideoState,
    frame: number,
    find: (object: TrackedObject) => FrameOutput | undefined,
    returnLogits = false,
  ): FrameResult {
    const found = [...state.objects].map(([id, object]) => {
      const output = find(object);
      return { id, score: output?.score, predMasks: output && this.#filled(output) };
    });
    const objects = videoMasks(this.sam2, state, found, this.options.nonOverlapMasks, returnLogits);
    const arrival = state.frames.arrival?.(frame);
    return { frame, ...(arrival !== undefined && { arrival }), objects };
  }
}

const NONE: ReadonlyMap<number, FrameOutput> = new Map();
/** Masks that are kept of a video by default, together and of each object. */
const MASK_BYTES = 2 ** 28;
const MOST_MASKS = 750;

/** What is kept of an answer. */
function store({ lowResMasks, objPtr, objectScoreLogits }: TrackedMask, prompted: boolean): FrameOutput {
  return {
    predMasks: values(lowResMasks).slice(),
    objPtr: values(objPtr).slice(),
    score: values(objectScoreLogits)[0],
    prompted,
  };
}
