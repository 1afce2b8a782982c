import { CheckpointError, PromptError, UsageError } from "../errors.ts";
import { expectMask, type Mask } from "../io/masks.ts";
import { MAX_OBJ_PTRS } from "../model/memory_bank.ts";
import type { BackboneFeatures } from "../model/sam2.ts";
import type { FramePrompt, Past, TrackedMask, Tracker } from "../model/tracker.ts";
import { resize } from "../nn/resize.ts";
import { platform } from "../platform/platform.ts";
import { machine } from "../runtime/machine.ts";
import { toBfloat16 } from "../tensor/bfloat16.ts";
import { reshape, type Tensor, values } from "../tensor/view.ts";
import { type FrameInput, openFrames, preprocessFrame } from "./frames.ts";
import { fillHoles } from "./postprocess.ts";
import { checkPrompt, type Prompt, promptPoints } from "./prompt.ts";
import type { Graph, Sam2 } from "./sam2.ts";
import { decodeState, encodeState, type StateOwner } from "./state_file.ts";
import { type FrameOutput, type StoredPoints, TrackedObject, VideoState } from "./video_state.ts";

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

export interface InitOptions {
  /**
   * Keep every frame's memory, as upstream does, so that any frame can be corrected at any time. By default only what
   * later frames can see is kept, and a correction elsewhere is refused.
   */
  keepAll?: boolean;
  signal?: AbortSignal;
}

/** Which object on which frame. */
export interface Place {
  frame: number;
  /** any whole number; an unknown one starts a new object */
  object: number;
}

export interface NewPoints extends Place, Omit<Prompt, "maskInput"> {
  /** forget earlier points on this frame (default); false adds to them */
  clearOldPoints?: boolean;
  /** coordinates are pixels of the video (default); false: 0…1 of it */
  normalizeCoords?: boolean;
  signal?: AbortSignal;
}

export interface NewMask extends Place {
  /** one byte a pixel, anything but 0 is the object */
  mask: Mask;
  /** size of the mask, the video's by default */
  width?: number;
  height?: number;
  signal?: AbortSignal;
}

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
  signal?: AbortSignal;
}

/** The masks of all objects on one frame. */
export interface FrameResult {
  frame: number;
  objects: ObjectResult[];
}

export interface ObjectResult {
  id: number;
  /** logit: positive if the object is in the frame; undefined while nothing is known of it there */
  score: number | undefined;
  /** width·height bytes of the video's size, 1 inside and 0 outside */
  mask: Uint8Array;
  /** the mask as logits; with `returnLogits` */
  logits?: Float32Array;
}

/** Mask logit of an object of which nothing is known. */
const NO_OBJ_SCORE = -1024;
/** Logits of an earlier answer are limited before they are corrected. */
const PREVIOUS_LIMIT = 32;
/** Pixels that lose against another object get at most this logit. */
const OVERLAP_LIMIT = -10;

