// sam2-ts, as its engine's worker runs it. The platform is set by the caller.
import { hashWeights } from "../../golden/hash_weights.ts";
import { Weights } from "../../src/io/weights.ts";
import { edgeTamConfig, isEdgeTam, memoryTokens, type VariantName, variantConfig } from "../../src/model/config.ts";
import type { FrameMemory } from "../../src/model/memory_bank.ts";
import { parameters } from "../../src/model/parameters.ts";
import { AutomaticMaskGenerator } from "../../src/predict/automatic_masks.ts";
import { ImagePredictor } from "../../src/predict/image_predictor.ts";
import { preprocess } from "../../src/predict/preprocess.ts";
import { type Graph, Sam2 } from "../../src/predict/sam2.ts";
import { createMachine } from "../../src/runtime/create.ts";
import { toBfloat16 } from "../../src/tensor/bfloat16.ts";
import { type Tensor, values } from "../../src/tensor/view.ts";
import packageJson from "../../package.json" with { type: "json" };
import { goldenImage } from "../../golden/hash_image.ts";
import {
  bankInputs,
  CLICK,
  D_MODEL,
  EVERYTHING,
  GRID,
  isOfEdgeTam,
  type Job,
  MEM_DIM,
  type Outputs,
  photo,
  POINTERS,
  SIZE,
} from "./job.ts";
import { type Stage, transpose } from "./job.ts";

const FRAME = 40; // far enough into a video that the memory bank is full
const at = { frame: FRAME, numFrames: 2 * FRAME, reverse: false };

/** Build the model and what comes before the stage. */
export async function ours({ stage, threads }: Job): Promise<Stage> {
  const variant = (stage.startsWith("encoder.") ? stage.slice("encoder.".length) : "tiny") as VariantName;
  const config = isOfEdgeTam(stage) ? edgeTamConfig() : variantConfig(variant, "2.1");
  const machine = await createMachine({ kernels: "auto", threads });
  if (machine.threads !== threads) throw new Error(machine.chosen.at(-1));
  const sam2 = new Sam2(machine, new Weights(hashWeights(parameters(config)), machine.heap), config);
  const version = `sam2-ts ${packageJson.version}, ${machine.kernels.name}`;

  if (stage === "decoder.point") {
    const predictor = new ImagePredictor(sam2);
    await predictor.setImage(photo());
    const run = () => predictor.predict({ points: [CLICK] });
    const outputs = async () => {
      const { masks, iouPredictions, lowResMasks } = await run();
      const area = Float32Array.from(masks, (mask) => mask.reduce((sum, bit) => sum + bit, 0));
      return { low_res: concatenate(lowResMasks), iou: iouPredictions, area };
    };
    return { version, run, outputs };
  }

  if (stage === "everything.tiny" || stage === "everything.full") {
    const { width, height } = EVERYTHING;
    const options = { stabilityScoreThresh: 0, boxNmsThresh: 1, outputMode: "coco_rle" } as const;
    const generator = new AutomaticMaskGenerator(sam2, { ...EVERYTHING[stage], ...options });
    const image = { width, height, data: goldenImage(11, width, height) };
    const run = () => generator.generate(image);
    const outputs = async () => {
      const records = await run();
      return {
        iou: Float32Array.from(records, ({ predictedIou }) => predictedIou),
        area: Float32Array.from(records, ({ area }) => area),
        box: Float32Array.from(records.flatMap(({ bbox }) => bbox)),
      };
    };
    return { version, run, outputs };
  }

  const forward = stageOf(stage, sam2);
  const run = () => sam2.run((graph) => void forward(graph));
  const outputs = () => {
    const read: Outputs = {};
    sam2.run((graph) => void Object.assign(read, forward(graph)()));
    return read;
  };
  return { version, run, outputs };
}

/** A pass, which returns how its outputs are read. */
type Forward = (graph: Graph) => () => Outputs;

function stageOf(stage: Job["stage"], sam2: Sam2): Forward {
  if (stage.startsWith("memory_attention.")) {
    const { bank, features } = fullBank(sam2);
    const visionFeatures = sam2.machine.heap.from(features, [1, GRID, GRID, D_MODEL]);
    const given = { visionFeatures, highResFeats: [visionFeatures, visionFeatures] } as const; // the two are passed on
    return ({ tracker }) => {
      const { imageEmbed } = tracker!.withMemory(given, { bank, at, attended: tracker!.lookAround(given) });
      return () => ({ conditioned: channelsFirst(imageEmbed) });
    };
  }
  const image = sam2.run(() => preprocess(photo(), SIZE));
  if (stage.startsWith("frame.")) {
    const { bank } = fullBank(sam2);
    return ({ forwardImage, tracker }) => {
      const features = forwardImage(image);
      const found = tracker!.trackStep(features, {}, { bank, at, attended: tracker!.lookAround(features) });
      const memory = tracker!.encodeMemory(features, found, false);
      return () => ({
        low_res: values(found.lowResMasks).slice(),
        obj_ptr: values(found.objPtr).slice(),
        score: values(found.objectScoreLogits).slice(),
        memory: isEdgeTam(sam2.config) ? values(memory).slice() : channelsFirst(memory),
      });
    };
  }
  return ({ forwardImage, withoutMemory, prepare }) => {
    const features = forwardImage(image);
    prepare(withoutMemory(features)); // the clicks' share that is computed with the image
    const [high0, high1] = features.highResFeats;
    return () => ({
      features: channelsFirst(features.visionFeatures),
      high_res_0: channelsFirst(high0),
      high_res_1: channelsFirst(high1),
    });
  };
}

/** The first frame, of which a click is known, and those before this one: seven maps and sixteen pointers are seen. */
function fullBank({ config }: Sam2) {
  const { features, maps, pointers } = bankInputs(memoryTokens(config));
  const size = MEM_DIM * memoryTokens(config);
  const tokensOf = (map: Float32Array) => (isEdgeTam(config) ? map : transpose(map, MEM_DIM, GRID * GRID));
  const remembered = (pointer: number, map: number): FrameMemory => ({
    maskmemFeatures: toBfloat16(tokensOf(maps.subarray(map * size, (map + 1) * size))),
    objPtr: pointers.slice(pointer * D_MODEL, (pointer + 1) * D_MODEL),
  });
  const mapCount = maps.length / size;
  const before = Array.from({ length: POINTERS - 1 }, (_, i) => i + 1);
  const nonCond = new Map(before.map((t) => [FRAME - t, remembered(t, Math.max(mapCount - t, 0))]));
  const bank = { cond: new Map([[0, remembered(0, 0)]]), nonCond };
  return { bank, features: transpose(features, D_MODEL, GRID * GRID) };
}

/** @shape [1, H, W, C] → [C, H, W] */
function channelsFirst(t: Tensor): Float32Array {
  const [, H, W, C] = t.shape;
  return transpose(values(t), H * W, C);
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}
