import { suite } from "uvu";
import * as assert from "uvu/assert";
import { drawPng } from "../../tests/pictures.ts";
import { nodePlatform } from "../platform/node.ts";
import { setNoticeListener } from "../platform/notices.ts";
import { setPlatform } from "../platform/platform.ts";
import { openFrames } from "./open.ts";

setPlatform(nodePlatform);
const [W, H] = [6, 4];

/** A frame of 16-bit samples of one value. */
const deep = (value: number) =>
  drawPng({ width: W, height: H, samples: new Uint16Array(W * H).fill(value) }, { depth: 16, colour: "grey" });

/** The brightness of each frame, and what was said. */
async function brightness(values: readonly number[], asStream = false): Promise<{ seen: number[]; said: string[] }> {
  const said: string[] = [];
  setNoticeListener((text) => said.push(text));
  async function* arriving() {
    for (const value of values) yield deep(value);
  }
  const frames = await openFrames(asStream ? arriving() : values.map(deep));
  const seen: number[] = [];
  for (const i of values.keys()) seen.push((await frames.read(i, 1))!.data[0]);
  setNoticeListener();
  return { seen, said };
}

const List = suite("frames of 16 bits");

List("all frames of a video are taken for as many bits: what is equally bright stays so", async () => {
  const { seen, said } = await brightness([0, 900, 4000, 900, 200]);
  assert.equal(seen, [0, 900 >> 4, 4000 >> 4, 900 >> 4, 200 >> 4]);
  assert.equal(said, ["16-bit samples that fit 12 bits are taken for 12-bit ones"]);
});

List(
  "of a long one some are looked at, and what is brighter than all of these is white, which is said once",
  async () => {
    const values = Array.from({ length: 100 }, (_, i) => (i === 50 || i === 51 ? 60_000 : 1000 + i));
    const { seen, said } = await brightness(values);
    assert.equal([seen[0], seen[50], seen[51], seen[99]], [1000 >> 4, 255, 255, 1099 >> 4]);
    assert.is(said.filter((text) => /exceed 12 bits, and are taken for white/.test(text)).length, 1, `${said}`);
  },
);

List("of a stream the first frame that is not black decides", async () => {
  const { seen } = await brightness([0, 900, 500, 2000], true);
  assert.equal(seen, [0, 900 >> 2, 500 >> 2, 255]);
});

List.run();