/**
 * Say on some frames what the objects are, then follow them through the video.
 *
 * @example
 * const predictor = new VideoPredictor(await Sam2.fromPretrained("sam2.1_hiera_tiny.pt"));
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
      throw new CheckpointError("VideoPredictor", "the weights of the memory", got, "load a checkpoint for video");
    }
    const { fillHoleArea = 0, nonOverlapMasks = false } = options;
    const { addAllFramesToCorrectAsCond = false, clearNonCondMemAroundInput = false } = options;
    this.sam2 = sam2;
    this.options = { fillHoleArea, nonOverlapMasks, addAllFramesToCorrectAsCond, clearNonCondMemAroundInput };
  }

  /**
   * Open a video: a folder of frames named by number, a list of images, or images that arrive one by one.
   *
   * @throws ImageError if there is no frame, or the first one cannot be read
   */
  async initState(video: FrameInput, { keepAll = false, signal }: InitOptions = {}): Promise<VideoState> {
    return new VideoState(await openFrames(video, signal), keepAll);
  }

  /**
   * Say where an object is on a frame, or correct what was tracked of it. The box counts before the points.
   *
   * @returns the masks of all objects on this frame
   * @throws PromptError if the prompt is empty, inconsistent, or outside of the video
   */
  async addNewPointsOrBox(state: VideoState, prompt: NewPoints): Promise<FrameResult> {
    const { frame, object, box, clearOldPoints = true, normalizeCoords = true } = prompt;
    const where = `object ${object} on frame ${frame}`;
    expectPlace(state, prompt);
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
  async addNewMask(state: VideoState, prompt: NewMask): Promise<FrameResult> {
    const { width = state.width, height = state.height, mask } = prompt;
    expectPlace(state, prompt);
    expectMask(mask, width, height, `mask of object ${prompt.object} on frame ${prompt.frame}`);
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

    if (!resume) state.start = startFrame;
    for (let frame = startFrame; reverse ? frame >= end : frame <= end; frame += step) {
      const known = new Set(state.objects.values()); // one may have been removed meanwhile
      const present = objects.filter((object) => known.has(object));
      const needed = present.some(({ cond }) => !cond.has(frame));
      const image = needed || frame > state.frames.last ? await this.#image(state, frame, step, signal) : undefined;
      if (frame > state.frames.last) return; // the stream has ended
      this.#trackFrame(state, present, frame, reverse, image, signal);
      yield this.#result(state, frame, (object) => object.outputOn(frame, NONE), returnLogits);
    }
  }

  /**
   * Take back what was said of an object on a frame. What was found there stays, as if it had been tracked.
   *
   * @returns the masks of all objects on this frame
   */
  async clearAllPromptsInFrame(state: VideoState, place: Place): Promise<FrameResult> {
    expectFrame(state, place.frame, "frame");
    clearPrompts(knownObject(state, place.object), place.frame);
    return this.#resultWithPrompts(state, place.frame);
  }

  /** Everything that is known of the video but its frames, as bytes; `note` is kept for the caller. */
  encodeState(state: VideoState, note = ""): Promise<Uint8Array> {
    return encodeState(state, this.#owner, note);
  }

  /** Write `encodeState` to a file, whole or not at all. */
  async saveState(state: VideoState, path: string, note = ""): Promise<void> {
    await platform.writeFile(path, await this.encodeState(state, note));
  }

  /**
   * Go on where `saveState` was called, with the same bits. A stream must begin with its first frame again.
   *
   * @param saved a path, or what `encodeState` returned
   * @throws StateError if it is damaged, or was saved with another checkpoint, other options or another video
   */
  async loadState(
    saved: string | Uint8Array,
    video: FrameInput,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ state: VideoState; note: string }> {
    const bytes = typeof saved === "string" ? await platform.readFile(saved) : saved;
    const where = typeof saved === "string" ? saved : "loadState";
    return decodeState(bytes, this.#owner, await openFrames(video, signal), where);
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
    const isInitial = !object.tracked.has(frame);
    const isCond = isInitial || this.options.addAllFramesToCorrectAsCond;
    const fresh = isCond ? object.newCond : object.newNonCond;
    const reverse = object.tracked.get(frame) ?? false;
    if (!isInitial) this.#expectRemembered(state, id, object, frame, reverse, true);

    const image = await this.#image(state, frame, 1, signal);
    const output = this.#run(state, frame, image, signal, (features, tracker, attended) => {
      const past = isInitial ? undefined : this.#past(state, object, frame, reverse, attended());
      const found = tracker.trackStep(features, this.#framePrompt(prompt, object.outputOn(frame, fresh)), past);
      return this.#store(found);
    });
    state.objects.set(id, object);
    object.prompts.set(frame, "mask" in prompt ? "mask" : prompt);
    fresh.set(frame, output);
    return this.#result(state, frame, (other) => other.outputOn(frame, isCond ? other.newCond : other.newNonCond));
  }

  #framePrompt(prompt: StoredPoints | ObjectMask, previous: FrameOutput | undefined): FramePrompt {
    const S = this.sam2.config.imageSize;
    if ("mask" in prompt) return { mask: modelMask(prompt, S) };
    const { coords, labels } = prompt;
    const logits = previous?.predMasks?.map((v) => Math.max(-PREVIOUS_LIMIT, Math.min(PREVIOUS_LIMIT, v)));
    return {
      points: { coords: machine.heap.from(coords, [1, labels.length, 2]), labels: [labels] },
      previousLogits: logits && machine.heap.from(logits, [1, S / 4, S / 4, 1]),
    };
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
      const image = await this.#image(state, frame, 1, signal);
      const memories = this.#run(state, frame, image, signal, (features, tracker) =>
        waiting.map((output) => this.#encodeStored(features, tracker, output)),
      );
      for (const [i, output] of waiting.entries()) output.maskmemFeatures = memories[i];
    }
    for (const object of state.objects.values()) {
      for (const [fresh, kept] of [
        [object.newNonCond, object.nonCond],
        [object.newCond, object.cond],
      ]) {
        for (const [frame, output] of fresh) {
          kept.set(frame, output);
          if (this.options.clearNonCondMemAroundInput) this.#clearAround(object, frame);
        }
        fresh.clear();
      }
      for (const frame of object.cond.keys()) object.nonCond.delete(frame);
    }
  }

  /** The memory of what a user has confirmed: its mask is encoded as it is seen. */
  #encodeStored(features: BackboneFeatures, tracker: Tracker, { predMasks, score }: FrameOutput): Uint16Array {
    const S = this.sam2.config.imageSize;
    const lowRes = machine.heap.from(predMasks!, [1, S / 4, S / 4, 1]);
    const highResMasks = reshape(resize(lowRes, S, S, "bilinear"), [1, 1, S, S]);
    const objectScoreLogits = machine.heap.from(Float32Array.of(score), [1, 1]);
    return toBfloat16(values(tracker.encodeMemory(features, { highResMasks, objectScoreLogits }, true)));
  }

  /** NB upstream calls a method that does not exist and fails; this is what its comments and the existing method say. */
  #clearAround({ nonCond, forgotten }: TrackedObject, frame: number): void {
    const reach = this.sam2.config.numMaskmem;
    for (let t = frame - reach; t <= frame + reach; t++) {
      nonCond.delete(t);
      forgotten.delete(t);
    }
  }

  #defaultStart(state: VideoState): number {
    if (state.numFrames === Number.POSITIVE_INFINITY) return state.lastFrame;
    return Math.min(...[...state.objects.values()].flatMap(({ cond }) => [...cond.keys()]));
  }

  #trackFrame(
    state: VideoState,
    objects: readonly TrackedObject[],
    frame: number,
    reverse: boolean,
    image: FrameImage | undefined,
    signal?: AbortSignal,
  ): void {
    const searched = objects.filter(({ cond }) => !cond.has(frame));
    for (const [id, object] of state.objects) {
      if (searched.includes(object)) this.#expectRemembered(state, id, object, frame, reverse, false);
    }
    if (this.options.clearNonCondMemAroundInput) {
      for (const object of objects) if (!searched.includes(object)) this.#clearAround(object, frame);
    }
    const outputs =
      searched.length === 0
        ? []
        : this.#run(state, frame, image!, signal, (features, tracker, attended) => {
            const shared = attended();
            return searched.map((object) =>
              machine.heap.scope(() => {
                const found = tracker.trackStep(features, {}, this.#past(state, object, frame, reverse, shared));
                const memory = tracker.encodeMemory(features, found, false);
                return { ...this.#store(found), maskmemFeatures: toBfloat16(values(memory)) };
              }),
            );
          });
    for (const [i, object] of searched.entries()) object.addTracked(frame, outputs[i]);
    for (const object of objects) object.tracked.set(frame, reverse);
    state.position = frame;
    state.evict(this.sam2.config.numMaskmem - 1);
  }

  #past(state: VideoState, object: TrackedObject, frame: number, reverse: boolean, attended: Tensor): Past {
    if (object.cond.size === 0) {
      const todo = "call propagateInVideo first, or prompt a frame that was not tracked";
      throw new UsageError(`frame ${frame}`, "a conditioning frame to correct from", "none", todo);
    }
    return { bank: object.bank, at: { frame, numFrames: state.numFrames, reverse }, attended };
  }

  /** What is kept of an answer. */
  #store({ lowResMasks, objPtr, objectScoreLogits }: TrackedMask): FrameOutput {
    const { fillHoleArea } = this.options;
    const side = this.sam2.config.imageSize / 4;
    const logits = values(lowResMasks).slice();
    return {
      predMasks: fillHoleArea > 0 ? fillHoles(logits, side, side, fillHoleArea) : logits,
      objPtr: values(objPtr).slice(),
      score: values(objectScoreLogits)[0],
    };
  }

  /** @throws UsageError if something was dropped that this frame would see */
  #expectRemembered(
    state: VideoState,
    id: number,
    object: TrackedObject,
    frame: number,
    reverse: boolean,
    own: boolean,
  ) {
    const maps = this.sam2.config.numMaskmem - 1;
    const step = reverse ? 1 : -1;
    for (let distance = own ? 0 : 1; distance < MAX_OBJ_PTRS; distance++) {
      const t = frame + distance * step;
      const output = object.cond.get(t) ?? object.nonCond.get(t);
      const incomplete = distance <= maps && output !== undefined && !output.maskmemFeatures;
      if (!incomplete && (output || !object.forgotten.has(t))) continue;
      throw new UsageError(
        `object ${id} on frame ${frame}`,
        `the memory of frame ${t}`,
        `what is kept around frame ${state.position} and the prompts`,
        "open the video with keepAll, or go on from a frame nearby",
      );
    }
  }

  /** The image of a frame, unless its features are at hand. */
  async #image(state: VideoState, frame: number, step: number, signal?: AbortSignal): Promise<FrameImage> {
    if (state.features?.frame === frame) return "encoded";
    const image = await state.frames.read(frame, step, signal);
    return image ? { image } : "encoded";
  }

  /** Run the graph on the features of a frame; they are encoded once and kept until another frame is looked at. */
  #run<R>(
    state: VideoState,
    frame: number,
    source: FrameImage,
    signal: AbortSignal | undefined,
    forward: (features: BackboneFeatures, tracker: Tracker, attended: () => Tensor) => R,
  ): R {
    return this.sam2.run((graph) => {
      const features = this.#features(state, frame, source, graph);
      let attended: Tensor | undefined;
      return forward(features, graph.tracker!, () => {
        attended ??= this.#attended(state, features, graph.tracker!);
        return attended;
      });
    }, signal);
  }

  #features(state: VideoState, frame: number, source: FrameImage, graph: Graph): BackboneFeatures {
    const { imageSize: S, dModel: D } = this.sam2.config;
    const shapes = [
      [1, S / 16, S / 16, D],
      [1, S / 4, S / 4, D / 8],
      [1, S / 8, S / 8, D / 4],
    ];
    if (source === "encoded") {
      const { visionFeatures, highResFeats } = state.features!;
      const [vision, high0, high1] = [visionFeatures, ...highResFeats].map((v, i) => machine.heap.from(v, shapes[i]));
      return { visionFeatures: vision, highResFeats: [high0, high1] };
    }
    const features = graph.forwardImage(preprocessFrame(source.image, S));
    const [high0, high1] = features.highResFeats;
    const old = state.features; // its arrays serve again
    state.features = undefined;
    state.features = {
      frame,
      visionFeatures: keep(features.visionFeatures, old?.visionFeatures),
      highResFeats: [keep(high0, old?.highResFeats[0]), keep(high1, old?.highResFeats[1])],
    };
    return features;
  }

  #attended({ features: stored }: VideoState, features: BackboneFeatures, tracker: Tracker): Tensor {
    const { imageSize: S, dModel: D } = this.sam2.config;
    if (stored!.attended) return machine.heap.from(stored!.attended, [1, (S / 16) ** 2, D]);
    const attended = tracker.lookAround(features);
    stored!.attended = values(attended).slice();
    return attended;
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
    const found = [...state.objects].map(([id, object]) => ({ id, output: find(object) }));
    const logits = found.map(({ output }) => this.#videoLogits(state, output?.predMasks));
    if (this.options.nonOverlapMasks) keepHighest(logits);
    const objects = found.map(({ id, output }, i) => ({
      id,
      score: output?.score,
      mask: positive(logits[i]),
      ...(returnLogits && { logits: logits[i] }),
    }));
    return { frame, objects };
  }

  #videoLogits({ width, height }: VideoState, predMasks: Float32Array | undefined): Float32Array {
    if (!predMasks) return new Float32Array(width * height).fill(NO_OBJ_SCORE);
    const side = this.sam2.config.imageSize / 4;
    return this.sam2.run(() => {
      const lowRes = machine.heap.from(predMasks, [1, side, side, 1]);
      return values(resize(lowRes, height, width, "bilinear")).slice();
    });
  }
}

