import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type FrameMemory, visibleMaps, visiblePointers } from "./memory_bank.ts";

/** A memory that says which frame it is of. */
const memoryOf = (frame: number): [number, FrameMemory] => [frame, { objPtr: Float32Array.of(frame) }];
const bankOf = (cond: number[], nonCond: number[]) => ({
  cond: new Map(cond.map(memoryOf)),
  nonCond: new Map(nonCond.map(memoryOf)),
});
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const maps = (bank: ReturnType<typeof bankOf>, frame: number, reverse = false) =>
  visibleMaps(bank, { frame, numFrames: 100, reverse }, 7).map(({ tPos, memory }) => [tPos, memory.objPtr[0]]);
const pointers = (bank: ReturnType<typeof bankOf>, frame: number, numFrames = 100, reverse = false) =>
  visiblePointers(bank, { frame, numFrames, reverse }).map(({ tDiff, memory }) => [tDiff, memory.objPtr[0]]);

const Bank = suite("memory bank");

Bank(
  "maps: conditioning frames as they were named, then the frames 6 … 1 before, or behind when time runs backward",
  () => {
    const bank = bankOf([30, 0], range(1, 29));
    assert.equal(maps(bank, 20), [
      [0, 30],
      [0, 0],
      [1, 14],
      [2, 15],
      [3, 16],
      [4, 17],
      [5, 18],
      [6, 19],
    ]);
    assert.equal(maps(bank, 20, true), [
      [0, 30],
      [0, 0],
      [1, 26],
      [2, 25],
      [3, 24],
      [4, 23],
      [5, 22],
      [6, 21],
    ]);
    assert.equal(maps(bank, 3), [
      [0, 30],
      [0, 0],
      [5, 1],
      [6, 2],
    ]);
  },
);

Bank("pointers: conditioning frames of the past, then 1 … 15 before, no further than the video reaches", () => {
  const bank = bankOf([30, 0], range(1, 29));
  assert.equal(pointers(bank, 20), [[20, 0], ...range(1, 15).map((d) => [d, 20 - d])]);
  assert.equal(pointers(bank, 20, 100, true), [[10, 30], ...range(1, 9).map((d) => [d, 20 + d])]);
  assert.equal(pointers(bank, 2), [
    [2, 0],
    [1, 1],
  ]);
});

Bank("a short video sees fewer pointers", () => {
  assert.equal(pointers(bankOf([0], range(1, 9)), 9, 10).length, 1 + 8);
  assert.equal(pointers(bankOf([0], [1, 2, 3]), 3, 4), [
    [3, 0],
    [1, 2],
    [2, 1],
  ]);
});

Bank("of a frame that was both prompted and tracked, and of gaps, each memory is seen once", () => {
  const bank = bankOf([4], [1, 3, 6]);
  assert.equal(maps(bank, 7), [
    [0, 4],
    [1, 1],
    [3, 3],
    [6, 6],
  ]);
  assert.equal(pointers(bank, 7), [
    [3, 4],
    [1, 6],
    [4, 3],
    [6, 1],
  ]);
});

Bank.run();
