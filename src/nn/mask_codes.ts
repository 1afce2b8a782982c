import type { CropOfImage, MaskLimits } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import { narrow, type Tensor } from "../tensor/view.ts";
import { onHeap } from "./resize.ts";
import { bilinear } from "./taps.ts";

/** What a mask at its full size is like. */
export interface MaskExtent {
  /** pixels above the threshold */
  area: number;
  /** first column and row, last column and row, in pixels of the crop; all 0 without area */
  box: [left: number, top: number, right: number, bottom: number];
  /** pixels above the other two thresholds */
  high: number;
  low: number;
}

/** An extent, and the mask itself as COCO's compressed run lengths in the image. */
export interface CodedMask extends MaskExtent {
  counts: string;
}

const MOST_BITS = 1 << 25; // bytes of bits at a time, of 24 masks of 12 megapixels
const RUN_BYTES = 7; // of a code, at most: 32 bits in groups of five

/**
 * Masks of a crop of an image, enlarged and written down; what `resize` by "bilinear" would give is not stored.
 *
 * @param wanted which masks to write down; the others are undefined
 * @shape  masks [B, h, w] logits
 */
export function maskCodes(h: number, w: number, crop: CropOfImage) {
  const { H, W } = crop;
  const [rowTaps, columnTaps] = [bilinear(h, H), bilinear(w, W)];
  const words = H * Math.ceil(W / 32); // of a mask's bits
  const most = Math.max(1, Math.floor(MOST_BITS / (4 * words)));

  const codes = (masks: Tensor, limits: MaskLimits, wanted: (extent: MaskExtent, b: number) => boolean) => {
    const { heap, kernels } = machine;
    const [B] = masks.shape;
    const bits = heap.allocInt32(B * words);
    const counts = heap.allocInt32(B * 2 * H);
    kernels.maskBits(bits, counts, masks, onHeap(rowTaps), onHeap(columnTaps), limits);
    const extents = heap.allocInt32(6 * B);
    kernels.maskExtents(extents, bits, H, W);

    const found = Array.from({ length: B }, (_, b): MaskExtent => {
      const [, area, left, top, right, bottom] = extents.subarray(6 * b, 6 * b + 6);
      const ofRows = counts.subarray(2 * H * b, 2 * H * (b + 1));
      let [high, low] = [0, 0];
      for (let y = 0; y < H; y++) {
        high += ofRows[2 * y];
        low += ofRows[2 * y + 1];
      }
      return { area, box: [left, top, right, bottom], high, low };
    });
    const chosen = found.flatMap((extent, b) => (wanted(extent, b) ? [b] : []));
    const [starts, lengths, of] = [0, 0, 0].map(() => heap.allocInt32(chosen.length));
    let room = 0;
    chosen.forEach((b, i) => {
      of[i] = b;
      starts[i] = room;
      room += RUN_BYTES * (extents[6 * b] + 2); // and a run before all, and one behind
    });
    const code = heap.allocUint8(room);
    kernels.maskCodes(code, { starts, lengths, masks: of }, bits, crop);

    const coded: (CodedMask | undefined)[] = found.map(() => undefined);
    chosen.forEach((b, i) => {
      const own = code.slice(starts[i], starts[i] + lengths[i]); // a decoder takes no shared memory
      coded[b] = { ...found[b], counts: new TextDecoder().decode(own) };
    });
    return coded;
  };

  return (
    masks: Tensor,
    limits: MaskLimits,
    wanted: (extent: MaskExtent, b: number) => boolean,
  ): (CodedMask | undefined)[] => {
    expectShape("maskCodes", masks.shape, [-1, h, w]);
    const [B] = masks.shape;
    const coded: (CodedMask | undefined)[] = [];
    for (let from = 0; from < B; from += most) {
      machine.signal?.throwIfAborted();
      const some = narrow(masks, 0, from, Math.min(most, B - from));
      coded.push(...machine.heap.scope(() => codes(some, limits, (extent, b) => wanted(extent, from + b))));
    }
    return coded;
  };
}
