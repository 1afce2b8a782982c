// Whatever is handed to whatever is exported: an error of the package or a result, never a raw one, and the engine goes on.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../golden/hash_image.ts";
import * as exported from "../src/index.node.ts";

const { ImagePredictor, Sam2, Sam2Error, VideoPredictor } = exported;

const NANO = new URL("../models/nano/nano.safetensors", import.meta.url);
const image = { width: 40, height: 30, data: goldenImage(1, 40, 30) };
const frames = [1, 2].map((seed) => ({ width: 40, height: 30, data: goldenImage(seed, 40, 30) }));
const prompt = { frame: 0, object: 1, points: [[20, 15]] };

const PRIMITIVES: unknown[] = [
  ...[undefined, null, true, false, 0, -0, 1, -1, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 1e300, 10n, -1n],
  ...[
    "",
    " ",
    "\0",
    "a\u2028b",
    "nonsense",
    "no/such/file.png",
    "/",
    ".",
    "http://",
    "https://[",
    "http://127.0.0.1:1/x",
  ],
  ...["file:///no/such", "file://host/x", "data:no/such", "blob:none", "x".repeat(5000)],
  ...[Symbol("s"), Symbol.iterator, () => {}, async () => {}, class {}, Math, JSON, globalThis, Object],
];
const OBJECTS: unknown[] = [
  ...[
    {},
    Object.create(null),
    Object.freeze({}),
    new Proxy({}, {}),
    new Date(Number.NaN),
    /x/,
    new Error("x"),
    new Map(),
  ],
  ...[
    new Set([1]),
    new WeakMap(),
    Promise.resolve(1),
    new ArrayBuffer(0),
    new DataView(new ArrayBuffer(4)),
    new Blob([]),
  ],
  ...[new Uint8Array(0), new Uint8Array(3), new Float32Array(3), new Float64Array(2), new BigInt64Array(1)],
  ...[new SharedArrayBuffer(4), new URL("about:blank"), new URL("http://127.0.0.1:1/"), new AbortController()],
  ...[new String("x"), new Number(1), new Boolean(false), new Response("x"), new Response(null, { status: 404 })],
  ...[
    [],
    [null],
    [[]],
    [[[]]],
    [{}],
    [1, 2, 3],
    ["a"],
    [Number.NaN],
    new Array(3),
    [Symbol("x")],
    [() => {}],
    [new Date(0)],
  ],
  { toString: null, valueOf: null },
  { then: 1 },
  { signal: 1 },
  { signal: {} },
  { onProgress: 1 },
  { [Symbol.asyncIterator]: 1 },
  { async *[Symbol.asyncIterator]() {} },
  {
    async *[Symbol.asyncIterator]() {
      yield 1;
    },
  },
  { [Symbol.iterator]: null, length: -1 },
];
/** Fields that some method reads, each with everything that it is not. */
const FIELDS = Object.entries({
  points: [
    [],
    1,
    "x",
    [1],
    [[]],
    [[1]],
    [["a", "b"]],
    [[Number.NaN, 1]],
    [[1e9, 1e9]],
    [{ x: 1, y: 2 }],
    { 0: [1, 2] },
  ],
  labels: [1, "x", [2], [null], [1, 0, 1], { length: 1 }],
  box: [0, "x", [], [1, 2, 3], [3, 3, 1, 1], ["a", "b", "c", "d"], [Number.NaN, 0, 1, 1], {}],
  maskInput: [1, "x", [], [1], new Uint8Array(3), new Float32Array(5), {}],
  mask: [1, "x", [], new Uint8Array(5), new Float32Array(3), {}],
  frame: [null, -1, 0.5, 99, "x", Number.NaN, {}],
  object: [null, 0.5, "x", Number.NaN, {}],
  startFrame: [-1, 99, 0.5, "x", Number.NaN],
  maxFrames: [-1, "x", Number.NaN],
  clearOldPoints: ["x", {}],
  normalizeCoords: ["x", {}],
  multimaskOutput: ["x", 2],
  returnLogits: ["x", {}],
  keepAll: ["x", {}],
  resume: ["x", {}, 2],
  signal: ["x", {}, { aborted: true }],
  reverse: ["x", 2],
  width: [-1, "x", Number.NaN],
  height: [-1, "x", Number.NaN],
}).flatMap(([field, values]) => values.map((value) => ({ ...prompt, [field]: value })));
const PIXELS: unknown[] = [
  ...[-1, 0, 0.5, Number.NaN, Infinity, "4", null, {}, 1e9].map((width) => ({ ...image, width })),
  ...[null, 1, "x", [1, 2, 3], new Float32Array(3600), new Uint8Array(5), new ArrayBuffer(3600)].map((data) => ({
    ...image,
    data,
  })),
  ...[{}, { width: 1 }, null, 1, { width: 40, height: 30, channels: 9 }].map((info) => ({
    data: new Uint8Array(7),
    info,
  })),
  ...[[], [1], [40, 30, 9], "x", null, [1e9, 1e9], [Number.NaN, 1]].map((shape) => ({
    data: image.data,
    shape,
    stride: [120, 3, 1],
    offset: 0,
  })),
  ...[[], null, [0, 0], ["a", 1, 1], [1e9, 1e9, 1]].map((stride) => ({
    data: image.data,
    shape: [30, 40, 3],
    stride,
    offset: 0,
  })),
];
const NONSENSE = [...PRIMITIVES, ...OBJECTS, ...FIELDS, ...PIXELS];

const sam2 = await Sam2.fromPretrained(NANO, { kernels: "portable", threads: 1 });
const other = await Sam2.fromPretrained(NANO, { kernels: "portable", threads: 1 });
const predictor = new ImagePredictor(sam2);
const videos = new VideoPredictor(sam2);
await predictor.setImage(image);
const state = await videos.initState(frames);
await videos.addNewPointsOrBox(state, prompt);

