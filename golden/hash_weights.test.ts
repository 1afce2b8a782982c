import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { numel } from "../src/tensor/shape.ts";
import { goldenImage } from "./hash_image.ts";
import { fnv1a, hashTensor, hashWeights, hashWord, sampleIndices } from "./hash_weights.ts";

interface Formula {
  tensors: { key: string; shape: number[]; sha256: string }[];
  images: { seed: number; width: number; height: number; sha256: string }[];
}

const { formula } = JSON.parse(readFileSync(new URL("manifest.json", import.meta.url), "utf8")) as { formula: Formula };
const sha256 = (array: Float32Array | Uint8Array) =>
  createHash("sha256").update(new Uint8Array(array.buffer)).digest("hex");

const Hash = suite("hash weights");

Hash("FNV-1a of the empty string and of 'a' are the published values", () => {
  assert.is(fnv1a(""), 0x811c9dc5);
  assert.is(fnv1a("a"), 0xe40c292c);
});

for (const { key, shape, sha256: want } of formula.tensors) {
  Hash(`${key} has the bits that Python gives`, () => {
    const values = new Float32Array(numel(shape));
    hashTensor(key, shape, values);
    assert.is(sha256(values), want);
  });
}

for (const { seed, width, height, sha256: want } of formula.images) {
  Hash(`golden image ${seed} of ${width}×${height} has the bytes that Python gives`, () => {
    assert.is(sha256(goldenImage(seed, width, height)), want);
  });
}

Hash("every bit of a hash word is set in 48 … 52 % of 20 000 words", () => {
  const ones = new Int32Array(32);
  for (let i = 0; i < 20_000; i++) for (let bit = 0; bit < 32; bit++) ones[bit] += (hashWord(7, i) >>> bit) & 1;
  assert.ok(
    ones.every((n) => n > 9600 && n < 10_400),
    `set ${ones.join(" ")}`,
  );
});

Hash("hashWeights gives lazily what hashTensor gives", () => {
  const shapes = new Map([["no_mem_embed", [1, 1, 256]]]);
  const [lazy, direct] = [new Float32Array(256), new Float32Array(256)];
  hashWeights(shapes).get("no_mem_embed")!.read(lazy);
  hashTensor("no_mem_embed", [1, 1, 256], direct);
  assert.is(sha256(lazy), sha256(direct));
});

Hash("sample indices lie inside the tensor", () => {
  assert.ok(sampleIndices("a.b", 1000, 512).every((i) => i >= 0 && i < 1000));
});

Hash.run();
