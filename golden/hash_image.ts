import { hashWord } from "./hash_weights.ts";

const SHAPES = 32; // odd ones are discs, even ones bars
const WORDS = 8; // hash words of a shape
const NOISE_SEED = 0x5eed;

/**
 * A deterministic picture: discs and bars of hashed colours on a gradient, lightly shaded, with noise. Integers only.
 *
 * The same bytes as golden_image of hash_image.py.
 *
 * @shape → RGB bytes [height, width, 3]
 */
export function goldenImage(seed: number, width: number, height: number): Uint8Array {
  const word = (shape: number, i: number) => hashWord(seed, shape * WORDS + i);
  const image = new Uint8ClampedArray(width * height * 3);

  for (let y = 0; y < height; y++) {
    for (let c = 0; c < 3; c++) {
      const [top, bottom] = [word(0, c) & 255, word(0, 3 + c) & 255];
      const value = Math.floor((top * (height - y) + bottom * y) / height);
      for (let x = 0; x < width; x++) image[(y * width + x) * 3 + c] = value;
    }
  }

  const size = Math.min(width, height);
  for (let shape = 1; shape <= SHAPES; shape++) {
    const [cx, cy] = [word(shape, 0) % width, word(shape, 1) % height];
    const r = Math.floor(size / 24) + (word(shape, 2) % Math.max(Math.floor(size / 4), 1));
    const colour = [3, 4, 5].map((i) => word(shape, i) & 255);
    for (let y = Math.max(cy - r, 0); y <= Math.min(cy + r, height - 1); y++) {
      for (let x = Math.max(cx - r, 0); x <= Math.min(cx + r, width - 1); x++) {
        const light = shape % 2 ? disc(x - cx, y - cy, r) : bar(x - cx, y - cy, r);
        if (light === 0) continue;
        for (let c = 0; c < 3; c++) image[(y * width + x) * 3 + c] = (colour[c] * light) >> 8;
      }
    }
  }

  for (let i = 0; i < image.length; i++) image[i] += (hashWord(seed ^ NOISE_SEED, i) & 15) - 8;
  return new Uint8Array(image.buffer);
}

/** Light of a disc of radius r at (dx, dy), in 1/256; 0 outside. */
function disc(dx: number, dy: number, r: number): number {
  const square = dx * dx + dy * dy;
  return square <= r * r ? 256 - Math.floor((square * 112) / Math.max(r * r, 1)) : 0;
}

/** Light of a bar of half-width r and a third of its height at (dx, dy), in 1/256; 0 outside. */
function bar(dx: number, dy: number, r: number): number {
  return Math.abs(dy) * 3 <= r ? 144 + Math.floor(((dx + r) * 56) / Math.max(r, 1)) : 0;
}

const MOVERS = 4;
const MOVER_SEED = 0x3013;

/**
 * Frame t of a clip: discs that move to and fro over a golden image, later ones in front.
 *
 * The same bytes as golden_frame of hash_image.py.
 *
 * @shape → RGB bytes [height, width, 3]
 */
export function goldenFrame(seed: number, t: number, width: number, height: number): Uint8Array {
  const image = goldenImage(seed, width, height);
  const size = Math.min(width, height);
  for (let mover = 0; mover < MOVERS; mover++) {
    const word = (i: number) => hashWord(seed ^ MOVER_SEED, mover * WORDS + i);
    const r = Math.floor(size / 8) + (word(2) % Math.floor(size / 8));
    const cx = toAndFro((word(0) % 4096) + t * ((word(6) % 4) + 1), width);
    const cy = toAndFro((word(1) % 4096) + t * ((word(7) % 3) + 1), height);
    for (let y = Math.max(cy - r, 0); y <= Math.min(cy + r, height - 1); y++) {
      for (let x = Math.max(cx - r, 0); x <= Math.min(cx + r, width - 1); x++) {
        const light = disc(x - cx, y - cy, r);
        if (light === 0) continue;
        for (let c = 0; c < 3; c++) image[(y * width + x) * 3 + c] = ((word(3 + c) & 255) * light) >> 8;
      }
    }
  }
  return image;
}

/** 0, 1, … length − 1, length, length − 1, … 1, 0, 1 … */
function toAndFro(position: number, length: number): number {
  const place = position % (2 * length);
  return Math.min(place, 2 * length - place);
}
