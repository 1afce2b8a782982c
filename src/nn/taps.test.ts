import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { antialias, bicubic, bilinear, nearest, type TapRows } from "./taps.ts";

interface Case {
  method: keyof typeof METHODS;
  nIn: number;
  nOut: number;
  weights: number[]; // [nOut, nIn]
}

const METHODS = { antialias, bicubic, bilinear, nearest };
const BOUNDS = { antialias: 1e-8, bicubic: 3e-7, bilinear: 0, nearest: 0 };

const fixture = new URL("../../golden/resize.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(fixture, "utf8")).torch;

/** The table as a matrix [nOut, nIn]. */
function matrix({ starts, weights, T }: TapRows, nIn: number): Float32Array {
  const dense = new Float32Array(starts.length * nIn);
  starts.forEach((start, i) => {
    for (let t = 0; t < T; t++) dense[i * nIn + start + t] += weights[i * T + t];
  });
  return dense;
}

const Taps = suite("taps");

for (const method of Object.keys(METHODS) as (keyof typeof METHODS)[]) {
  Taps(`${method} weights are within ${BOUNDS[method]} of F.interpolate's, up, down, equal, from 1 and to 1`, () => {
    const stored = cases.filter((entry) => entry.method === method);
    assert.ok(stored.length > 5);
    for (const { nIn, nOut, weights } of stored) {
      const got = matrix(METHODS[method](nIn, nOut), nIn);
      const worst = got.reduce((most, weight, i) => Math.max(most, Math.abs(weight - Math.fround(weights[i]))), 0);
      assert.ok(worst <= BOUNDS[method], `${nIn} → ${nOut}: |Δ| ${worst}`);
    }
  });

  Taps(
    `${method}: every tap lies inside, and the weights of an output sum to 1 within 2e-6, f32 roundings included`,
    () => {
      for (const nIn of [1, 2, 3, 5, 8, 63, 500]) {
        for (const nOut of [1, 2, 4, 7, 64, 333]) {
          const { starts, weights, T } = METHODS[method](nIn, nOut);
          for (let i = 0; i < nOut; i++) {
            assert.ok(starts[i] >= 0 && starts[i] + T <= nIn, `${nIn} → ${nOut} at ${i}`);
            const sum = weights.subarray(i * T, i * T + T).reduce((total, weight) => total + weight, 0);
            assert.ok(Math.abs(sum - 1) <= 2e-6, `${nIn} → ${nOut} at ${i}: ${sum}`);
          }
        }
      }
    },
  );
}

Taps.run();
