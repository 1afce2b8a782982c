import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { cachedModels, deleteCachedModel } from "./cached_models.ts";

setPlatform(nodePlatform);
const folder = mkdtempSync(join(tmpdir(), "sam2-cache-"));
process.env.SAM2_CACHE = folder;

const Cached = suite("cached models");

Cached.after(() => rmSync(folder, { recursive: true, force: true }));

Cached("those of the cache folder are listed by name with their sizes, and other files are not", async () => {
  assert.equal(await cachedModels(), []);
  writeFileSync(join(folder, "sam2.1_hiera_tiny.pt"), new Uint8Array(7));
  writeFileSync(join(folder, "edgetam.pt"), new Uint8Array(5));
  writeFileSync(join(folder, "notes.txt"), "");
  assert.equal(await cachedModels(), [
    { name: "tiny", bytes: 7 },
    { name: "edgetam", bytes: 5 },
  ]);
});

Cached("deleting one takes its digest and its parts along, and nothing else", async () => {
  for (const name of ["sam2.1_hiera_tiny.pt.sha256", "sam2.1_hiera_tiny.pt.YQ.idle.part"]) {
    writeFileSync(join(folder, name), "x");
  }
  await deleteCachedModel("facebook/sam2.1-hiera-tiny");
  assert.equal(readdirSync(folder).sort(), ["edgetam.pt", "notes.txt"]);
  await deleteCachedModel("tiny"); // it is gone already
});

Cached("a name of no model is refused", async () => {
  for (const name of ["huge", "nano", 5 as unknown as string]) {
    const error = await deleteCachedModel(name).catch((error: Error) => error);
    assert.instance(error, UsageError);
  }
  assert.ok(existsSync(join(folder, "edgetam.pt")));
});

Cached.run();
