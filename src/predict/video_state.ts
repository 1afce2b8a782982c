import type { FrameMemory, MemoryBank } from "../model/memory_bank.ts";
import { MAX_OBJ_PTRS } from "../model/memory_bank.ts";
import { FrameSet } from "./frame_set.ts";
import type { Frames } from "../video/frames.ts";

/** What was found of one object on one frame, and what later frames may remember of it. */
export interface FrameOutput extends FrameMemory {
  /** logits as the heads return them [(S/4)²]; undefined on frames of which only the pointer is kept */
  predMasks?: Float32Array;
  /** has a user said something here? Then its memory is made from the mask as it is seen */
  prompted: boolean;
  /** logit: positive if the object is in the frame */
  score: number;
}

/** Clicks and box corners, in pixels of the resized image. */
export interface StoredPoints {
  coords: Float32Array;
  labels: number[];
}

/** What a frame misses of those that it would see. */
interface Missing {
  /** frames whose map was dropped, but not the mask, from which it can be made again */
  maps: number[];
  /** a frame of which that cannot be */
  lost?: number;
}

/**
 * One object: what was said of it, and what was found of it, by frame number.
 *
 * A frame's output stands on one shelf: `newCond` or `newNonCond` from the prompt to the next propagation, then `cond` or
 * `nonCond`. What `nonCond` held and dropped is in `forgotten`. A frame that was tracked is in `forward` or in `backward`.
 */
export class TrackedObject {
  /** points, or a whole mask, whose pixels are in the output already */
  readonly prompts = new Map<number, StoredPoints | "mask">();
  /** frames whose first answer came from a prompt, before any tracking reached them */
  readonly cond = new Map<number, FrameOutput>();
  /** frames that were tracked, those among them that prompts corrected later (unless `addAllFramesToCorrectAsCond`) */
  readonly nonCond = new Map<number, FrameOutput>();
  /** answers to prompts that have not been propagated yet, and have no memory yet */
  readonly newCond = new Map<number, FrameOutput>();
  readonly newNonCond = new Map<number, FrameOutput>();
  /** frames that were tracked last forward, and backward in time */
  readonly forward: FrameSet;
  readonly backward: FrameSet;
  /** frames whose output was dropped, since no frame within reach can see it */
  readonly forgotten: FrameSet;

  constructor(forward = new FrameSet(), backward = new FrameSet(), forgotten = new FrameSet()) {
    this.forward = forward;
    this.backward = backward;
    this.forgotten = forgotten;
  }

  /** Was the frame tracked backward in time? Undefined if it was not tracked. */
  trackedBackward(frame: number): boolean | undefined {
    if (this.backward.has(frame)) return true;
    return this.forward.has(frame) ? false : undefined;
  }

  /** Note in which direction a frame was tracked. */
  setTracked(frame: number, reverse: boolean): void {
    this.clearTracked(frame);
    (reverse ? this.backward : this.forward).add(frame);
  }

  clearTracked(frame: number): void {
    this.forward.delete(frame);
    this.backward.delete(frame);
  }

  /** @source SAM2VideoPredictor.clear_all_prompts_in_frame */
  clearPrompts(frame: number): void {
    this.prompts.delete(frame);
    this.newCond.delete(frame);
    this.newNonCond.delete(frame);
    const output = this.cond.get(frame);
    if (!output) return;
    this.cond.delete(frame);
    this.addTracked(frame, output);
    this.clearTracked(frame);
  }

  /** NB upstream calls a method that does not exist and fails; this is what its comments and the existing method say. */
  clearAround(frame: number, reach: number): void {
    for (let t = frame - reach; t <= frame + reach; t++) {
      this.nonCond.delete(t);
      this.forgotten.delete(t);
    }
  }

  /** What is missing of what `frame` would see: maps within `maps` frames, pointers beyond; `own`: and its own mask. */
  missing(frame: number, reverse: boolean, own: boolean, maps: number): Missing {
    const step = reverse ? 1 : -1;
    const missing: Missing = { maps: [] };
    for (let distance = own ? 0 : 1; distance < MAX_OBJ_PTRS; distance++) {
      const t = frame + distance * step;
      const output = this.cond.get(t) ?? this.nonCond.get(t);
      if (!output) {
        if (this.forgotten.has(t)) return { ...missing, lost: t };
      } else if (distance <= maps && !output.maskmemFeatures) {
        if (!output.predMasks) return { ...missing, lost: t };
        if (distance > 0) missing.maps.push(t);
      }
    }
    return missing;
  }

