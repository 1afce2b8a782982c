// How the tiles of a call are shared: each is taken once, whoever takes it, and the last ones one by one.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Control, type TileKernel } from "./control.ts";

const SCRATCH = 64;
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Tiles [from, to) that were taken together, in the order in which they were. */
type Taken = [from: number, to: number][];

const noting =
  (taken: Taken, then = () => {}): TileKernel =>
  (seven, scratch, from, to) => {
    assert.equal([seven, scratch], [7, SCRATCH]);
    taken.push([from, to]);
    then();
  };

const Share = suite("tiles of a call");

Share("all are taken, in order, by no more than a chunk, and each of the last by itself", () => {
  for (const tiles of range(0, 200)) {
    for (const chunk of [1, 2, 5, 16]) {
      const control = new Control();
      const taken: Taken = [];
      control.open(0, tiles, chunk, [7]);
      control.work(noting(taken), SCRATCH);
      assert.ok(control.close(0));
      assert.equal(
        taken.flatMap(([from, to]) => range(from, to)),
        range(0, tiles),
      );
      const sizes = taken.map(([from, to]) => to - from);
      assert.ok(sizes.every((size) => size <= chunk));
      assert.equal(sizes.slice(-Math.min(tiles, 8)), Array<number>(Math.min(tiles, 8)).fill(1), `${tiles} by ${chunk}`);
      if (tiles > 8 * chunk) assert.is(sizes[0], chunk);
    }
  }
});

Share("what one leaves another takes, and none is taken twice", () => {
  for (const tiles of [1, 7, 30, 199]) {
    const control = new Control();
    const [mine, helpers]: [Taken, Taken] = [[], []];
    const helper = new Control(control.buffer);
    control.open(0, tiles, 4, [7]);
    control.work(
      noting(mine, () => {
        if (mine.length === 3) helper.work(noting(helpers), SCRATCH);
      }),
      SCRATCH,
    );
    const all = [...mine, ...helpers].flatMap(([from, to]) => range(from, to)).sort((a, b) => a - b);
    assert.equal(all, range(0, tiles));
    assert.is(mine.length, Math.min(3, tiles));
    assert.is(helpers.length > 0, tiles > 3);
  }
});

Share.run();
