import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { builds, eachTable, onHeap } from "../../tests/tables.ts";
import { encodeRle, rleArea, rleBbox } from "../io/rle.ts";
import { antialias, bilinear, nearest, type TapRows } from "../nn/taps.ts";
import type { Heap } from "../tensor/heap.ts";
import { reshape, type Tensor, values } from "../tensor/view.ts";
import type { CropOfImage, Kernels, Taps } from "./kernels.ts";
import { reference } from "./reference.ts";

const LIMITS = { threshold: 0.1, high: 0.4, low: -0.35 };

function onto(heap: Heap, { starts, weights, T }: TapRows): Taps {
  const here = heap.allocInt32(starts.length);
  here.set(starts);
  return { starts: here, weights: heap.from(weights, [starts.length, T]) };
}

/** Bits and counts of masks [B, h, w] at H × W, with a guard of 16 words behind each. */
function maskBits(heap: Heap, table: Kernels, masks: Tensor, rows: Taps, columns: Taps): [Int32Array, Int32Array] {
  const [B] = masks.shape;
  const [H, W] = [rows.starts.length, columns.starts.length];
  const size = B * H * Math.ceil(W / 32);
  const bits = heap.allocInt32(size + 16).fill(7);
  const counts = heap.allocInt32(B * 2 * H + 16).fill(7);
  table.maskBits(bits.subarray(0, size), counts.subarray(0, B * 2 * H), masks, rows, columns, LIMITS);
  assert.ok([...bits.subarray(size), ...counts.subarray(B * 2 * H)].every((word) => word === 7));
  return [bits.subarray(0, size), counts.subarray(0, B * 2 * H)];
}

/** Bytes of masks at H × W, with a guard behind. */
function maskBytes(heap: Heap, table: Kernels, masks: Tensor, rows: Taps, columns: Taps): Uint8Array {
  const size = masks.shape[0] * rows.starts.length * columns.starts.length;
  const bytes = heap.allocUint8(size + 16).fill(7);
  table.maskBytes(bytes.subarray(0, size), masks, rows, columns, LIMITS.threshold);
  assert.ok(bytes.subarray(size).every((byte) => byte === 7));
  return bytes.subarray(0, size);
}

const SIZES = [
  [1, 8, 8, 37, 64],
  [2, 8, 5, 1, 1],
  [3, 1, 1, 5, 33],
  [1, 16, 16, 3, 100],
  [2, 64, 64, 150, 211],
  [1, 64, 64, 30, 20],
];

const WIDE = 70_000; // more columns than are widened at a time

const MaskBits = suite("maskBits and maskBytes");

for (const { heap, kernels, bound } of eachTable(0, 1)) {
  for (const method of [bilinear, nearest, antialias]) {
    MaskBits(`${kernels.name} has the bits and counts of ${method.name} resamples that are compared afterwards`, () => {
      for (const [B, h, w, H, W] of SIZES) {
        onHeap(heap, (fill) => {
          const masks = fill([B, h, w]);
          const [rows, columns] = [onto(heap, method(h, H)), onto(heap, method(w, W))];
          const [wide, logits] = [fill([B * h, W, 1]), fill([B, H, W])];
          kernels.resample(wide, reshape(masks, [B * h, w, 1]), columns);
          kernels.resample(logits, reshape(wide, [B, h, W]), rows);
          const [bits, counts] = maskBits(heap, kernels, masks, rows, columns);
          const bytes = maskBytes(heap, kernels, masks, rows, columns);
          const words = Math.ceil(W / 32);
          const [threshold, high, low] = [LIMITS.threshold, LIMITS.high, LIMITS.low].map(Math.fround);
          for (let y = 0; y < B * H; y++) {
            const row = [...values(logits).subarray(y * W, (y + 1) * W)];
            const got = Array.from({ length: words * 32 }, (_, x) => (bits[y * words + (x >> 5)] >>> (x & 31)) & 1);
            const want = got.map((_, x) => (row[x] > threshold ? 1 : 0));
            assert.is(got.join(""), want.join(""), `row ${y} of ${B}×${h}×${w} → ${H}×${W}`);
            assert.is(bytes.subarray(y * W, (y + 1) * W).join(""), want.slice(0, W).join(""));
            assert.is(counts[2 * y], row.filter((x) => x > high).length);
            assert.is(counts[2 * y + 1], row.filter((x) => x > low).length);
          }
        });
      }
    });
  }

  MaskBits(`${kernels.name} writes ${WIDE} columns, and refuses sides that its scratch has no room for`, () => {
    onHeap(heap, (fill) => {
      const masks = fill([1, 4, 4]);
      const [rows, columns] = [onto(heap, bilinear(4, 2)), onto(heap, bilinear(4, WIDE))];
      const bytes = maskBytes(heap, kernels, masks, rows, columns);
      const [bits] = maskBits(heap, kernels, masks, rows, columns);
      const words = Math.ceil(WIDE / 32);
      const at = (i: number) => bits[Math.floor(i / WIDE) * words + ((i % WIDE) >> 5)] >>> ((i % WIDE) & 31);
      assert.is(
        bytes.findIndex((byte, i) => byte !== (at(i) & 1)),
        -1,
      );
      const [wide, tall] = [600_000, 1 << 20];
      const [bit, count] = [new Int32Array(wide), new Int32Array(4)];
      assert.throws(
        () => kernels.maskBits(bit, count, masks, rows, onto(heap, bilinear(4, wide)), LIMITS),
        /maskBits: expected masks whose sides fit in the scratch, got 600000 columns; use a smaller image/,
      );
      const places = { starts: count, lengths: count, masks: count };
      const crop = { H: tall, W: 1, x0: 0, y0: 0, imageH: tall, imageW: 1 };
      assert.throws(() => kernels.maskCodes(new Uint8Array(1), places, bit, crop), /maskCodes: .* got 1048576 rows/);
    });
  });

  if (bound === 0) {
    MaskBits(`${kernels.name} equals the oracle to the bit`, () => {
      for (const [B, h, w, H, W] of SIZES) {
        onHeap(heap, (fill) => {
          const masks = fill([B, h, w]);
          const [rows, columns] = [onto(heap, bilinear(h, H)), onto(heap, bilinear(w, W))];
          const [bits, counts] = maskBits(heap, kernels, masks, rows, columns);
          const [wantBits, wantCounts] = maskBits(heap, reference, masks, rows, columns);
          assert.is(bits.join(), wantBits.join());
          assert.is(counts.join(), wantCounts.join());
          const [bytes, wantBytes] = [kernels, reference].map((k) => maskBytes(heap, k, masks, rows, columns));
          assert.is(bytes.join(), wantBytes.join());
        });
      }
    });
  }
}

