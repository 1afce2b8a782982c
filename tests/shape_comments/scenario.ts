// A copy of src/ whose graph tells its shapes, and a run of it that goes through every line with a shape comment.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { hashWeights } from "../../golden/hash_weights.ts";
import { type EdgeTamConfig, type HieraConfig, memoryTokens, type Sam2Config } from "../../src/model/config.ts";
import type { FrameMemory } from "../../src/model/memory_bank.ts";
import { parameters } from "../../src/model/parameters.ts";
import type { Graph } from "../../src/predict/sam2.ts";
import { declarations, type Declared, instrument, type Spec } from "./instrument.ts";
import { Recorder } from "./recorder.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = "src/model";

/** No two letters have the same value in it. */
export const CONFIG: HieraConfig = {
  name: "shapes",
  version: "2.1",
  imageSize: 96,
  embedDim: 20,
  numHeads: 1,
  stages: [1, 2, 2, 1],
  globalAttBlocks: [3],
  windowSpec: [8, 4, 6, 3],
  windowPosEmbedBkgSpatialSize: [5, 7],
  dModel: 64,
  decoderMlpDim: 40,
  maskInChans: 12,
  memDim: 16,
  memoryAttentionLayers: 2,
  dimFeedforward: 44,
  numMaskmem: 7,
  fuserLayers: 1,
};

/** EdgeTAM of the same sizes. */
const EDGETAM: EdgeTamConfig = {
  name: "shapes",
  version: "2.0",
  imageSize: CONFIG.imageSize,
  embedDims: [20, 40, 80, 160],
  depths: [1, 2, 1, 1],
  dModel: CONFIG.dModel,
  decoderMlpDim: CONFIG.decoderMlpDim,
  maskInChans: CONFIG.maskInChans,
  memDim: CONFIG.memDim,
  memoryAttentionLayers: 2,
  dimFeedforward: CONFIG.dimFeedforward,
  numMaskmem: CONFIG.numMaskmem,
  fuserLayers: 1,
  perceiverDepth: 2,
  numLatents: 14,
  numLatents2d: 9,
};

/** Letters that have one value in the whole graph; src/model/config.ts says what they mean. */
export const FIXED: ReadonlyMap<string, number> = new Map([
  ["R", CONFIG.imageSize],
  ["E", CONFIG.imageSize / 16],
  ["D", CONFIG.dModel],
  ["C", CONFIG.memDim],
]);

/** The comments of the graph, and what was seen of their values. */
export interface Observed {
  readonly specs: readonly Spec[];
  readonly unread: readonly string[];
  readonly recorder: Recorder;
}

/** Instrument the graph and run it. `change` may alter the source of a file. */
export async function observe(
  change: (file: string, source: string) => string = (_, source) => source,
): Promise<Observed> {
  const files = readdirSync(join(root, FOLDER)).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  const sources = files.map((file) => [file, change(file, readFileSync(join(root, FOLDER, file), "utf8"))] as const);
  const types = new Map<string, Declared>(sources.flatMap(([file, source]) => [...declarations(file, source)]));
  const instrumented = sources.map(([file, source]) => ({ file, ...instrument(file, source, types) }));
  const specs = instrumented.flatMap((one) => one.specs);
  const recorder = new Recorder(specs, types);

  const copy = mkdtempSync(join(tmpdir(), "sam2-shapes-"));
  try {
    mkdirSync(join(copy, FOLDER), { recursive: true });
    cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
    for (const { file, code } of instrumented) writeFileSync(join(copy, FOLDER, file), code);
    writeFileSync(join(copy, "package.json"), '{ "type": "module" }\n');
    for (const folder of ["node_modules", "build"]) symlinkSync(join(root, folder), join(copy, folder), "junction");
    (globalThis as { shapes?: Recorder }).shapes = recorder;
    for (const config of [CONFIG, { ...CONFIG, version: "2.0" } as const, EDGETAM]) await run(copy, config);
  } finally {
    delete (globalThis as { shapes?: Recorder }).shapes;
    rmSync(copy, { recursive: true, force: true });
  }
  return { specs, unread: instrumented.flatMap((one) => one.unread), recorder };
}

