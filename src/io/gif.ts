import { ImageError } from "../errors.ts";
import type { Notice } from "../platform/notices.ts";
import type { ImageHeader, Raster } from "./pixels.ts";
import { withoutGreyPalette } from "./raster.ts";

const [EXTENSION, IMAGE, TRAILER] = [0x21, 0x2c, 0x3b];

/** @source GIF89a specification, 18: the logical screen */
export function gifHeader(bytes: Uint8Array, where: string): ImageHeader {
  if (bytes.length < 13) throw damaged(where, "a whole header", `${bytes.length} bytes`);
  return { width: bytes[6] | (bytes[7] << 8), height: bytes[8] | (bytes[9] << 8) };
}

/** The first frame of a GIF, indices and their palette; where it leaves the screen free, the background. */
export function decodeGif(bytes: Uint8Array, where: string, notice: Notice): Raster {
  const { width, height } = gifHeader(bytes, where);
  const [flags, background] = [bytes[10], bytes[11]];
  let at = 13;
  let palette = new Uint8Array(768);
  const readPalette = (flags: number) => {
    if (!(flags & 0x80)) return;
    const length = 3 * 2 ** ((flags & 7) + 1);
    palette = new Uint8Array(768);
    palette.set(bytes.subarray(at, at + length));
    at += length;
  };
  const blocks = (): Uint8Array[] => {
    const found: Uint8Array[] = [];
    while (bytes[at] > 0) {
      found.push(bytes.subarray(at + 1, at + 1 + bytes[at]));
      at += 1 + bytes[at];
    }
    at++;
    return found;
  };
  readPalette(flags);

  let data: Uint8Array | undefined;
  for (; at < bytes.length && bytes[at] !== TRAILER;) {
    const kind = bytes[at];
    if (kind === EXTENSION) {
      at += 2;
      blocks();
      continue;
    }
    if (kind !== IMAGE || at + 11 > bytes.length) throw damaged(where, "blocks of its kind", `a block ${kind}`);
    if (data) {
      notice("of an animated GIF the first frame is taken");
      break;
    }
    const [left, top, w, h] = [1, 3, 5, 7].map((i) => bytes[at + i] | (bytes[at + i + 1] << 8));
    const own = bytes[at + 9];
    at += 10;
    readPalette(own);
    const codeBits = bytes[at++];
    const frame = unpack(blocks(), codeBits, w * h, where);
    data = new Uint8Array(width * height).fill(background);
    const rows = own & 0x40 ? interlaced(h) : [...Array(h).keys()];
    for (const [i, y] of rows.entries()) {
      if (top + y >= height) continue;
      data.set(frame.subarray(i * w, i * w + Math.min(w, width - left)), (top + y) * width + left);
    }
  }
  if (!data) throw damaged(where, "an image", "none");
  return withoutGreyPalette({ width, height, channels: 1, data, maxval: 255, palette });
}

/** In which order the rows come. */
function interlaced(height: number): number[] {
  const passes = [[0, 8], [4, 8], [2, 4], [1, 2]]; // prettier-ignore
  return passes.flatMap(([start, step]) =>
    Array.from({ length: Math.max(0, Math.ceil((height - start) / step)) }, (_, i) => start + i * step),
  );
}

/** LZW with codes of growing length: GIF89a specification, appendix F. */
function unpack(blocks: Uint8Array[], codeBits: number, length: number, where: string): Uint8Array {
  if (codeBits < 1 || codeBits > 8) throw damaged(where, "codes of 1 to 8 bits", `${codeBits}`);
  const out = new Uint8Array(length);
  const clear = 1 << codeBits;
  const prefix = new Int16Array(4096);
  const suffix = new Uint8Array(4096);
  const stack = new Uint8Array(4097);
  let [bits, next, previous, first] = [codeBits + 1, clear + 2, -1, 0];
  let [held, heldBits, to] = [0, 0, 0];
  for (const block of blocks) {
    for (const byte of block) {
      held |= byte << heldBits;
      heldBits += 8;
      while (heldBits >= bits) {
        const code = held & ((1 << bits) - 1);
        held >>>= bits;
        heldBits -= bits;
        if (code === clear) {
          [bits, next, previous] = [codeBits + 1, clear + 2, -1];
          continue;
        }
        if (code === clear + 1 || to >= length) return expectFull(out, to, where);
        if (code > next || (previous < 0 && code > clear)) throw damaged(where, "codes that were defined", `${code}`);
        let depth = 0;
        let at = code;
        if (code === next) {
          stack[depth++] = first;
          at = previous;
        }
        for (; at >= clear; at = prefix[at]) stack[depth++] = suffix[at];
        first = at;
        out[to++] = first;
        while (depth > 0 && to < length) out[to++] = stack[--depth];
        if (previous >= 0 && next < 4096) {
          prefix[next] = previous;
          suffix[next] = first;
          next++;
          if (next === 1 << bits && bits < 12) bits++;
        }
        previous = code;
      }
    }
  }
  return expectFull(out, to, where);
}

function expectFull(out: Uint8Array, to: number, where: string): Uint8Array {
  if (to < out.length) throw damaged(where, `${out.length} pixels`, `${to}`);
  return out;
}

function damaged(where: string, expected: string, got: string): ImageError {
  return new ImageError(where, `a GIF file with ${expected}`, got, "the file is truncated or damaged");
}