MaskBits.run();

const CROPS: CropOfImage[] = [
  { H: 40, W: 70, x0: 0, y0: 0, imageH: 40, imageW: 70 },
  { H: 37, W: 64, x0: 5, y0: 3, imageH: 40, imageW: 70 },
  { H: 64, W: 33, x0: 0, y0: 0, imageH: 64, imageW: 33 },
  { H: 20, W: 2, x0: 1, y0: 0, imageH: 50, imageW: 3 },
  { H: 1, W: 1, x0: 0, y0: 0, imageH: 1, imageW: 1 },
  { H: 700, W: 40, x0: 0, y0: 0, imageH: 700, imageW: 900 },
];

const MaskCodes = suite("maskExtents and maskCodes");

for (const { heap, kernels } of [...eachTable(0, 0), { heap: builds[0].heap, kernels: reference }]) {
  MaskCodes(`${kernels.name} gives bits of a crop the runs, area and box of the mask in the image`, () => {
    const next = random(2);
    for (const crop of CROPS) {
      const { H, W, x0, y0, imageH, imageW } = crop;
      const words = Math.ceil(W / 32);
      const densities = [-2, 0, 0.9, 2, -0.9];
      heap.scope(() => {
        const bits = heap.allocInt32(densities.length * H * words).fill(0);
        const whole = densities.map((density, b) => {
          const mask = new Uint8Array(imageH * imageW);
          for (let i = 0; i < H * W; i++) {
            if (next() >= density) continue;
            const [y, x] = [Math.floor(i / W), i % W];
            mask[(y0 + y) * imageW + x0 + x] = 1;
            bits[(b * H + y) * words + (x >> 5)] |= 1 << (x & 31);
          }
          return mask;
        });
        const extents = heap.allocInt32(6 * densities.length);
        kernels.maskExtents(extents, bits, H, W);
        const chosen = [3, 0, 4, 1]; // in any order, and not all
        const [masks, starts, lengths] = [0, 0, 0].map(() => heap.allocInt32(chosen.length));
        masks.set(chosen);
        let room = 0;
        chosen.forEach((b, i) => {
          starts[i] = room;
          room += 7 * (extents[6 * b] + 2);
        });
        const codes = heap.allocUint8(room);
        kernels.maskCodes(codes, { starts, lengths, masks }, bits, crop);
        for (const [b, mask] of whole.entries()) {
          const want = encodeRle(mask, imageW, imageH);
          const [, area, left, top, right, bottom] = extents.subarray(6 * b, 6 * b + 6);
          const [x, y, w, h] = rleBbox(want);
          assert.is(area, rleArea(want));
          const box = w > 0 ? [x - x0, y - y0, x - x0 + w - 1, y - y0 + h - 1] : [0, 0, 0, 0];
          assert.equal([left, top, right, bottom], box);
          const i = chosen.indexOf(b);
          if (i < 0) continue;
          const code = codes.slice(starts[i], starts[i] + lengths[i]);
          assert.is(new TextDecoder().decode(code), want.counts, `mask ${b} of ${H}×${W} in ${imageH}×${imageW}`);
        }
      });
    }
  });
}

MaskCodes.run();
