// Label Studio's run lengths of a brush: the bytes of an RGBA picture, row by row, in bits, the highest first.
//
//   32 bits  how many bytes
//    5 bits  bits of a value − 1
//  4×4 bits  bits of a run's length − 1, for each of four kinds of run
//   then     1 | kind (2 bits) | length − 1 | value           so many times this value
//            0 | kind (2 bits) | length − 1 | value, value …  so many values
import { ImageError } from "../../errors.ts";
import { expectMask, type Mask } from "../masks.ts";
import { expectSize } from "../pixels.ts";

const COUNT_BITS = 32;
const VALUE_BITS = 8;
/** What its own converter writes. */
const RUN_BITS = [3, 4, 8, 16];
const CHANNELS = 4;

/**
 * The mask as bytes of 0 and 255, red, green, blue and alpha alike, in the form that `label_studio_sdk` itself would give it.
 *
 * @throws ImageError unless the mask has a byte for every pixel
 */
export function encodeBrushRle(mask: Mask, width: number, height: number): number[] {
  expectMask(mask, width, height, "encodeBrushRle");
  const bits = new BitWriter();
  bits.write(CHANNELS * mask.length, COUNT_BITS);
  bits.write(VALUE_BITS - 1, 5);
  for (const size of RUN_BITS) bits.write(size - 1, 4);
  for (let start = 0; start < mask.length;) {
    const set = mask[start] !== 0;
    let end = start + 1;
    while (end < mask.length && (mask[end] !== 0) === set) end++;
    const length = CHANNELS * (end - start);
    const kind = RUN_BITS.findIndex((size, k) => length <= 2 ** size || k === RUN_BITS.length - 1);
    for (let rest = length; rest > 0;) {
      const run = Math.min(rest, 2 ** RUN_BITS[kind]);
      bits.write(1, 1);
      bits.write(kind, 2);
      bits.write(run - 1, RUN_BITS[kind]);
      bits.write(set ? 255 : 0, VALUE_BITS);
      rest -= run;
    }
    start = end;
  }
  return bits.finish();
}

/**
 * The mask of a picture's alpha, set where it is at least half.
 *
 * @throws ImageError if the bytes are damaged, or of a picture of another size
 */
export function decodeBrushRle(
  rle: readonly number[],
  width: number,
  height: number,
  where = "brush",
): Uint8Array<ArrayBuffer> {
  expectSize(width, height, where);
  const bits = new BitReader(rle, where);
  const count = bits.read(COUNT_BITS);
  if (count !== width * height * CHANNELS) {
    const expected = `${width}×${height} pixels of 4 bytes`;
    throw new ImageError(where, expected, `${count} bytes`, "send the brush of this very image");
  }
  const valueBits = bits.read(5) + 1;
  const half = 2 ** (valueBits - 1);
  const runBits = Array.from({ length: 4 }, () => bits.read(4) + 1);
  const mask = new Uint8Array(width * height);
  for (let at = 0; at < count;) {
    const repeats = bits.read(1) === 1;
    const run = bits.read(runBits[bits.read(2)]) + 1;
    const end = at + run;
    if (end > count) throw new ImageError(where, `${count} bytes in all`, `${end}`, "the run lengths are damaged");
    for (let value = repeats ? bits.read(valueBits) : 0; at < end; at++) {
      if (!repeats) value = bits.read(valueBits);
      if (at % CHANNELS === CHANNELS - 1 && value >= half) mask[(at - 3) / CHANNELS] = 1;
    }
  }
  return mask;
}

class BitWriter {
  readonly #bytes: number[] = [];
  #byte = 0;
  #filled = 0;

  write(value: number, bits: number): void {
    for (let bit = bits - 1; bit >= 0; bit--) {
      this.#byte = (this.#byte << 1) | (Math.floor(value / 2 ** bit) & 1);
      if (++this.#filled < 8) continue;
      this.#bytes.push(this.#byte);
      this.#byte = 0;
      this.#filled = 0;
    }
  }

  /** A byte of zeros at the end if all are full, as its own converter has it. */
  finish(): number[] {
    this.write(0, 8 - this.#filled);
    return this.#bytes;
  }
}

class BitReader {
  readonly #bytes: readonly number[];
  readonly #where: string;
  #at = 0;

  constructor(bytes: readonly number[], where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  read(bits: number): number {
    let value = 0;
    for (let bit = 0; bit < bits; bit++, this.#at++) {
      const byte = this.#bytes[this.#at >> 3];
      if (!(Number.isInteger(byte) && byte >= 0 && byte <= 255)) {
        const got = byte === undefined ? "the end" : JSON.stringify(byte);
        throw new ImageError(this.#where, "run lengths as bytes, 0…255", got, "the run lengths are damaged");
      }
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }
}
