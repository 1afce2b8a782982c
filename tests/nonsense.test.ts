// Whatever is handed to whatever is exported: an error of the package or a result, never a raw one, and the engine goes on.
// An option that is not known, or of another kind, is always an error.
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

const Nonsense = suite("nonsense");
const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), "sam2-nonsense-"));
process.env.SAM2_CACHE = join(folder, "cache"); // not the one of whoever runs this

Nonsense.before(() => process.chdir(folder)); // a path that is none makes no file in the checkout
Nonsense.after(async () => {
  process.chdir(here);
  rmSync(folder, { recursive: true, force: true });
  await sam2.dispose();
  await other.dispose();
});

const mask = new Uint8Array(1200).fill(1);
const rle = { size: [30, 40] as [number, number], counts: exported.encodeRle(mask, 40, 30).counts };
const png = exported.encodeMaskPng(mask, 40, 30);
const automatic = new exported.AutomaticMaskGenerator(sam2, { pointsPerSide: 1 });
await automatic.prepare(image);
const saved = await videos.encodeState(state);

type Call = (...args: never[]) => unknown;
/** A call as it should be. */
interface Valid {
  call: Call;
  args: unknown[];
  /** Has it options, which follow? They may be wrong in a third way: out of range. */
  options?: Record<string, unknown[]>;
}
const flow = { signal: [], onProgress: [], transfer: [] };
const thresholds = { predIouThresh: [], stabilityScoreThresh: [], boxNmsThresh: [], cropNmsThresh: [] };
const posture = { ...thresholds, maxArea: [], minMaskRegionAreaFull: [], outputMode: ["png"] };
const method = <T extends object>(instance: T, name: keyof T, args: unknown[], options?: Valid["options"]): Valid => ({
  call: (...rest) => (instance[name] as Call)(...rest),
  args,
  options,
});

