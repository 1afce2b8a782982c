import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { withDefaults } from "./automatic_mask_options.ts";
import { Contest } from "./contest.ts";
import type { Candidate } from "./mask_records.ts";
import { best } from "./mask_records.ts";

const thresholds = withDefaults({ predIouThresh: 0.2, boxNmsThresh: 0.5 });

/** A candidate with a box of the row, from x0 to x1. */
function candidate(id: number, x0: number, x1: number, predictedIou: number): Candidate {
  return {
    id,
    rle: { size: [100, 1000], counts: `${id}` },
    area: 1,
    box: [x0, 0, x1, 100],
    predictedIou,
    point: [0, 0],
    stabilityScore: 1,
    crop: [0, 0, 1000, 100],
  };
}

const Held = suite("Contest");

Held("who is suppressed by one that is suppressed in the end comes back, and is asked for by its id", () => {
  const [worst, middle, first] = [
    candidate(3, 0, 100, 0.5),
    candidate(7, 30, 130, 0.6), // overlaps both others by 0.54
    candidate(9, 60, 160, 0.7),
  ];
  const contest = new Contest(thresholds);
  contest.add([worst]);
  contest.add([middle]);
  assert.equal(contest.held, [middle]);
  contest.add([first]);
  assert.equal(contest.held, [first]);
  assert.equal(contest.end(), [3]);
  contest.restore([worst, candidate(4, 500, 600, 0.9)]);
  assert.equal(contest.winners, [first, worst]);
});

Held(
  "no more masks are held than of boxes that find room, however many come, and the winners are those of all at once",
  () => {
    for (const boxes of [64, 4096]) {
      const next = random(boxes);
      const draw = () => (next() + 1) / 2;
      // forty objects, each found again and again, a little off and with another score
      const all = Array.from({ length: boxes }, (_, id) => {
        const x = 25 * Math.floor(40 * draw());
        return candidate(id, x + 2 * draw(), x + 20 + 2 * draw(), Math.round(20 * draw()) / 20);
      });
      const contest = new Contest(thresholds);
      let most = 0;
      for (let from = 0; from < boxes; from += 16) {
        contest.add(all.slice(from, from + 16));
        most = Math.max(most, contest.held.length);
      }
      assert.ok(most <= 40, `${most} masks held of ${boxes}`);
      const lost = contest.end();
      contest.restore(lost.map((id) => all[id]));
      assert.equal(contest.winners, best(all, thresholds));
    }
  },
);

Held("without thresholds all stay, in the order in which they came", () => {
  const all = [candidate(0, 0, 10, 0.1), candidate(1, 0, 10, 0.9), candidate(2, 0, 10, 0.5)];
  const contest = new Contest();
  contest.add(all.slice(0, 2));
  contest.add(all.slice(2));
  assert.equal(contest.end(), []);
  assert.equal(contest.winners, all);
});

Held.run();
