// The stages of SAM 2.1 and EdgeTAM, at 1024² unless a row says otherwise, with the goldens' weights and picture, on one thread and on all.
import { goldenImage } from "../golden/hash_image.ts";
import { hashWeights } from "../golden/hash_weights.ts";
import { Weights } from "../src/io/weights.ts";
import { edgeTamConfig, memoryTokens, type Sam2Config, VARIANT_NAMES, variantConfig } from "../src/model/config.ts";
import type { FrameMemory } from "../src/model/memory_bank.ts";
import type { ImageFeatures } from "../src/model/mask_decoder.ts";
import { parameters } from "../src/model/parameters.ts";
import type { BackboneFeatures } from "../src/model/sam2.ts";
import { AutomaticMaskGenerator } from "../src/predict/automatic_masks.ts";
import { preprocess } from "../src/predict/preprocess.ts";
import { type Graph, Sam2 } from "../src/predict/sam2.ts";
import { createMachine } from "../src/runtime/create.ts";
import { machine } from "../src/runtime/machine.ts";
import type { Peak } from "../src/runtime/peak.ts";
import { toBfloat16 } from "../src/tensor/bfloat16.ts";
import type { Tensor } from "../src/tensor/view.ts";
import { random } from "../tests/random.ts";
import { type Row, toRow } from "./bench.ts";
import { EVERYTHING } from "./peers/job.ts";

const SIZE = 1024;
const FRAME = 40; // far enough into a video that the memory bank is full
const ENOUGH_MS = 8000;
const RUNS = 3;
const TOGETHER = 16;

/** What the stages start from: the picture, its features, and what is prepared of them for clicks. */
interface Seen {
  image: Tensor;
  features: BackboneFeatures;
  prepared: ImageFeatures;
}

type Stage = (graph: Graph, seen: Seen) => void;

const click = () => ({ coords: machine.heap.from(Float32Array.of(500, 375), [1, 1, 2]), labels: [[1]] });
const at = { frame: FRAME, numFrames: 2 * FRAME, reverse: false };

/** Seven maps and sixteen pointers: 28,736 memory tokens, EdgeTAM's 3,648. */
const bank = (tokens: number) => {
  const next = random(7);
  const memory = (): FrameMemory => ({
    maskmemFeatures: toBfloat16(Float32Array.from({ length: tokens * 64 }, next)),
    objPtr: Float32Array.from({ length: 256 }, next),
  });
  const nonCond = new Map(Array.from({ length: 15 }, (_, i): [number, FrameMemory] => [FRAME - 1 - i, memory()]));
  return { cond: new Map([[0, memory()]]), nonCond };
};
const banks = new Map<number, ReturnType<typeof bank>>();
const fullBank = ({ config }: Graph) => {
  const tokens = memoryTokens(config);
  if (!banks.has(tokens)) banks.set(tokens, bank(tokens));
  return banks.get(tokens)!;
};

const encode: Stage = (graph, { image }) => void graph.forwardImage(image);

/** A click on an image that was set. */
const decode: Stage = ({ predictMasks }, { prepared }) => void predictMasks(prepared, click(), undefined, true);

/** The predicted IoUs of as many clicks as the generator of automatic masks decodes together; no mask is painted. */
const decodeBatch: Stage = ({ decodeTokens }, { prepared }) => {
  const next = random(5);
  const coords = Float32Array.from({ length: 2 * TOGETHER }, () => (next() + 1) * (SIZE / 2));
  const labels = Array.from({ length: TOGETHER }, () => [1]);
  decodeTokens(prepared, { coords: machine.heap.from(coords, [TOGETHER, 1, 2]), labels }, undefined);
};

const attend: Stage = (graph, { features }) => {
  const tracker = graph.tracker!;
  tracker.withMemory(features, { bank: fullBank(graph), at, attended: tracker.lookAround(features) });
};

const highResMasks = () => machine.heap.from(new Float32Array(SIZE * SIZE).fill(-3), [1, 1, SIZE, SIZE]);

const remember: Stage = ({ tracker }, { features }) =>
  void tracker!.encodeMemory(
    features,
    { highResMasks: highResMasks(), objectScoreLogits: machine.heap.from(Float32Array.of(5), [1, 1]) },
    false,
  );