/** Everything that can be called, by its name. What is not here fails a test: say what its options are. */
const VALID: Record<string, Valid> = {
  "Sam2.fromPretrained": method(Sam2, "fromPretrained", [NANO], {
    ...flow,
    ...{
      kernels: ["fast"],
      threads: [0, -1, 1.5, 1e9, "2"],
      video: [0, 1],
      background: [0, "no"],
      imageSize: [0, 100, "512"],
      config: [1],
    },
  }),
  "new ImagePredictor": {
    call: (...args) => Reflect.construct(ImagePredictor, args),
    args: [sam2],
    options: { maskThreshold: [Infinity, "0"], maxHoleArea: [-1], maxSprinkleArea: [-1] },
  },
  "new VideoPredictor": {
    call: (...args) => Reflect.construct(VideoPredictor, args),
    args: [sam2],
    options: {
      ...{ fillHoleArea: [-1], nonOverlapMasks: [1], addAllFramesToCorrectAsCond: [1] },
      clearNonCondMemAroundInput: [0],
    },
  },
  "new AutomaticMaskGenerator": {
    call: (...args) => Reflect.construct(exported.AutomaticMaskGenerator, args),
    args: [sam2],
    options: {
      ...posture,
      ...{ pointsPerSide: [0, 1.5], pointsPerBatch: [0], stabilityScoreOffset: ["1"], maskThreshold: [null] },
      ...{ cropNLayers: [-1], cropOverlapRatio: [1, -1], cropNPointsDownscaleFactor: [0], minMaskRegionArea: ["1"] },
      ...{ useM2m: [1], multimaskOutput: [0], pointGrids: [[[0.5, 0.5]], [[[2, 2]]], 3] },
    },
  },
  "new VideoState": { call: (...args) => Reflect.construct(exported.VideoState, args), args: [] },
  "ImagePredictor.setImage": method(predictor, "setImage", [image], flow),
  "ImagePredictor.setImageBatch": method(predictor, "setImageBatch", [[image]], flow),
  "ImagePredictor.predict": method(predictor, "predict", [{ points: [[20, 15]] }], {
    ...{ multimaskOutput: [null, 1, "false"], returnLogits: [1], returnMasks: [0], normalizeCoords: [0], signal: [] },
  }),
  "ImagePredictor.predictBatch": method(predictor, "predictBatch", [[[{ points: [[20, 15]] }]]], {
    ...{ multimaskOutput: [null], returnLogits: [1], returnMasks: [0], normalizeCoords: [0], signal: [] },
  }),
  "ImagePredictor.trace": method(predictor, "trace", [image, { points: [[20, 15]] }], {
    ...{ multimaskOutput: [null], normalizeCoords: [0], values: ["neck", [1]], signal: [] },
  }),
  "ImagePredictor.getImageEmbedding": method(predictor, "getImageEmbedding", []),
  "ImagePredictor.resetPredictor": method(predictor, "resetPredictor", []),
  "AutomaticMaskGenerator.generate": method(automatic, "generate", [image], flow),
  "AutomaticMaskGenerator.prepare": method(automatic, "prepare", [image], flow),
  "AutomaticMaskGenerator.select": method(automatic, "select", [], posture),
  "VideoPredictor.initState": method(videos, "initState", [frames], {
    ...{ keepAll: [1], keepMasks: [-1, 0.5, "2"], latest: ["yes", 1], signal: [] },
  }),
  "VideoPredictor.addNewPointsOrBox": method(videos, "addNewPointsOrBox", [state, prompt]),
  "VideoPredictor.addNewMask": method(videos, "addNewMask", [state, { frame: 0, object: 1, mask }]),
  "VideoPredictor.propagateInVideo": method(videos, "propagateInVideo", [state], {
    ...{ startFrame: [-1, 0.5, 99, "a", null], maxFrames: [-1, 0.5, "all"], reverse: [1], resume: [0] },
    ...{ returnLogits: ["yes"], signal: [] },
  }),
  "VideoPredictor.clearAllPromptsInFrame": method(videos, "clearAllPromptsInFrame", [state, { frame: 0, object: 1 }]),
  "VideoPredictor.resetState": method(videos, "resetState", [state]),
  "VideoPredictor.removeObject": method(videos, "removeObject", [state, 1]),
  "VideoPredictor.encodeState": method(videos, "encodeState", [state, "note"]),
  "VideoPredictor.saveState": method(videos, "saveState", [state, "state", "note"]),
  "VideoPredictor.loadState": method(videos, "loadState", [saved, frames], { signal: [] }),
  cachedModels: { call: exported.cachedModels, args: [] },
  deleteCachedModel: { call: exported.deleteCachedModel, args: ["tiny"] },
  boundaryF: { call: exported.boundaryF, args: [mask, mask, 40, 30] },
  jaccard: { call: exported.jaccard, args: [mask, mask] },
  readCocoSegmentation: { call: exported.readCocoSegmentation, args: [rle, 40, 30, "where"] },
  writeAnnotations: {
    call: exported.writeAnnotations,
    args: ["coco", [{ file: "a.png", width: 40, height: 30, objects: [{ id: 1, label: "it", rle }] }]],
    options: { segmentation: ["polygon"] },
  },
  decodeImage: {
    call: exported.decodeImage,
    args: [png],
    options: { orient: [0], maxPixels: [0, "9"], where: [1], onNotice: [1] },
  },
  pcaColours: { call: exported.pcaColours, args: [new Float32Array(4 * 3 * 5), 4, 3] },
  signedColours: { call: exported.signedColours, args: [new Float32Array(12), 4, 1] },
  toRgb: { call: exported.toRgb, args: [image] },
  encodeCutoutPng: { call: exported.encodeCutoutPng, args: [image, mask] },
  encodeMaskPng: { call: exported.encodeMaskPng, args: [mask, 40, 30] },
  encodePalettePng: { call: exported.encodePalettePng, args: [mask, 40, 30] },
  encodePng: { call: exported.encodePng, args: [{ ...image, channels: 3 }, exported.DAVIS_PALETTE] },
  maskBounds: { call: exported.maskBounds, args: [mask, 40] },
  maskOfId: { call: exported.maskOfId, args: [await exported.readMaskFile(png, "mask"), 1] },
  readMaskFile: { call: exported.readMaskFile, args: [png, "mask"] },
  overlay: { call: exported.overlay, args: [image, [mask], [{ points: [[1, 1]] }]] },
  maskToPolygons: { call: exported.maskToPolygons, args: [mask, 40, 30] },
  decodeRle: { call: exported.decodeRle, args: [rle] },
  encodeRle: { call: exported.encodeRle, args: [mask, 40, 30] },
  rleArea: { call: exported.rleArea, args: [rle] },
  rleBbox: { call: exported.rleBbox, args: [rle] },
};

