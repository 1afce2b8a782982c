import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { FrameSet } from "./frame_set.ts";

const Frames = suite("FrameSet");

Frames("a pass in either direction is one run, whatever was there before", () => {
  const frames = new FrameSet([[7, 7]]);
  for (let frame = 0; frame < 20; frame++) frames.add(frame);
  for (let frame = 40; frame >= 20; frame--) frames.add(frame);
  assert.equal(frames.runs, [[0, 40]]);
});

Frames("2000 changes at random leave what a Set holds, in the fewest runs", () => {
  const next = random(3);
  const [frames, plain] = [new FrameSet(), new Set<number>()];
  for (let k = 0; k < 2000; k++) {
    const frame = Math.floor(20 * (next() + 1));
    const change = next() < 0.2 ? "add" : "delete";
    frames[change](frame);
    plain[change](frame);
    const runs: [number, number][] = [];
    for (const t of [...plain].sort((a, b) => a - b)) {
      if (runs.at(-1)?.[1] === t - 1) runs.at(-1)![1] = t;
      else runs.push([t, t]);
    }
    assert.equal(frames.runs, runs);
    assert.is(frames.has(frame), plain.has(frame));
  }
});

Frames.run();
