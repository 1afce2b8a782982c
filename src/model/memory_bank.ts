/**
 * Which past frames and object pointers a frame may see, and in which order.
 *
 * D channels of the model · C channels of a memory map · n pointers of `parts` tokens
 */
import type { Weights } from "../io/weights.ts";
import { add } from "../nn/elementwise.ts";
import { concat, contiguous, full, table } from "../nn/layout.ts";
import { linear } from "../nn/linear.ts";
import { machine } from "../runtime/machine.ts";
import { fromBfloat16 } from "../tensor/bfloat16.ts";
import { expand, narrow, reshape, type Tensor } from "../tensor/view.ts";
import { memoryLayout, memoryTokens, type Sam2Config } from "./config.ts";
import type { Memory } from "./memory_attention.ts";
import { sinePositionEncoding } from "./position_encoding.ts";

/** `maxObjPtrs` of a video that is long enough: pointers are seen of the frame itself and the 15 before. */
export const MAX_OBJ_PTRS = 16;

/** What is kept of one object on one frame. */
export interface FrameMemory {
  /** its mask and the image around it, as bfloat16 [memoryTokens·C]; undefined on frames too far away to be seen */
  maskmemFeatures?: Uint16Array;
  /** [D] */
  objPtr: Float32Array;
}

/** What is known of one object: by frame number. */
export interface MemoryBank {
  /** frames whose first answer came from a prompt, before any tracking reached them: their maps are seen by all frames */
  cond: ReadonlyMap<number, FrameMemory>;
  /** frames that were tracked, those among them that were corrected by prompts later */
  nonCond: ReadonlyMap<number, FrameMemory>;
}

/** The frame that remembers. */
export interface TrackedFrame {
  frame: number;
  /** frames of the video, or Infinity if its end is not known */
  numFrames: number;
  /** tracking runs backward in time */
  reverse: boolean;
}

/**
 * Frames whose maps are seen: all conditioning frames at tPos 0, then the frames 6, 5, … 1 before (in the direction of
 * tracking) at tPos 1 … 6, as far as they were tracked.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base._prepare_memory_conditioned_features
 */
export function visibleMaps({ cond, nonCond }: MemoryBank, { frame, reverse }: TrackedFrame, numMaskmem: number) {
  const maps = [...cond.values()].map((memory) => ({ tPos: 0, memory }));
  for (let tPos = 1; tPos < numMaskmem; tPos++) {
    const before = numMaskmem - tPos;
    const memory = nonCond.get(reverse ? frame + before : frame - before);
    if (memory) maps.push({ tPos, memory });
  }
  return maps;
}

/**
 * Frames whose object pointers are seen: conditioning frames of the past, then the frames 1, 2, … 15 before.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base._prepare_memory_conditioned_features
 */
export function visiblePointers({ cond, nonCond }: MemoryBank, { frame, numFrames, reverse }: TrackedFrame) {
  const sign = reverse ? -1 : 1;
  const pointers = [...cond]
    .filter(([t]) => (reverse ? t >= frame : t <= frame))
    .map(([t, memory]) => ({ tDiff: (frame - t) * sign, memory }));
  for (let tDiff = 1; tDiff < maxObjPtrs(numFrames); tDiff++) {
    const t = frame - tDiff * sign;
    if (t < 0 || t >= numFrames) break;
    const memory = nonCond.get(t);
    if (memory) pointers.push({ tDiff, memory });
  }
  return pointers;
}

/** NB a stream of unknown length counts as 16 frames or more. A short video sees fewer pointers and stretches their time. */
function maxObjPtrs(numFrames: number): number {
  return Math.min(numFrames, MAX_OBJ_PTRS);
}

/**
 * The memory of one object as tokens for memory attention.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base._prepare_memory_conditioned_features
 */
export function memoryBank(w: Weights, config: Sam2Config) {
  const { dModel: D, memDim: C, numMaskmem, version } = config;
  const tokensOfMap = memoryTokens(config);
  const spatial = memoryPositions(config);
  const maskmemTposEnc = w.get("maskmem_tpos_enc", [numMaskmem, 1, 1, C]);
  const objPtrTposProj = version === "2.1" ? linear(w.at("obj_ptr_tpos_proj"), D, C) : undefined;
  const parts = D / C; // a pointer of D channels is cut into D/C tokens of C channels

  const loadMap = (bits: Uint16Array): Tensor => {
    const map = machine.heap.alloc([1, tokensOfMap, C]);
    fromBfloat16(bits, map.data);
    return map;
  };

  /**
   * Places in time of n pointers.
   *
   * NB PyTorch divides by maxObjPtrs − 1, which in a video of one frame is 0; such a video has no frame to remember, so here
   * the divisor is 1.
   *
   * @shape tDiffs [n] → [1, n·parts, C]
   */
  const pointerPositions = (tDiffs: readonly number[], numFrames: number): Tensor => {
    const n = tDiffs.length;
    if (!objPtrTposProj) return full([1, n * parts, C], 0);
    const time = objPtrTposProj(sine1d(tDiffs, Math.max(maxObjPtrs(numFrames) - 1, 1), D)); // [n, C]
    return reshape(contiguous(expand(reshape(time, [n, 1, C]), 1, parts)), [1, n * parts, C]);
  };

  return (bank: MemoryBank, at: TrackedFrame): Memory => {
    const tokens: Tensor[] = [];
    const positions: Tensor[] = [];
    for (const { tPos, memory } of visibleMaps(bank, at, numMaskmem)) {
      tokens.push(loadMap(memory.maskmemFeatures!));
      positions.push(add(spatial, reshape(narrow(maskmemTposEnc, 0, numMaskmem - 1 - tPos, 1), [C])));
    }
    const pointers = visiblePointers(bank, at);
    if (pointers.length > 0) {
      for (const { memory } of pointers) tokens.push(machine.heap.from(memory.objPtr, [1, parts, C]));
      const tDiffs = pointers.map(({ tDiff }) => tDiff);
      positions.push(pointerPositions(tDiffs, at.numFrames));
    }
    return { tokens: concat(tokens, 1), positions: concat(positions, 1), pointerTokens: pointers.length * parts };
  };
}

/**
 * The places of a memory's tokens: sines of its grid, zeros for tokens that have no place.
 *
 * @shape  → [1, U + G², C]
 * @source sam2/modeling/memory_encoder.py, MemoryEncoder; sam2/modeling/perceiver.py, PerceiverResampler
 */
function memoryPositions(config: Sam2Config): Tensor {
  const { lone: U, side: G } = memoryLayout(config);
  const C = config.memDim;
  return machine.heap.scope(() => {
    const grid = reshape(sinePositionEncoding(G, G, C), [1, G ** 2, C]);
    return U === 0 ? grid : concat([full([1, U, C], 0), grid], 1);
  });
}

/**
 * [sin, cos] of n positions, as parts of the longest, at geometrically falling frequencies.
 *
 * @shape  positions [n] → [n, D]
 * @source sam2/modeling/sam2_utils.py, get_1d_sine_pe
 */
function sine1d(positions: readonly number[], longest: number, D: number): Tensor {
  const { fround } = Math;
  const half = D / 2;
  const periods = Array.from({ length: half }, (_, c) => fround(10000 ** fround((2 * Math.floor(c / 2)) / half)));
  const angle = (i: number, c: number) => fround(fround(positions[i] / longest) / periods[c]);
  return table([positions.length, D], (i, c) => (c < half ? Math.sin(angle(i, c)) : Math.cos(angle(i, c - half))));
}