/** An instance of each exported class, and what precedes nonsense in the arguments of its methods. */
const INSTANCES = new Map<unknown, { instance: object; before?: unknown[]; spare?: readonly string[] }>([
  [Sam2, { instance: other, spare: ["dispose"] }],
  [ImagePredictor, { instance: new ImagePredictor(sam2) }],
  [exported.AutomaticMaskGenerator, { instance: new exported.AutomaticMaskGenerator(sam2, { pointsPerSide: 1 }) }],
  [VideoPredictor, { instance: videos, before: [state] }],
  [exported.VideoState, { instance: state, spare: ["dispose"] }],
]);

const Nonsense = suite("nonsense");
const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), "sam2-nonsense-"));

Nonsense.before(() => process.chdir(folder)); // a path that is none makes no file in the checkout
Nonsense.after(async () => {
  process.chdir(here);
  rmSync(folder, { recursive: true, force: true });
  await sam2.dispose();
  await other.dispose();
});

const isClass = (value: unknown): value is new (...args: unknown[]) => object =>
  typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
const isError = (value: unknown) => isClass(value) && (value === Sam2Error || value.prototype instanceof Sam2Error);

Nonsense("there are 200 kinds of it", () => {
  assert.ok(NONSENSE.length >= 200, `${NONSENSE.length}`);
});

for (const [name, value] of Object.entries(exported)) {
  if (typeof value !== "function" || isError(value)) continue;
  if (!isClass(value)) {
    Nonsense(`${name}(…)`, () => throwAt((...args) => (value as (...args: unknown[]) => unknown)(...args)));
    continue;
  }
  const known = INSTANCES.get(value);
  Nonsense(`new ${name}(…)`, () => throwAt((...args) => new value(...args), [[], [sam2]]));
  const methods = Object.getOwnPropertyNames(value.prototype).filter((method) => method !== "constructor");
  for (const method of methods.filter((method) => !known?.spare?.includes(method))) {
    Nonsense(`${name}.${method}(…)`, async () => {
      assert.ok(known, `tests/nonsense.test.ts: expected an instance of ${name}, got none; add one to INSTANCES`);
      const { instance, before = [] } = known!;
      const call = (...args: unknown[]) =>
        (instance as Record<string, (...args: unknown[]) => unknown>)[method](...args);
      await throwAt(call, before.length ? [[], before, [...before, prompt]] : [[], [image]]);
    });
  }
}

Nonsense("Sam2.fromPretrained(…)", async () => {
  const { fromPretrained } = Sam2 as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  // Without those that mean no name, and those whose workers would take minutes.
  const sources = [...PRIMITIVES.slice(1), ...OBJECTS].filter((value) => !(value instanceof Uint8Array));
  for (const source of sources) await throwOne((source) => fromPretrained.call(Sam2, source), [source]);
  for (const options of PRIMITIVES.slice(1))
    await throwOne((...args) => fromPretrained.apply(Sam2, args), ["x", options]);
  for (const threads of [0, -1, 0.5, Number.NaN, "two", 1e9, {}])
    await refused(fromPretrained.call(Sam2, NANO, { threads }));
  for (const kernels of ["fast", 1, {}, "toString"]) await refused(fromPretrained.call(Sam2, NANO, { kernels }));
});

Nonsense("a disposed state, a state of another model and a disposed model are named", async () => {
  const gone = await videos.initState(frames);
  await gone.dispose();
  assert.match((await refused(videos.resetState(gone))).message, /state: expected .*, got one that was disposed of/);
  const foreign = new VideoPredictor(other).resetState(state);
  assert.match((await refused(foreign)).message, /state: expected .*, got one of another model/);
  await other.dispose();
  const late = new ImagePredictor(other).setImage(image);
  assert.match((await refused(late)).message, /got one that was disposed of; load the model anew/);
});

Nonsense("a file that is not there is an ImageError", async () => {
  for (const path of ["no/such/file.png", new URL("file:///no/such/file.png")]) {
    const error = await refused(predictor.setImage(path));
    assert.instance(error, exported.ImageError);
    assert.match(error.message, /no\/such\/file\.png: expected an image, got .*ENOENT/);
  }
});

Nonsense.run();

/** Every kind of nonsense after each of `beginnings`; then the engine answers as before. */
async function throwAt(call: (...args: unknown[]) => unknown, beginnings: unknown[][] = [[]]): Promise<void> {
  for (const before of beginnings) for (const value of NONSENSE) await throwOne(call, [...before, value]);
  await predictor.setImage(image);
  const { masks } = await predictor.predict({ points: [[20, 15]] });
  assert.is(masks.length, 3);
}

async function throwOne(call: (...args: unknown[]) => unknown, args: unknown[]): Promise<void> {
  try {
    const result = await call(...args);
    if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
      for await (const _ of result as AsyncIterable<unknown>) break;
    }
  } catch (error) {
    const described = () => `${args.map((arg) => tell(arg)).join(", ")} → ${(error as Error)?.stack}`;
    if (!(error instanceof Sam2Error)) assert.unreachable(described());
    if ((error as Error).name === "EngineError") assert.unreachable(described());
  }
}

function tell(value: unknown): string {
  try {
    return `${typeof value} ${JSON.stringify(value)?.slice(0, 100) ?? String(value)}`;
  } catch {
    return typeof value;
  }
}

async function refused(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => new Error("nothing was thrown"),
    (error: Error) => error,
  );
  assert.instance(error, Sam2Error, error.stack);
  return error;
}