/** A frame that is to be encoded, unless its features are at hand. */
type FrameImage = { image: Parameters<typeof preprocessFrame>[0] } | "encoded";

function positive(logits: Float32Array): Uint8Array {
  const mask = new Uint8Array(logits.length); // a loop: `Uint8Array.from` with a function takes ten times as long
  for (let i = 0; i < mask.length; i++) mask[i] = logits[i] > 0 ? 1 : 0;
  return mask;
}

/** Copy a tensor off the heap. */
function keep(t: Tensor, into: Float32Array = new Float32Array(values(t).length)): Float32Array {
  into.set(values(t));
  return into;
}

interface ObjectMask {
  mask: Mask;
  width: number;
  height: number;
}

const NONE: ReadonlyMap<number, FrameOutput> = new Map();

function expectFrame(state: VideoState, frame: number, where: string, last = state.lastFrame): void {
  if (Number.isInteger(frame) && frame >= 0 && frame <= last) return;
  const got = `${frame}`;
  throw new PromptError(where, `a frame of the video, 0…${last}`, got, "count frames from 0; of a stream, wait for it");
}

function expectPlace(state: VideoState, { frame, object }: Place): void {
  expectFrame(state, frame, `prompt for object ${object}`);
  if (!Number.isSafeInteger(object)) {
    throw new PromptError("object", "a whole number", `${object}`, "name objects 1, 2, 3 …");
  }
}

