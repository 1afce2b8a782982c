/** The numbers of the pages by name, measured anew whenever they are checked, and the settings that need no name. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readCheckpoint } from "../src/io/checkpoint.ts";
import {
  edgeTamConfig,
  type HieraConfig,
  memoryLayout,
  memoryTokens,
  type Sam2Config,
  variantConfig,
} from "../src/model/config.ts";
import { MAX_OBJ_PTRS } from "../src/model/memory_bank.ts";
import { HEADS } from "../src/model/two_way_transformer.ts";
import { axialMacs } from "../src/nn/attention.ts";
import { diarySteps } from "./diary.ts";
import type { Activations } from "./figures.ts";
import { pointerShares, promptedShare } from "./figures_of_clip.ts";
import { CLICK_TOKEN, FIRST_CROSS_ATTENTION } from "./figures_of_photo.ts";
import { CLIP, dryModel, frameWork } from "./nano.ts";

const GIGA = 1e9;
const MEGA = 1e6;

export async function measure({ photo, clip }: Activations): Promise<Map<string, number>> {
  const tiny = await dryModel();
  const work = await frameWork(tiny);
  const { dModel: D, memDim: M, memoryAttentionLayers: L, dimFeedforward: F, imageSize } = tiny.config;
  const N = (imageSize / 16) ** 2;
  const S = bankTokens(tiny.config);
  const maps = tiny.config.numMaskmem;
  const MLPS = 2 * N * D * F;
  const selfProjections = 4 * N * D * D;
  const textbook = 2 * N * S * D; // Q·Kᵀ and the sum of values
  const fewerValues = N * S * (D + M);
  const placed = N * axialMacs(imageSize / 16, imageSize / 16, D, M, S);
  const keys = S * M * D;
  const rest = selfProjections + 2 * N * N * D + 2 * N * D * D + MLPS; // self-attention, q and out of the other, MLP
  const first = photo.attention.get(FIRST_CROSS_ATTENTION)!;
  const most = Array.from({ length: first.heads }, (_, head) => Math.max(...first.of(head, CLICK_TOKEN)));
  const sorted = most.toSorted((a, b) => b - a);
  const [inFirst, inSecond] = [0, 1].map((layer) => pointerShares(clip, layer));
  const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;

  return new Map(
    Object.entries({
      "frame.gmac": work.total / GIGA,
      "photo.gmac": (work.of("image_encoder") + work.of("sam_mask_decoder")) / GIGA,
      "encoder.gmac": work.of("image_encoder") / GIGA,
      "decoder.gmac": work.of("sam_mask_decoder") / GIGA,
      "memory_attention.gmac": work.of("memory_attention") / GIGA,
      "memory_encoder.gmac": work.of("memory_encoder") / GIGA,
      "encoder.share": 100 * work.share("image_encoder"),
      "memory_attention.share": 100 * work.share("memory_attention"),
      "textbook.gmac": (L * (textbook + 2 * keys + rest)) / GIGA,
      "textbook.cross.gmac": (L * textbook) / GIGA,
      "values.cross.gmac": (L * fewerValues) / GIGA,
      "placed.cross.gmac": (L * placed) / GIGA,
      "values.gmac": (L * (fewerValues + keys + N * M * D + rest)) / GIGA,
      "keys.gmac": (L * keys) / GIGA,
      "keys.mb": (L * maps * N * D * 4) / MEGA,
      "bank.tokens": S,
      "bank.tokens.nano": bankTokens(clip.config),
      "frame15.tokens":
        maps * (clip.config.imageSize / 16) ** 2 + (clip.pointers * clip.config.dModel) / clip.config.memDim,
      "frame15.pointers": clip.pointers,
      "scores.millions": (N * S) / MEGA,
      "scores.mb": (4 * N * S) / MEGA,
      "click.head7": 100 * sorted[0],
      "click.head8": 100 * sorted[1],
      "pointers.layer0.mean": 100 * mean(inFirst),
      "pointers.layer0.max": 100 * Math.max(...inFirst),
      "pointers.layer1.mean": 100 * mean(inSecond),
      "prompted.object": 100 * promptedShare(clip, 0, true),
      "prompted.others": 100 * promptedShare(clip, 0, false),
      "click.rows": first.queries * HEADS,
      "fourier.angle": await largestAngle(),
      "product.share": 100 * fastestShare(),
      "tile.4x16": perLoad(4),
      "tile.6x16": perLoad(6),
      ...(await edgeTam()),
      "tiny.768.gmac": await frameGmac({ ...tiny.config, imageSize: 768 }),
      "tiny.512.gmac": await frameGmac({ ...tiny.config, imageSize: 512 }),
      ...stagesOf("tiny", tiny.config),
      ...stagesOf("nano", photo.sam2.config),
    }),
  );
}

async function frameGmac(config: Sam2Config): Promise<number> {
  return (await frameWork(await dryModel(config))).total / GIGA;
}

/** What EdgeTAM's frame costs, and what its memory consists of. */
async function edgeTam(): Promise<Record<string, number>> {
  const config = edgeTamConfig();
  const { dModel: D, memDim: M, numMaskmem, imageSize } = config;
  const work = await frameWork(await dryModel(config));
  const gmac = (path: string) => work.of(path) / GIGA;
  const { lone, side } = memoryLayout(config);
  const tokens = memoryTokens(config);
  const S = numMaskmem * tokens + (MAX_OBJ_PTRS * D) / M;
  const N = (imageSize / 16) ** 2;
  return {
    "edge.frame.gmac": work.total / GIGA,
    "edge.encoder.gmac": gmac("image_encoder"),
    "edge.memory_attention.gmac": gmac("memory_attention"),
    "edge.memory_encoder.gmac": gmac("memory_encoder"),
    "edge.perceiver.gmac": gmac("spatial_perceiver"),
    "edge.decoder.gmac": gmac("sam_mask_decoder"),
    "edge.768.gmac": await frameGmac({ ...config, imageSize: 768 }),
    "edge.512.gmac": await frameGmac({ ...config, imageSize: 512 }),
    "edge.tokens": tokens,
    "edge.lone": lone,
    "edge.placed": side ** 2,
    "edge.bank": S,
    "edge.textbook.cross": (2 * N * S * D) / GIGA,
    "edge.values.cross": (N * S * (D + M)) / GIGA,
    "edge.placed.cross": (N * axialMacs(side, side, D, M, S)) / GIGA,
  };
}

