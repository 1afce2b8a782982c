// The import rule of the house: rooms of the tree, floors of src/, no circle anywhere.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";

/** Rooms of the tree, lowest first. A file imports from its own room or a lower one; a test may also use `tests/`. */
const ROOMS = ["src", "golden", "tests", "bench", "models", "docs", "studio"];
/** Floors of src/, lowest first. A file imports from its own floor or below. */
const FLOORS = [
  ["errors", "platform", "tensor"],
  ["evaluate", "io", "runtime", "video"],
  ["nn"],
  ["model"],
  ["predict"],
  ["engine"],
  ["jobs", "server"],
  ["index", "index.browser", "index.node"],
  ["cli"],
];
/** What the studio's page has from elsewhere: the package's public API, a view library, a reader of video files, nano's file and drawings. */
const FOR_STUDIO = /^(sam2-ts|preact(\/[\w-]+)?|fflate|mediabunny|models\/nano\/scenes\.ts|studio\/.+)$/;
/** Files of src/ that exist for Node; no other imports from it. */
const FOR_NODE =
  /(\.node\.ts$|^src\/platform\/node|^src\/cli\/|^src\/jobs\/(batch_input|carried_video|node_source|pool|pool_process|queue|queue_worker|redis|saved_state|store)\.ts$|\.test\.ts$)/;

const root = fileURLToPath(new URL("..", import.meta.url));
const files = ROOMS.flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(ts|tsx|js|mjs)$/.test(file) && !/node_modules|^(html|api)\//.test(file))
    .map((file) => normalize(join(room, file))),
);
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const inSrc = files.filter((file) => file.startsWith("src/"));

const Floors = suite("floors");

Floors("every file of src stands on a floor", () => {
  assert.is(inSrc.filter((file) => floorOf(file) < 0).join("\n"), "");
});

Floors("no file imports from a floor above its own", () => {
  const upwards = (file: string, target: string) => floorOf(target) > floorOf(file);
  assert.is(against(inSrc.filter(isNoTest), upwards), "");
});

Floors(
  "no file imports from a room above its own; of a higher one than its own, a test may use tests/ and golden/",
  () => {
    const upwards = (file: string, target: string) =>
      roomOf(target) > (isNoTest(file) ? roomOf(file) : Math.max(roomOf(file), ROOMS.indexOf("tests")));
    assert.is(against(files, upwards), "");
  },
);

Floors("nothing but a test imports a test", () => {
  assert.is(
    against(files.filter(isNoTest), (_, target) => !isNoTest(target)),
    "",
  );
});

Floors("no imports go in a circle, in the whole tree", () => {
  assert.is(files.map(circleFrom).find((circle) => circle !== undefined) ?? "", "");
});

Floors("the studio's page sees the public API, its libraries and nano's drawings, and nothing behind them", () => {
  const page = files.filter((file) => file.startsWith("studio/src/") && isNoTest(file));
  const foreign = page.flatMap((file) =>
    imports
      .get(file)!
      .filter((target) => !FOR_STUDIO.test(target))
      .map((target) => `${file} → ${target}`),
  );
  assert.ok(page.length > 10);
  assert.is(foreign.join("\n"), "");
});

Floors("the kernels import each other alone", () => {
  const kernels = readdirSync(join(root, "kernels")).filter((file) => file.endsWith(".ts"));
  const foreign = kernels.flatMap((file) => importsOf(`kernels/${file}`)).filter((t) => !t.startsWith("kernels/"));
  assert.is(foreign.join("\n"), "");
});

Floors("only files that exist for Node import from it", () => {
  const node = inSrc.filter((file) => !FOR_NODE.test(file) && imports.get(file)!.some((t) => t.startsWith("node:")));
  assert.is(node.join("\n"), "");
});

Floors("of the machine the model uses the heap alone", () => {
  const used = inSrc
    .filter((file) => file.startsWith("src/model/") && isNoTest(file))
    .flatMap((file) => [...read(file).matchAll(/\bmachine\.(?!heap\b|ts\b)\w+/g)].map(([text]) => `${file}: ${text}`));
  assert.is(used.join("\n"), "");
});

Floors("the names of kernels stand in the two files that call them", () => {
  const naming = inSrc.filter((file) => isNoTest(file) && /"\w+_(f32|u8)(_\w+)?"/.test(read(file)));
  assert.equal(naming.sort(), ["src/runtime/wasm.ts", "src/runtime/wasm_elementwise.ts"]);
});

Floors("the model sees tensors, weights and nn: no typed array, no WebAssembly", () => {
  const model = inSrc.filter((file) => file.startsWith("src/model/") && isNoTest(file));
  const seeing = model.filter((file) => /new (Float32|Int32|Uint8)Array|WebAssembly/.test(read(file)));
  assert.is(seeing.join("\n"), "");
});

Floors.run();

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

function isNoTest(file: string): boolean {
  return !file.endsWith(".test.ts");
}

/** Specifiers of static, re-exported and dynamic imports; those of the tree as paths from its root. */
function importsOf(file: string): string[] {
  const pattern = /^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  return [...read(file).matchAll(pattern)]
    .map((match) => match[1] ?? match[2] ?? match[3])
    .map((target) => (target.startsWith(".") ? normalize(join(dirname(file), target)) : target));
}

function against(from: readonly string[], wrong: (file: string, target: string) => boolean): string {
  const arrows = from.flatMap((file) =>
    imports
      .get(file)!
      .filter((target) => imports.has(target) && wrong(file, target))
      .map((target) => `${file} → ${target}`),
  );
  return arrows.join("\n");
}

function roomOf(file: string): number {
  return ROOMS.indexOf(file.split("/")[0]);
}

function floorOf(file: string): number {
  const [room, floor] = file.split("/");
  if (room !== "src") return FLOORS.length;
  return FLOORS.findIndex((names) => names.includes(floor.replace(/(\.test)?\.ts$/, "")));
}

/** The first circle that starts and ends at `file`, printed. */
function circleFrom(file: string): string | undefined {
  const visited = new Set<string>();
  const walk = (path: string[]): string | undefined => {
    for (const target of imports.get(path.at(-1)!) ?? []) {
      if (target === file) return [...path, target].join(" → ");
      if (visited.has(target) || !imports.has(target)) continue;
      visited.add(target);
      const found = walk([...path, target]);
      if (found) return found;
    }
    return undefined;
  };
  return walk([file]);
}