  /** The latest output on a frame. */
  outputOn(frame: number, fresh: ReadonlyMap<number, FrameOutput>): FrameOutput | undefined {
    return fresh.get(frame) ?? this.cond.get(frame) ?? this.nonCond.get(frame);
  }

  get bank(): MemoryBank {
    return { cond: this.cond, nonCond: this.nonCond };
  }

  /** Note what was found on a frame, as the latest. */
  addTracked(frame: number, output: FrameOutput): void {
    this.nonCond.delete(frame);
    this.nonCond.set(frame, output);
    this.forgotten.delete(frame);
  }
}

/** Everything that is known of one video. Made by `VideoPredictor.initState`. */
export class VideoState {
  readonly frames: Frames;
  /** object id → object, in the order in which they were named */
  readonly objects = new Map<number, TrackedObject>();
  /** keep every frame's memory, as upstream */
  readonly keepAll: boolean;
  /** frames of each object whose masks are kept, the latest; undefined: as many as fit */
  readonly keepMasks: number | undefined;
  /** where the latest pass began, and the frame that was tracked last */
  start = 0;
  position = 0;
  /** frame → checksum of its pixels, for every frame on which something was found */
  readonly seen = new Map<number, number>();
  /** features of the frame that was looked at last */
  features?: StoredFeatures;

  constructor(frames: Frames, { keepAll, keepMasks }: { keepAll: boolean; keepMasks?: number }) {
    this.frames = frames;
    this.keepAll = keepAll;
    this.keepMasks = keepMasks;
  }

  get width(): number {
    return this.frames.width;
  }

  get height(): number {
    return this.frames.height;
  }

  /** Frames of the video; Infinity while that is not known: of a stream, and of a video file until its end was seen. */
  get numFrames(): number {
    return this.frames.count;
  }

  /** The latest frame that can be asked for: the last, or of a stream the last that has arrived. */
  get lastFrame(): number {
    return Math.max(this.frames.last, this.position); // after loadState, a stream is behind its state
  }

  get objectIds(): number[] {
    return [...this.objects.keys()];
  }

  /**
   * Drop what no frame near the position, the start of the pass or a conditioning frame can see: `maps` frames on either
   * side of these keep everything, 15 keep the pointer. Of the latest `masks` frames of an object masks stay, with the pointers that these may see.
   */
  evict(maps: number, masks: number): void {
    if (this.keepAll) return;
    const anchors = this.#anchors();
    const isNear = (frame: number, reach: number) => anchors.some((anchor) => Math.abs(frame - anchor) <= reach);
    for (const object of this.objects.values()) {
      let older = object.nonCond.size - masks;
      for (const [frame, output] of object.nonCond) {
        older--;
        const [keepsMask, keepsPointer] = [older < 0, older < MAX_OBJ_PTRS - 1];
        if (!keepsPointer && !isNear(frame, MAX_OBJ_PTRS - 1)) {
          object.nonCond.delete(frame);
          object.forgotten.add(frame);
        } else if (!isNear(frame, maps)) {
          output.maskmemFeatures = undefined;
          if (!keepsMask) output.predMasks = undefined;
        }
      }
    }
  }

  /** Frames from which a pass may go on. */
  #anchors(): number[] {
    const prompted = [...this.objects.values()].flatMap(({ cond, newCond }) => [...cond.keys(), ...newCond.keys()]);
    return [...new Set([this.start, this.position, ...prompted])];
  }
}

/** What the heads and the memory read of a frame, off the heap. */
export interface StoredFeatures {
  frame: number;
  /** of its pixels */
  checksum: number;
  visionFeatures: Float32Array;
  highResFeats: readonly [Float32Array, Float32Array];
  /** the frame's attention to itself, once it was needed */
  attended?: Float32Array;
}