/** Blocks and windows of each stage of the trunk. */
function stagesOf(model: string, config: Sam2Config): Record<string, number> {
  const { stages, windowSpec } = config as HieraConfig;
  const named = stages.flatMap((blocks, i) => [
    [`${model}.stage${i + 1}.blocks`, blocks],
    [`${model}.stage${i + 1}.window`, windowSpec[i]],
  ]);
  return Object.fromEntries(named);
}

/** Tokens of a full bank. */
function bankTokens({ numMaskmem, imageSize, dModel, memDim }: Sam2Config): number {
  return numMaskmem * (imageSize / 16) ** 2 + (MAX_OBJ_PTRS * dModel) / memDim;
}

/** Of the whole products in the table of kernels.md, the fastest as a share of the limit. */
function fastestShare(): number {
  const { steps, limits } = diarySteps(readFileSync(new URL("kernels.md", import.meta.url), "utf8"));
  const products = steps.filter(({ kind }) => kind === "whole products");
  return Math.max(...products.map(({ speeds }) => speeds[1]! / limits[1]));
}

/** Vector multiply-adds for each load, of a tile of 16 columns in vectors of 8. */
function perLoad(rows: number): number {
  return (2 * rows) / (2 + rows);
}

/** Of the Fourier features of points: at a corner of the picture, in radians. */
async function largestAngle(): Promise<number> {
  const checkpoint = await readCheckpoint(fileURLToPath(new URL("../models/nano/nano.safetensors", import.meta.url)));
  const stored = checkpoint.tensors.get("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix")!;
  const [rows, columns] = stored.shape;
  const matrix = new Float32Array(rows * columns);
  stored.read(matrix);
  checkpoint.close();
  const sums = Array.from({ length: columns }, (_, c) => Math.abs(matrix[c]) + Math.abs(matrix[columns + c]));
  return 2 * Math.PI * Math.max(...sums);
}

/** Numbers that the pages use as the code does: sizes of the models, of the machine's vectors, of the kernels' blocks. */
export function settings(): ReadonlySet<string> {
  const models = [variantConfig("tiny", "2.1"), NANO].flatMap(
    ({ imageSize: S, dModel, embedDim, memDim, windowSpec }) => [
      S,
      S / 4,
      S / 8,
      S / 16,
      (S / 16) ** 2,
      dModel,
      dModel / 4,
      memDim,
      embedDim,
      4 * embedDim,
      16 * embedDim,
      ...windowSpec,
    ],
  );
  const padded = Math.ceil(64 / 14) * 14; // a grid of tiny in windows of 14
  const video = [MAX_OBJ_PTRS, MAX_OBJ_PTRS - 1, CLIP.frames];
  return new Set([...models, padded, ...video, ...OTHERS].flatMap((n) => [`${n}`, n.toLocaleString("en")]));
}

/** What tiny is 1024 for, nano is 256 for. */
const NANO = { imageSize: 256, dModel: 128, embedDim: 32, memDim: 64, windowSpec: [8, 4, 8, 4] };

/** Not to be had from the code as a value. */
const OTHERS = [
  12, // multiply-adds of a tile's step, kernels/gemm.ts; also of peak.ts
  128, // bits of WebAssembly's vectors
  20, // Node 20, 24 and 26 are versions
  26,
  24, // queries whose scores are computed together, GROUP of kernels/attention.ts
  32, // strides of the neck; registers of machines with AVX-512
  98, // % of the area that a stable mask keeps, STABILITY_THRESH of src/model/mask_decoder.ts
  0.75, // of PyTorch's bicubic kernel
  3.5, // the centre of pixel 3
  11, // million pictures of SA-1B, as the paper counts them
  10, // what a sure pixel enters the memory encoder as, MASK_BIAS of src/model/tracker.ts
  50020, // clips of exercises
  50049,
  19, // a scene of an exercise
  2024, // the year of the paper
  768, // an image size between a model's own and its half
  77, // J&F on SA-V's test set, then mean IoU in % after one click and after five on SA-23, as EdgeTAM's authors published them
  71.7,
  61.9,
  55.5,
  83.5,
  81.7,
  76.5, // J&F of SAM 2.1 tiny, as Meta published it
  23, // data sets of SA-23
];
