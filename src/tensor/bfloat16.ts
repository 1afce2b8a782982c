const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

/** The upper halves of f32 values, rounded to nearest, ties to even: what `tensor.to(torch.bfloat16)` keeps. */
export function toBfloat16(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const rounded = new Uint16Array(source.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i];
    const isNumber = (word & 0x7fffffff) <= 0x7f800000;
    rounded[i] = isNumber ? (word + 0x7fff + ((word >>> 16) & 1)) >>> 16 : 0x7fc0;
  }
  return rounded;
}

/** The f32 values of bfloat16 bits, written to the front of `into`. */
export function fromBfloat16(bits: Uint16Array, into: Float32Array): void {
  for (let i = 0; i < bits.length; i++) {
    words[0] = bits[i] << 16;
    into[i] = floats[0];
  }
}
