import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "../../tests/tables.ts";
import type { RgbImage } from "../io/image.ts";
import type { Kernels } from "../runtime/kernels.ts";
import { type Machine, withMachine } from "../runtime/machine.ts";
import { reference } from "../runtime/reference.ts";
import { pillowResize } from "./pillow_resize.ts";

interface Case {
  from: [width: number, height: number];
  to: [width: number, height: number];
  pixels: string;
}

const fixture = new URL("../../golden/resize.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(fixture, "utf8")).pillow;

/** The bytes of golden/reference/resize_fixtures.py. */
function photo(width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const value = Math.floor((i * i * 7 + i * 31) / 4) % 256;
    return i % 5 < 2 ? value : value > 127 ? 255 : 0;
  });
  return { width, height, data };
}

const PillowResize = suite("pillowResize");

for (const { heap, tables } of builds) {
  for (const kernels of [...tables, reference] as Kernels[]) {
    for (const { from, to, pixels } of cases) {
      PillowResize(`${kernels.name}: ${from.join("×")} → ${to.join("×")} equals Image.resize in every byte`, () => {
        withMachine({ heap, kernels } as Machine, () =>
          heap.scope(() => {
            const got = pillowResize(photo(...from), ...to);
            const want = Buffer.from(pixels, "base64");
            assert.is(got.length, want.length);
            assert.is(got.filter((byte, i) => byte !== want[i]).length, 0);
          }),
        );
      });
    }
  }
}

PillowResize("the cases hold both orders of the passes", () => {
  const heightFirst = cases.filter(({ from: [w, h], to: [W, H] }) => h > H && h - H > 2 * (w - W));
  const widthFirst = cases.filter(({ from: [w, h], to: [W, H] }) => w !== W && h !== H && h - H <= 2 * (w - W));
  assert.ok(heightFirst.length >= 2 && widthFirst.length >= 2);
});

PillowResize.run();