/** No option is of such a kind, and none but a text is "nonsense". */
const NO_OPTION: unknown[] = [Number.NaN, {}, [], 1n, Symbol("x"), "nonsense"];
const TEXTS = ["where"];

const isClass = (value: unknown): value is new (...args: unknown[]) => object =>
  typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
const isError = (value: unknown) => isClass(value) && (value === Sam2Error || value.prototype instanceof Sam2Error);

Nonsense("there are 200 kinds of it", () => {
  assert.ok(NONSENSE.length >= 200, `${NONSENSE.length}`);
});

/** Names of all that can be called, but what ends an object and takes nothing. */
const callable = Object.entries(exported).flatMap(([name, value]): string[] => {
  if (typeof value !== "function" || isError(value)) return [];
  if (!isClass(value)) return [name];
  const own = (object: object) =>
    Object.getOwnPropertyNames(object).filter((key) => typeof object[key as never] === "function");
  const methods = own(value.prototype).filter((method) => method !== "constructor" && method !== "dispose");
  return [`new ${name}`, ...own(value), ...methods].map((part) => (part.startsWith("new ") ? part : `${name}.${part}`));
});

Nonsense("everything that can be called is tried", () => {
  const untried = callable.filter((name) => !(name in VALID) && name !== "new Sam2");
  assert.is(untried.join(", "), "", "tests/nonsense.test.ts: add to VALID how it is called, and its options");
});

for (const name of callable) {
  const valid = VALID[name];
  if (!valid) continue;
  const { call, args, options } = valid;
  if (name !== "Sam2.fromPretrained") {
    Nonsense(`${name}(…)`, async () => {
      const places = Array.from({ length: args.length + (options ? 1 : 0) }, (_, i) => i);
      await throwAt(call as (...args: unknown[]) => unknown, [[], ...places.map((i) => [args, i] as const)]);
    });
  }
  if (!options) continue;

  Nonsense(`${name}(…) refuses options that it does not know, and names the nearest`, async () => {
    const tried = (option: object) => refused(async () => (call as (...args: unknown[]) => unknown)(...args, option));
    const names = Object.keys(options);
    const { message } = await tried({ zzz: 1 });
    assert.match(message, /: expected options named .*, got "zzz"; leave it out$/);
    assert.equal(/named (.*), got/.exec(message)![1].split(", ").sort(), [...names].sort());
    for (const option of names) {
      assert.match((await tried({ [`${option}s`]: 1 })).message, new RegExp(`got "${option}s"; write "${option}"$`));
    }
  });

  Nonsense(`${name}(…) refuses options of another kind, and names them`, async () => {
    await videos.addNewPointsOrBox(state, prompt);
    for (const [option, wrong] of Object.entries(options)) {
      const general = TEXTS.includes(option) ? NO_OPTION.slice(0, -1) : NO_OPTION;
      for (const value of [...general, ...wrong]) {
        const { message } = await refused(
          async () => (call as (...args: unknown[]) => unknown)(...args, { [option]: value }),
          tell({ [option]: value }),
        );
        assert.ok(message.includes(option), `${tell({ [option]: value })} → ${message}`);
      }
    }
  });
}

