import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { type ByteSource, bytesSource, type TensorFile } from "./tensor_file.ts";

const open = (bytes: Uint8Array) => readSafetensors(bytesSource(bytes, "x.safetensors"));
const fixtureBytes = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../golden/cases/checkpoints/${name}`, import.meta.url)));

/** A file of any header, with `dataSize` bytes 0, 1, 2, … behind it. */
function file(header: string | object, dataSize = 0, headerSize?: number | bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + dataSize);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerSize ?? text.length), true);
  bytes.set(text, 8);
  for (let i = 0; i < dataSize; i++) bytes[8 + text.length + i] = i;
  return bytes;
}
const entry = (dtype: unknown, shape: unknown, ...offsets: unknown[]) => ({ dtype, shape, data_offsets: offsets });

function read(from: TensorFile, name: string): number[] {
  const stored = from.tensors.get(name)!;
  const values = new Float32Array(numel(stored.shape));
  stored.read(values);
  return [...values];
}

const Valid = suite("safetensors: valid files");
Valid("a file that the official library wrote gives its tensors and texts", () => {
  const from = open(fixtureBytes("f32.safetensors"));
  assert.equal(
    read(from, "b.weight"),
    [0, 1, 2, 3, 4, 5].map((i) => i / 8),
  );
  assert.equal(from.tensors.get("b.weight")!.shape, [2, 3]);
  assert.equal(read(from, "scalar"), [0]);
  assert.equal(read(from, "empty"), []);
  assert.equal({ ...from.metadata }, { config: '{"name": "x"}', format: "pt" });
});
Valid("F16 and BF16 are converted exactly at their limits, F64 and I64 where f32 can hold them", () => {
  const from = open(fixtureBytes("mixed.safetensors"));
  assert.equal(read(from, "h"), [2 ** -24, -1023 * 2 ** -24, 65504, Infinity, -Infinity, NaN, -0]);
  assert.ok(Object.is(read(from, "h")[6], -0));
  assert.equal(read(from, "b").slice(2, 6), [65536, Infinity, -Infinity, NaN]);
  assert.equal(read(from, "d"), [0, 1 / 8, 2 / 8]);
  assert.equal(read(from, "i"), [0, 1, 2, 3, 4, 127]);
});
Valid("all 65536 halves equal their definition", () => {
  const bytes = file({ h: entry("F16", [65536], 0, 131072) }, 131072);
  const view = new DataView(bytes.buffer, bytes.length - 131072);
  for (let half = 0; half < 65536; half++) view.setUint16(half * 2, half, true);
  const got = read(open(bytes), "h");
  let wrong = 0;
  for (let half = 0; half < 65536; half++) {
    const exponent = (half >> 10) & 31;
    const scale = exponent === 0 ? 2 ** -24 * (half & 1023) : 2 ** (exponent - 25) * (1024 + (half & 1023));
    const want = exponent === 31 ? (half & 1023 ? NaN : Infinity) : scale;
    if (!Object.is(got[half], half & 0x8000 ? -want : want)) wrong++;
  }
  assert.is(wrong, 0);
});
Valid("integers and booleans of every width are read", () => {
  const header = {
    a: entry("U8", [2], 0, 2),
    b: entry("I8", [2], 2, 4),
    c: entry("BOOL", [2], 4, 6),
    d: entry("I16", [1], 6, 8),
  };
  const from = open(file({ ...header, e: entry("I32", [1], 8, 12) }, 12));
  assert.equal(
    [..."abcde"].map((name) => read(from, name)),
    [[0, 1], [2, 3], [4, 5], [0x706], [0xb0a0908]].map((v) => v.map(Math.fround)),
  );
});
Valid("a header may be padded with spaces, and tensors may stand in any order in it", () => {
  const header = JSON.stringify({ b: entry("U8", [1], 2, 3), a: entry("U8", [2], 0, 2), z: entry("F32", [0], 2, 2) });
  const from = open(file(`${header}     `, 3));
  assert.equal([read(from, "a"), read(from, "b"), read(from, "z")], [[0, 1], [2], []]);
});
Valid("equal keys in different objects, and keys inside texts, are no duplicates", () => {
  const from = open(file({ __metadata__: { a: '{"a":1,"a":2}', dtype: '\\"' }, a: entry("U8", [0], 0, 0) }));
  assert.is(from.metadata.a, '{"a":1,"a":2}');
});
Valid("a tensor larger than a megabyte is read piece by piece, in order", () => {
  const data = Float32Array.from({ length: 700_001 }, (_, i) => i);
  const bytes = writeSafetensors(new Map([["x", { shape: [700_001], data }]]));
  let largest = 0;
  const source: ByteSource = {
    ...bytesSource(bytes),
    read: (offset, length) => {
      largest = Math.max(largest, length);
      return bytes.slice(offset, offset + length);
    },
  };
  const got = new Float32Array(700_001);
  readSafetensors(source).tensors.get("x")!.read(got);
  assert.is(
    got.findIndex((value, i) => value !== i),
    -1,
  );
  assert.is(largest, 2 ** 20);
});
Valid("what is written equals the official library's bytes", () => {
  const ramp = (n: number) => Float32Array.from({ length: n }, (_, i) => i / 8);
  const tensors = new Map([
    ["b.weight", { shape: [2, 3], data: ramp(6) }],
    ["scalar", { shape: [], data: ramp(1) }],
    ["empty", { shape: [0, 2], data: ramp(0) }],
    ["a", { shape: [4], data: ramp(4) }],
  ]);
  const got = writeSafetensors(tensors, { format: "pt", config: '{"name": "x"}' });
  assert.is(Buffer.compare(got, fixtureBytes("f32.safetensors")), 0);
});
Valid("names such as __proto__ and 10 survive writing and reading", () => {
  const one = { shape: [1], data: Float32Array.of(7) };
  const from = open(
    writeSafetensors(
      new Map([
        ["__proto__", one],
        ["10", one],
        ["9", one],
      ]),
    ),
  );
  assert.equal([...from.tensors.keys()].sort(), ["10", "9", "__proto__"]);
  assert.equal(read(from, "__proto__"), [7]);
});
Valid.run();

const Hostile = suite("safetensors: damaged and hostile files are refused by name");
const a = entry("F32", [2], 0, 8);
const text = JSON.stringify({ a });
const hostile: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ["an empty file", new Uint8Array(0), /header length: expected 8 bytes from offset 0, got a file of 0 bytes/],
  ["seven bytes", new Uint8Array(7), /header length: expected 8 bytes/],
  ["a header of 0 bytes", file("", 4), /header: expected 2 … 100000000 bytes, got 0/],
  ["a header beyond 100 MB", file(text, 8, 100_000_001), /got 100000001/],
  ["a header of 2⁶⁴ − 1 bytes", file(text, 8, 2n ** 64n - 1n), /got 18446744073709552000/],
  ["a header longer than the file", file(text, 8, text.length + 9), /header: expected \d+ bytes from offset 8/],
  ["a header that does not begin with {", file(` ${text}`, 8), /header: expected a first byte \{, got byte 0x20/],
  ["a header that is a list", file("[]", 0), /got byte 0x5b/],
  ["a header that is not JSON", file("{]", 0), /header: expected JSON in UTF-8/],
  ["a header that is cut off", file(text, 8, text.length - 1), /header: expected JSON in UTF-8/],
  ["a second value behind the header", file(`${text}{}`, 8), /header: expected JSON in UTF-8/],
  ["a header that is not UTF-8", file(text, 8).with(11, 0xff), /header: expected JSON in UTF-8/],
  [
    "a tensor twice",
    file(`{"a":${JSON.stringify(a)},"a":${JSON.stringify(a)}}`, 8),
    /header: expected every key once, got "a" again/,
  ],
  [
    "a tensor twice, once escaped",
    file(`{"a":${JSON.stringify(a)},"\\u0061":${JSON.stringify(a)}}`, 8),
    /got "a" again/,
  ],
  [
    "a dtype twice",
    file('{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
    /got "dtype" again/,
  ],
  ["a text twice", file('{"__metadata__":{"x":"1","x" :"2"}}'), /got "x" again/],
  ["metadata that is a list", file({ __metadata__: [] }), /__metadata__: expected an object of strings/],
  ["metadata with a number", file({ __metadata__: { x: 1 } }), /__metadata__: expected an object of strings/],
  ["a tensor that is a number", file({ a: 1 }), /a: entry: expected an object, got 1/],
  ["a tensor that is null", file({ a: null }), /a: entry: expected an object, got null/],
  [
    "an unknown field",
    file({ a: { ...a, stride: [1] } }, 8),
    /a: entry: expected dtype, shape and data_offsets alone, got "stride"/,
  ],
  ["an unknown dtype", file({ a: entry("F8_E4M3", [2], 0, 2) }, 2), /a: dtype: expected F64, F32, .*, got "F8_E4M3"/],
  ["a dtype named like a method", file({ a: entry("constructor", [2], 0, 8) }, 8), /a: dtype: .* got "constructor"/],
  ["no dtype", file({ a: { shape: [2], data_offsets: [0, 8] } }, 8), /a: dtype: .* got nothing/],
  [
    "no shape",
    file({ a: { dtype: "F32", data_offsets: [0, 8] } }, 8),
    /a: shape: expected a list of sizes, got nothing/,
  ],
  ["a shape that is a number", file({ a: entry("F32", 2, 0, 8) }, 8), /a: shape: expected a list of sizes, got 2/],
  ["a negative size", file({ a: entry("F32", [-2], 0, 8) }, 8), /a: shape: expected a list of sizes, got \[-2\]/],
  ["two negative sizes", file({ a: entry("F32", [-1, -2], 0, 8) }, 8), /a: shape: expected a list of sizes/],
  ["half a size", file({ a: entry("F32", [0.5, 4], 0, 8) }, 8), /a: shape: expected a list of sizes/],
  [
    "a size beyond 2⁵³",
    file('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}}', 8),
    /a: shape: expected a list of sizes/,
  ],
  [
    "numel that overflows 2⁶⁴",
    file({ a: entry("F32", [2 ** 32, 2 ** 32, 2], 0, 8) }, 8),
    /a: shape: expected at most 1073741824 elements/,
  ],
  [
    "numel that overflows a double",
    file({ a: entry("F32", Array(30).fill(2 ** 50), 0, 8) }, 8),
    /a: shape: expected at most 1073741824 elements/,
  ],
  ["no offsets", file({ a: { dtype: "F32", shape: [2] } }, 8), /a: data_offsets: expected \[start, end\], got nothing/],
  [
    "three offsets",
    file({ a: entry("F32", [2], 0, 4, 8) }, 8),
    /a: data_offsets: expected \[start, end\], got \[0,4,8\]/,
  ],
  ["a negative offset", file({ a: entry("F32", [2], -8, 0) }, 8), /a: data_offsets: expected \[start, end\]/],
  [
    "offsets in reverse",
    file({ a: entry("F32", [2], 8, 0) }, 8),
    /a: data_offsets: expected 8 bytes for F32 \[2\], got \[8,0\]/,
  ],
  [
    "offsets that do not fit the shape",
    file({ a: entry("F32", [3], 0, 8) }, 8),
    /a: data_offsets: expected 12 bytes for F32 \[3\]/,
  ],
  [
    "offsets that do not fit the dtype",
    file({ a: entry("F64", [2], 0, 8) }, 8),
    /a: data_offsets: expected 16 bytes for F64 \[2\]/,
  ],
  [
    "overlapping tensors",
    file({ a, b: entry("F32", [2], 4, 12) }, 12),
    /b: data_offsets: expected a start at 8, .* got 4/,
  ],
  ["two tensors in one place", file({ a, b: a }, 8), /b: data_offsets: expected a start at 8, .* got 0/],
  [
    "a gap between tensors",
    file({ a, b: entry("U8", [1], 9, 10) }, 10),
    /b: data_offsets: expected a start at 8, .* got 9/,
  ],
  ["a gap before the first tensor", file({ a: entry("F32", [1], 4, 8) }, 8), /a: data_offsets: expected a start at 0/],
  ["data cut off", file({ a }, 7), /x\.safetensors: expected \d+ bytes, as the header says, got/],
  ["bytes behind the data", file({ a }, 9), /x\.safetensors: expected \d+ bytes, as the header says/],
  [
    "a tensor far behind the end",
    file({ a: entry("U8", [2 ** 30], 0, 2 ** 30) }, 8),
    /expected 10737\d+ bytes, as the header says/,
  ],
];
for (const [what, bytes, message] of hostile) {
  Hostile(what, () => {
    assert.throws(
      () => open(bytes),
      (error: unknown) =>
        error instanceof CheckpointError && message.test(error.message) && !error.message.includes("\n"),
    );
  });
}
Hostile("a file that shrinks while it is read is refused by tensor", () => {
  const bytes = file({ a }, 8);
  const source: ByteSource = {
    ...bytesSource(bytes),
    read: (o, n) => bytes.subarray(o, Math.min(o + n, bytes.length - 1)),
  };
  assert.throws(() => read(readSafetensors(source), "a"), /a: expected 8 bytes from offset/);
});
Hostile("any byte of a header changed is read all the same or refused with a CheckpointError", () => {
  const bytes = file({ __metadata__: { k: "v" }, a, b: entry("U8", [1], 8, 9) }, 9);
  let refused = 0;
  for (let i = 0; i < bytes.length; i++) {
    for (const flip of [1, 2, 4, 8, 16, 32, 64, 128]) {
      try {
        open(bytes.with(i, bytes[i] ^ flip));
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        refused++;
      }
    }
  }
  assert.ok(refused > 500, `${refused} refused`);
});
Hostile("values that do not fit their shape are not written", () => {
  const tensor = { shape: [3], data: new Float32Array(2) };
  assert.throws(
    () => writeSafetensors(new Map([["w", tensor]])),
    /writeSafetensors: w: expected 3 values for \[3\], got 2/,
  );
});
Hostile.run();
