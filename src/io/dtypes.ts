/** Element types as safetensors names them. */
export type DType = "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "I16" | "I8" | "U8" | "BOOL";

/** Bytes of one element. */
export const ITEM_SIZE: Readonly<Record<DType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/** No tensor has more elements: 4 GiB as f32, all that 32-bit WebAssembly can address. */
export const MAX_NUMEL = 2 ** 30;

/** The value of an IEEE half: all of them are exact in f32. */
function float16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halves: Float32Array | undefined;

/**
 * Convert little-endian elements to f32: F32, F16, BF16 and all integers up to 2²⁴ exactly, the rest to the nearest.
 *
 * @shape bytes [N · item size] → into [N]
 */
export function toFloat32(dtype: DType, bytes: Uint8Array, into: Float32Array): void {
  if (dtype === "F32") {
    new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(bytes);
    return;
  }
  const size = ITEM_SIZE[dtype];
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const n = into.length;
  switch (dtype) {
    case "F16": {
      const source = new Uint16Array(buffer, byteOffset, n);
      halves ??= Float32Array.from({ length: 65536 }, (_, half) => float16(half));
      for (let i = 0; i < n; i++) into[i] = halves[source[i]];
      return;
    }
    case "BF16": {
      const source = new Uint16Array(buffer, byteOffset, n);
      const bits = new Uint32Array(into.buffer, into.byteOffset, n);
      for (let i = 0; i < n; i++) bits[i] = source[i] << 16;
      return;
    }
    case "I64": {
      const source = new BigInt64Array(buffer, byteOffset, n);
      for (let i = 0; i < n; i++) into[i] = Number(source[i]);
      return;
    }
    case "F64":
      into.set(new Float64Array(buffer, byteOffset, n));
      return;
    case "I32":
      into.set(new Int32Array(buffer, byteOffset, n));
      return;
    case "I16":
      into.set(new Int16Array(buffer, byteOffset, n));
      return;
    case "I8":
      into.set(new Int8Array(buffer, byteOffset, n));
      return;
    default: // U8, BOOL
      into.set(new Uint8Array(buffer, byteOffset, n));
  }
}
