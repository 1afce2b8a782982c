import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Latest } from "./latest.ts";

const LatestOnly = suite("studio's latest");

LatestOnly("while one call runs the newest waits, and those between are dropped", async () => {
  const ran: number[] = [];
  const releases: (() => void)[] = [];
  const latest = new Latest<number>(async (n) => {
    ran.push(n);
    await new Promise<void>((resolve) => releases.push(resolve));
  });
  const all = latest.ask(1);
  for (const n of [2, 3, 4]) void latest.ask(n);
  releases.shift()!();
  await new Promise((resolve) => setTimeout(resolve));
  releases.shift()!();
  await all;
  assert.equal(ran, [1, 4]);
});

LatestOnly("what waits can be dropped", async () => {
  const ran: number[] = [];
  const latest = new Latest<number>(async (n) => void ran.push(n));
  const all = latest.ask(1);
  void latest.ask(2);
  latest.drop();
  await all;
  assert.equal(ran, [1]);
});

LatestOnly.run();