/** What one tracked frame of some objects costs, from the resized picture to their memories; of none, what all share. */
const frame =
  (objects: number): Stage =>
  (graph, { image }) => {
    const tracker = graph.tracker!;
    const features = tracker.prepare(graph.forwardImage(image));
    const past = { bank: fullBank(graph), at, attended: tracker.lookAround(features) };
    for (let i = 0; i < objects; i++) {
      machine.heap.scope(() => void tracker.encodeMemory(features, tracker.trackStep(features, {}, past), false));
    }
  };

/** Models of stages; without a number at 1024². */
export const STAGE_MODELS = [...VARIANT_NAMES, "edgetam", "edgetam_512"] as const;
export type StageModel = (typeof STAGE_MODELS)[number];

function configOf(model: StageModel): Sam2Config {
  if (model === "edgetam") return edgeTamConfig();
  if (model === "edgetam_512") return { ...edgeTamConfig(), imageSize: 512 };
  return variantConfig(model, "2.1");
}

/** name → the model it runs on, and what runs; `everything.tiny` is a call of the generator, not of the graph */
export const STAGES: readonly (readonly [name: string, model: StageModel, run?: Stage])[] = [
  ["encoder.tiny", "tiny", encode],
  ["decoder.point", "tiny", decode],
  ["decoder.batch", "tiny", decodeBatch],
  ["memory_attention.full", "tiny", attend],
  ["memory_encoder", "tiny", remember],
  ["frame.full", "tiny", frame(1)],
  ["frame.full.4", "tiny", frame(4)],
  ["everything.tiny", "tiny"],
  ["encoder.small", "small", encode],
  ["encoder.base_plus", "base_plus", encode],
  ["encoder.large", "large", encode],
  ["encoder.edgetam", "edgetam", encode],
  ["memory_attention.edgetam", "edgetam", attend],
  ["memory_encoder.edgetam", "edgetam", remember],
  ["frame.edgetam.0", "edgetam", frame(0)],
  ["frame.edgetam", "edgetam", frame(1)],
  ["frame.edgetam.4", "edgetam", frame(4)],
  ["frame.edgetam.512", "edgetam_512", frame(1)],
];

/** Time the wanted stages of one model on `threads` threads. The goldens hold what they return. */
export async function measureStages(
  variant: StageModel,
  names: readonly string[],
  threads: number,
  peak: Peak,
): Promise<Row[]> {
  const config = configOf(variant);
  const { imageSize: side } = config;
  const created = await createMachine({ kernels: "auto", threads });
  const model = new Sam2(created, new Weights(hashWeights(parameters(config)), created.heap), config);
  const photo = { width: side, height: side, data: goldenImage(11, side, side) };
  const image = model.run(() => preprocess(photo, side));
  const features = model.run(({ forwardImage }) => forwardImage(image));
  const prepared = model.run(({ prepare, withoutMemory }) => prepare(withoutMemory(features)));
  const seen = { image, features, prepared };
  const rows: Row[] = [];
  for (const [name, of, stage] of STAGES) {
    if (of !== variant || !names.includes(name)) continue;
    const run = stage ? () => model.run((graph) => stage(graph, seen)) : everything(model);
    created.heap.resetPeak(0);
    await run(); // warm up
    const times: number[] = [];
    const before = created.macs;
    const begin = performance.now();
    while (times.length < RUNS && performance.now() - begin < ENOUGH_MS) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    const flop = (2 * (created.macs - before)) / times.length;
    const [width, height] = stage ? [side, side] : [EVERYTHING.width, EVERYTHING.height];
    rows.push(toRow(created, { group: "stage", name, shape: [1, height, width, 3] }, flop, times, peak));
  }
  model.dispose();
  return rows;
}

/** `sam2 everything` at 64 points, the picture's encoding included; half of the masks pass. */
function everything(model: Sam2): () => Promise<unknown> {
  const { width, height } = EVERYTHING;
  const options = { stabilityScoreThresh: 0, boxNmsThresh: 1, outputMode: "coco_rle" } as const;
  const generator = new AutomaticMaskGenerator(model, { ...EVERYTHING["everything.tiny"], ...options });
  const photo = { width, height, data: goldenImage(11, width, height) };
  return () => generator.generate(photo);
}