function knownObject(state: VideoState, id: number): TrackedObject {
  const object = state.objects.get(id);
  if (object) return object;
  const known = state.objectIds.join(", ") || "no object yet";
  throw new UsageError(`object ${id}`, `one of: ${known}`, `${id}`, "name an object that has a prompt");
}

/** @source SAM2VideoPredictor.clear_all_prompts_in_frame */
function clearPrompts(object: TrackedObject, frame: number): void {
  object.prompts.delete(frame);
  object.newCond.delete(frame);
  object.newNonCond.delete(frame);
  const output = object.cond.get(frame);
  if (!output) return;
  object.cond.delete(frame);
  object.addTracked(frame, output);
  object.tracked.delete(frame);
}

function joinPoints(old: StoredPoints | undefined, coords: Float32Array, labels: readonly number[]): StoredPoints {
  return {
    coords: Float32Array.from([...(old?.coords ?? []), ...coords]),
    labels: [...(old?.labels ?? []), ...labels],
  };
}

/** A mask of any size as the model takes it. @shape → [1, S, S, 1] of 0 and 1 */
function modelMask({ mask, width, height }: ObjectMask, S: number): Tensor {
  const full = machine.heap.alloc([1, height, width, 1]);
  for (let i = 0; i < mask.length; i++) full.data[i] = mask[i] ? 1 : 0;
  if (width === S && height === S) return full;
  const resized = resize(full, S, S, "antialias");
  const v = values(resized);
  for (let i = 0; i < v.length; i++) v[i] = v[i] >= 0.5 ? 1 : 0;
  return resized;
}

/**
 * Where masks overlap, the highest logit stays, the first of equals; the others fall to −10 or below.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base._apply_non_overlapping_constraints
 */
function keepHighest(logits: readonly Float32Array[]): void {
  if (logits.length < 2) return;
  for (let i = 0; i < logits[0].length; i++) {
    let best = 0;
    for (let k = 1; k < logits.length; k++) if (logits[k][i] > logits[best][i]) best = k;
    for (let k = 0; k < logits.length; k++) if (k !== best) logits[k][i] = Math.min(logits[k][i], OVERLAP_LIMIT);
  }
}
