import { suite } from "uvu";
import * as assert from "uvu/assert";
import { expectBuilt } from "../tests/built.ts";
import { stress } from "./stress.ts";

const Stress = suite("stress");

Stress("sam2 serve answers rightly among clients that are slow, leave, or send what it does not take", async () => {
  expectBuilt();
  const { statuses, wrong, click, code } = await stress({ seconds: 6, clients: 40, model: "nano", threads: 1 });
  assert.equal(wrong, []);
  assert.is(code, 143);
  assert.ok(click.count > 0);
  assert.ok(statuses.oversized[413] > 0, JSON.stringify(statuses));
  assert.ok(statuses.malformed[422] > 0, JSON.stringify(statuses));
  assert.ok(statuses.everything[200] > 0, JSON.stringify(statuses));
});

Stress.run();
