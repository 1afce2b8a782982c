// The arrays that stand for a mask, wherever one is taken.
import { ImageError, PromptError } from "../errors.ts";

/**
 * A value a pixel, row by row. Bytes and booleans: anything but 0 and false is the object. Numbers that all lie in 0…1 are
 * shares or probabilities of the object; other numbers are logits, positive inside.
 */
export type MaskArray =
  Uint8Array | Uint8ClampedArray | Float32Array | Float64Array | readonly boolean[] | readonly number[];

/** Logits of a pixel that certainly is, or is not, the object. */
const SURE = 10;

/** → 1 inside, 0 outside: bytes and booleans as they are, shares from a half on, logits above 0. @throws PromptError, ImageError */
export function binaryMask(mask: MaskArray, width: number, height: number, where: string): Uint8Array {
  const kind = kindOf(mask, width, height, where);
  const out = new Uint8Array(mask.length);
  const inside = { set: (v: number) => v !== 0, shares: (v: number) => v >= 0.5, logits: (v: number) => v > 0 }[kind];
  for (let i = 0; i < out.length; i++) out[i] = inside(Number(mask[i])) ? 1 : 0;
  return out;
}

/** → logits: those as they are, what is set 10, else −10; a share p becomes 20p − 10. @throws PromptError, ImageError */
export function maskLogits(mask: MaskArray, width: number, height: number, where: string): Float32Array {
  const kind = kindOf(mask, width, height, where);
  if (kind === "logits") return mask instanceof Float32Array ? mask : Float32Array.from(mask as ArrayLike<number>);
  const logits = new Float32Array(mask.length);
  for (let i = 0; i < logits.length; i++) {
    const value = Number(mask[i]);
    logits[i] = 2 * SURE * (kind === "set" ? Math.min(1, value) : value) - SURE;
  }
  return logits;
}

/** What share of each of side × side equal parts of the picture is set: a mask as the model sees it. */
export function maskShares(mask: Uint8Array, width: number, height: number, side: number): Float32Array {
  const shares = new Float32Array(side * side);
  const sums = new Float64Array(width);
  const perPart = (width / side) * (height / side);
  for (let y = 0; y < side; y++) {
    sums.fill(0);
    forEachPart(y, height / side, (row, covered) => {
      for (let x = 0, i = row * width; x < width; x++, i++) if (mask[i]) sums[x] += covered;
    });
    for (let x = 0; x < side; x++) {
      let sum = 0;
      forEachPart(x, width / side, (column, covered) => {
        sum += sums[column] * covered;
      });
      shares[y * side + x] = Math.min(1, sum / perPart);
    }
  }
  return shares;
}

/** The pixels that part number i, `step` pixels long, covers, and how much of each. */
function forEachPart(i: number, step: number, visit: (pixel: number, covered: number) => void): void {
  const [from, to] = [i * step, (i + 1) * step];
  for (let pixel = Math.floor(from); pixel < to - 1e-9; pixel++) {
    visit(pixel, Math.min(to, pixel + 1) - Math.max(from, pixel));
  }
}

type Kind = "set" | "shares" | "logits";

function kindOf(mask: MaskArray, width: number, height: number, where: string): Kind {
  const isBytes = mask instanceof Uint8Array || mask instanceof Uint8ClampedArray;
  const isFloats = mask instanceof Float32Array || mask instanceof Float64Array;
  if (!isBytes && !isFloats && !Array.isArray(mask)) {
    const got = Object.prototype.toString.call(mask).slice(8, -1);
    throw new PromptError(
      where,
      "an array of bytes, booleans or floats",
      got,
      "convert it, e.g. Uint8Array.from(mask)",
    );
  }
  if (mask.length !== width * height) {
    const expected = `${width}×${height} = ${width * height} values`;
    throw new ImageError(where, expected, `${mask.length}`, "pass the mask with its own width and height");
  }
  if (isBytes || (mask as readonly unknown[]).every((value) => typeof value === "boolean")) return "set";
  let kind: Kind = "shares";
  for (let i = 0; i < mask.length; i++) {
    const value = mask[i];
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new PromptError(
        `${where}[${i}]`,
        "a finite number",
        shown(value),
        "pass bytes, booleans or floats throughout",
      );
    }
    if (value < 0 || value > 1) kind = "logits";
  }
  return kind;
}

function shown(value: unknown): string {
  return Array.isArray(value) ? "a list" : String(value);
}
