import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fromBfloat16, toBfloat16 } from "./bfloat16.ts";

/** Through bfloat16 and back. */
function rounded(...values: number[]): number[] {
  const back = new Float32Array(values.length);
  fromBfloat16(toBfloat16(Float32Array.from(values)), back);
  return [...back];
}

const Bfloat16 = suite("bfloat16");

Bfloat16("rounds to the nearest of 8 significant bits, ties to even, and overflows to infinity", () => {
  assert.equal(rounded(1, 1 + 2 ** -9, 1 + 2 ** -8, 1 + 3 * 2 ** -8), [1, 1, 1, 1 + 2 ** -6]);
  assert.equal(rounded(1 + 2 ** -8 + 2 ** -20, -Math.PI), [1 + 2 ** -7, -3.140625]);
  assert.equal(rounded(3.4e38, -3.4e38, 1e-40), [Infinity, -Infinity, 2 ** -133]);
});

Bfloat16("keeps what it can hold: all 65,536 bit patterns come back, NaN as NaN", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = new Float32Array(bits.length);
  fromBfloat16(bits, values);
  const back = toBfloat16(values);
  const wrong = bits.filter((word, i) => (Number.isNaN(values[i]) ? back[i] !== 0x7fc0 : back[i] !== word));
  assert.is(wrong.length, 0);
});

Bfloat16.run();