/** Prompts of every kind on an image, one and several at a time; then frames with few memories and with many. */
async function run(copy: string, config: Sam2Config): Promise<void> {
  const load = <T>(file: string): Promise<T> => import(pathToFileURL(join(copy, "src", file)).href) as Promise<T>;
  await load("index.node.ts");
  const { Sam2 } = await load<typeof import("../../src/predict/sam2.ts")>("predict/sam2.ts");
  const { Weights } = await load<typeof import("../../src/io/weights.ts")>("io/weights.ts");
  const { createMachine } = await load<typeof import("../../src/runtime/create.ts")>("runtime/create.ts");
  const { fewTokensTransformer } = await load<typeof import("../../src/model/few_tokens.ts")>("model/few_tokens.ts");
  const { mixtureTransformer } = await load<typeof import("../../src/model/mixture.ts")>("model/mixture.ts");
  const { sharedImageTransformer } =
    await load<typeof import("../../src/model/shared_image.ts")>("model/shared_image.ts");
  const { twoWayTransformer } =
    await load<typeof import("../../src/model/two_way_transformer.ts")>("model/two_way_transformer.ts");
  const { watch } = await load<typeof import("../../src/nn/layer.ts")>("nn/layer.ts");
  const { samHeads } = await load<typeof import("../../src/model/sam_heads.ts")>("model/sam_heads.ts");

  const machine = await createMachine({ kernels: "portable", threads: 1 });
  const weights = () => new Weights(hashWeights(parameters(config)), machine.heap);
  const sam2 = new Sam2(machine, weights(), config);
  const { imageSize: R, dModel: D, memDim: C } = config;
  const E = R / 16;
  const { heap } = machine;
  const zeros = (...shape: number[]) => heap.from(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5), shape);
  const points = (B: number, P: number) => ({
    coords: zeros(B, P, 2),
    labels: Array.from({ length: B }, () => Array.from({ length: P }, (_, p) => (p === 0 ? -1 : p % 4))),
  });
  const memory = (): FrameMemory => ({
    maskmemFeatures: new Uint16Array(memoryTokens(config) * C),
    objPtr: new Float32Array(D).fill(1),
  });
  const memories = (count: number, from = 0) =>
    new Map(Array.from({ length: count }, (_, i): [number, FrameMemory] => [from + i, memory()]));

  // watched, so that what is one step for speed goes layer by layer
  const walk = (graph: Graph) => {
    const { forwardImage, withoutMemory, predictMasks, prepare } = graph;
    const features = forwardImage(zeros(1, R, R, 3));
    const image = withoutMemory(features);
    for (const multimask of [true, false]) {
      predictMasks(image, points(2, 4), undefined, multimask);
      predictMasks(image, points(5, 9), zeros(5, 4 * E, 4 * E, 1), multimask);
      predictMasks(image, undefined, zeros(1, 4 * E, 4 * E, 1), multimask);
      predictMasks({ ...image, imageEmbed: zeros(2, E, E, D) }, points(2, 4), undefined, multimask);
      predictMasks(prepare(image), points(1, 5), undefined, multimask);
      samHeads(weights(), graph)(image, points(2, 4), zeros(2, R, R, 1), multimask);
    }
    graph.paint(image, graph.decodeTokens(image, points(3, 4), undefined), [2, 0]);
    const transformer = twoWayTransformer(weights().at("sam_mask_decoder.transformer"), D, config.decoderMlpDim);
    const few = fewTokensTransformer(transformer, D); // which would not pay here
    const [places, pe] = [zeros(1, E * E, D), zeros(E * E, D)];
    few.transform(sharedImageTransformer(transformer).share(places, pe), pe, zeros(3, 7, D));
    few.transform(zeros(2, E * E, D), pe, zeros(2, 7, D));
    const clicks = mixtureTransformer(transformer, () => zeros(2, D / 2, D), zeros(D / 2), D);
    const readings = clicks.share(zeros(E * E, D), pe);
    const [, , mixed] = clicks.transform(
      sharedImageTransformer(transformer).share(places, pe),
      readings,
      pe,
      zeros(3, 8, D),
    );
    clicks.cellsOf(mixed, readings);
    const tracker = graph.tracker!;
    const at = { frame: 60, numFrames: 99, reverse: false };
    const shared = tracker.prepare(features);
    const attended = tracker.lookAround(features);
    for (const bank of [
      { cond: memories(1), nonCond: memories(2, 57) },
      { cond: memories(40), nonCond: memories(9, 51) },
      { cond: memories(1, 70), nonCond: memories(0) },
    ]) {
      const found = tracker.trackStep(
        features,
        { previousLogits: zeros(1, 4 * E, 4 * E, 1), points: points(1, 3) },
        { bank, at, attended },
      );
      tracker.encodeMemory(shared, found, true);
    }
    const found = tracker.trackStep(features, { mask: zeros(1, R, R, 1) });
    tracker.encodeMemory(features, { ...found, objectScoreLogits: heap.from(Float32Array.of(-1), [1, 1]) }, false);
  };
  await watch(
    () => {},
    () => sam2.run(walk),
  );
  await sam2.run(({ tracker }) => tracker!.lookAround({ visionFeatures: zeros(1, E, E, D) })); // in one step
  sam2.dispose();
}