Nonsense("fields of a prompt that are of another kind are refused by name, and null is none", async () => {
  await predictor.setImage(image);
  const points = [[20, 15]];
  const WRONG = {
    points: [0, false, "", {}, 1, [1], [[1]], [[Number.NaN, 1]], [["1", "2"]], [{ x: 1, y: 1 }]],
    labels: [0, false, "", "1", 1, {}, { length: 1 }, [undefined], [,], [2], [true], ["1"]],
    box: [0, false, "", {}, 1, [], [1, 2, 3], ["1", "2", "3", "4"], [1, 2, 3, Number.NaN]],
  };
  const OF_AN_IMAGE = { maskInput: [0, false, "", {}, 1, [], "x", new Float32Array(3)], name: [0, false, {}, []] };
  const OF_A_FRAME = { clearOldPoints: [0, "x", {}], normalizeCoords: [0, "x", {}] };
  for (const [field, values] of Object.entries({ ...WRONG, ...OF_AN_IMAGE })) {
    for (const value of values) {
      const call = () => predictor.predict({ points, [field]: value } as never);
      assert.ok((await refused(call, tell({ [field]: value }))).message.includes(field));
    }
  }
  for (const [field, values] of Object.entries({ ...WRONG, ...OF_A_FRAME })) {
    for (const value of values) {
      const call = () => videos.addNewPointsOrBox(state, { ...prompt, points, [field]: value } as never);
      assert.ok((await refused(call, tell({ [field]: value }))).message.includes(field));
    }
  }
  for (const field of ["width", "height"]) {
    for (const value of [0, -40, -30, 0.5, "40", Number.NaN]) {
      await refused(() =>
        videos.addNewMask(state, { frame: 0, object: 1, mask, width: -40, height: -30, [field]: value }),
      );
    }
  }
  const { masks } = await predictor.predict({ points, labels: null, box: null, maskInput: null, name: null } as never);
  assert.is(masks.length, 3);
});

Nonsense("Sam2.fromPretrained(…)", async () => {
  const { fromPretrained } = Sam2 as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  // Without those that mean no name, and those whose workers would take minutes.
  const sources = [...PRIMITIVES.slice(1), ...OBJECTS].filter((value) => !(value instanceof Uint8Array));
  for (const source of sources) await throwOne((source) => fromPretrained.call(Sam2, source), [source]);
  for (const options of PRIMITIVES.slice(1))
    await throwOne((...args) => fromPretrained.apply(Sam2, args), ["x", options]);
});

Nonsense("a disposed state, a state of another model and a disposed model are named", async () => {
  const gone = await videos.initState(frames);
  await gone.dispose();
  assert.match(
    (await refused(() => videos.resetState(gone))).message,
    /state: expected .*, got one that was disposed of/,
  );
  assert.match(
    (await refused(() => new VideoPredictor(other).resetState(state))).message,
    /state: expected .*, got one of another model/,
  );
  await other.dispose();
  assert.match(
    (await refused(() => new ImagePredictor(other).setImage(image))).message,
    /got one that was disposed of; load the model anew/,
  );
});

Nonsense("a file that is not there is an ImageError", async () => {
  for (const path of ["no/such/file.png", new URL("file:///no/such/file.png")]) {
    const error = await refused(() => predictor.setImage(path));
    assert.instance(error, exported.ImageError);
    assert.match(error.message, /no\/such\/file\.png: expected an image, got .*ENOENT/);
  }
});

Nonsense.run();

/** Every kind of nonsense in each of `places` of arguments that are valid; then the engine answers as before. */
async function throwAt(
  call: (...args: unknown[]) => unknown,
  places: (readonly [args: readonly unknown[], place: number] | [])[],
): Promise<void> {
  for (const [args = [], place = 0] of places) {
    for (const value of NONSENSE) await throwOne(call, [...args.slice(0, place), value, ...args.slice(place + 1)]);
  }
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

/** The error of the package that a call, or the first item of what it yields, ends in. */
async function refused(call: () => unknown, title = "nothing"): Promise<Error> {
  try {
    const result = await call();
    if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
      for await (const _ of result as AsyncIterable<unknown>) break;
    }
  } catch (error) {
    assert.instance(error, Sam2Error, `${title}: ${(error as Error).stack}`);
    return error as Error;
  }
  return assert.unreachable(`${title} was taken`) as never;
}
