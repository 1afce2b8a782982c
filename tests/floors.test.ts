import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";

/** Floors of the house, lowest first. A file imports from its own floor or below. */
const FLOORS = [
  ["errors", "platform", "tensor"],
  ["io", "runtime"],
  ["nn"],
  ["model"],
  ["predict"],
  ["engine"],
  ["index", "index.node"],
  ["cli"],
];
/** Files that exist for Node; no other imports from it. */
const FOR_NODE = /(\.node\.ts$|^platform\/node|^cli\/|\.test\.ts$)/;

const src = dirname(fileURLToPath(import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

const Floors = suite("floors");

Floors("every file stands on a floor", () => {
  assert.is(files.filter((file) => floorOf(file) < 0).join("\n"), "");
});

Floors("no file imports from a floor above its own", () => {
  const against = [...imports].flatMap(([file, targets]) =>
    (file.endsWith(".test.ts") ? [] : targets)
      .filter((target) => target.startsWith(".") && floorOf(resolve(file, target)) > floorOf(file))
      .map((target) => `${file} → ${target}`),
  );
  assert.is(against.join("\n"), "");
});

Floors("no imports go in a circle", () => {
  assert.is(files.map(circleFrom).find((circle) => circle !== undefined) ?? "", "");
});

Floors("no file leaves src", () => {
  const leaving = [...imports].flatMap(([file, targets]) =>
    targets.filter((target) => target.startsWith(".") && resolve(file, target).startsWith("..")).map(() => file),
  );
  assert.is(leaving.filter((file) => !file.endsWith(".test.ts")).join("\n"), "");
});

Floors("only files that exist for Node import from it", () => {
  const node = [...imports].filter(
    ([file, targets]) => !FOR_NODE.test(file) && targets.some((t) => t.startsWith("node:")),
  );
  assert.is(node.map(([file]) => file).join("\n"), "");
});

Floors("the model sees tensors, weights and nn: no typed array, no WebAssembly", () => {
  const model = files.filter((file) => file.startsWith("model/") && !file.endsWith(".test.ts"));
  const seeing = model.filter((file) => /new (Float32|Int32|Uint8)Array|WebAssembly/.test(read(file)));
  assert.is(seeing.join("\n"), "");
});

Floors.run();

function read(file: string): string {
  return readFileSync(join(src, file), "utf8");
}

/** Specifiers of static, re-exported and dynamic imports. */
function importsOf(file: string): string[] {
  const pattern = /^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  return [...read(file).matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3]);
}

function resolve(file: string, target: string): string {
  return normalize(join(dirname(file), target));
}

function floorOf(file: string): number {
  const room = file.split("/")[0].replace(/(\.test)?\.ts$/, "");
  if (room === "floors") return FLOORS.length;
  return FLOORS.findIndex((floor) => floor.includes(room));
}

/** The first circle that starts and ends at `file`, printed. */
function circleFrom(file: string): string | undefined {
  const walk = (path: string[]): string | undefined => {
    for (const target of imports.get(path.at(-1)!) ?? []) {
      if (!target.startsWith(".")) continue;
      const next = resolve(path.at(-1)!, target);
      if (next === file) return [...path, next].join(" → ");
      if (!path.includes(next) && !visited.has(next) && imports.has(next)) {
        visited.add(next);
        const found = walk([...path, next]);
        if (found) return found;
      }
    }
    return undefined;
  };
  const visited = new Set<string>();
  return walk([file]);
}
