import { suite } from "uvu";
import * as assert from "uvu/assert";
import { store } from "../state/store.ts";
import { models as keptModels } from "./kept_models.ts";
import { expectedMs, expectedTime } from "./models.ts";
import type { Session } from "./session.ts";
import { AT_FIRST, type Status } from "./status.ts";

const nano = [{ name: "nano", side: 256, ms: 40 }];

/** A browser that keeps `kept`, and what the session is asked to load in it. */
function visitor(kept: Record<string, string>, status: Partial<Status>) {
  const items = new Map(Object.entries(kept));
  const localStorage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
  };
  Object.assign(globalThis, { localStorage });
  const loads: [name: string, side?: number][] = [];
  const session = {
    status: store<Status>({ ...AT_FIRST, ...status }),
    useModel: async (name: string, _: unknown, side?: number) => void loads.push([name, side]),
  };
  return { models: keptModels(session as unknown as Session), items, loads };
}

const Models = suite("studio's models");

Models("nano's time here tells what the others take, at every size, of a picture and of a frame", () => {
  assert.is(expectedMs("tiny", 1024, nano), 40 * 50);
  assert.is(expectedTime("tiny", 1024, nano, "picture"), "about 2 s a picture");
  assert.is(expectedTime("tiny", 512, nano, "picture"), "about 0.4 s a picture");
  assert.is(expectedTime("tiny", 1024, nano, "frame"), "about 6 s a frame");
  assert.is(expectedTime("nano", 512, nano, "picture"), "at once");
});

Models("one size's time tells the others', of a file without a name too", () => {
  const own = [{ name: "mine.pt", side: 512, ms: 220 }];
  assert.is(Math.round(expectedMs("mine.pt", 1024, own)!), 1000);
  assert.is(expectedMs("mine.pt", 512, own), 220);
  assert.is(expectedMs("tiny", 1024, own), undefined);
  assert.is(expectedMs("tiny", 1024, [...own, ...nano]), 40 * 50);
  assert.is(expectedTime("tiny", 1024, [], "picture"), "");
});

Models("a size that is chosen is kept, and the model in use is loaded at it", async () => {
  const ready = { name: "tiny", label: "Tiny", state: "ready", side: 1024 } as const;
  const { models, items, loads } = visitor({}, { model: ready });
  assert.is(models.side.get(), 1024);
  await models.chooseSide(512);
  assert.equal(loads, [["tiny", 512]]);
  assert.is(visitor(Object.fromEntries(items), {}).models.side.get(), 512);
});

Models("a model of a size of its own, and one that is on its way, are left as they are", async () => {
  const first = visitor({}, { model: { name: "nano", label: "nano", state: "ready", side: 256 } });
  await first.models.chooseSide(768);
  assert.equal(first.loads, []);
  assert.is(visitor({ "sam2-image-size": "17" }, {}).models.side.get(), 1024);
});

Models.run();
