import { CheckpointError } from "../errors.ts";
import { formatShape } from "../tensor/shape.ts";
import {
  type EdgeTamConfig,
  edgeTamConfig,
  type HieraConfig,
  type Hyperparameters,
  type Sam2Config,
  VARIANT_NAMES,
  variantConfig,
} from "./config.ts";
import { nearestVariant } from "./lookalike.ts";
import { isBatchCount, parameters, type Shapes } from "./parameters.ts";

const SEE_ALL = "see what SAM 2 has with sam2 trace nano";

/** What stands where the tensors that only video needs are missing: the published sizes. */
const IMAGE_ONLY = variantConfig("tiny", "2.1");

/**
 * The configuration that a checkpoint fits. Sizes are read off its shapes. Windows, global blocks, heads and image
 * size are those of the published variant with the same shapes, unless `stated` says otherwise.
 *
 * @param stated some or all `Hyperparameters`, unchecked: from the file itself or from the caller
 * @throws CheckpointError for another architecture, for values that do not fit the shapes, and if something is left open
 */
export function deriveConfig(tensors: Shapes, stated: Readonly<Record<string, unknown>> = {}): Sam2Config {
  const size = sizesOf(tensors);
  if (isEdgeTamFile(tensors)) return deriveEdgeTam(tensors, size, stated);
  const sizes = hieraSizes(tensors, size);
  return { ...sizes, ...hyperparameters(tensors, sizes, windowOf(size), stated) };
}

/**
 * The published SAM 2 that has these shapes.
 *
 * @throws CheckpointError for another architecture
 */
export function publishedName(tensors: Shapes): string | undefined {
  const size = sizesOf(tensors);
  return publishedVariant(hieraSizes(tensors, size), windowOf(size))?.name;
}

/** Size of an axis of a tensor. */
type SizeOf = (name: string, axis: number) => number;

function sizesOf(tensors: Shapes): SizeOf {
  return (name, axis) => {
    const shape = tensors.get(name)?.shape;
    if (shape?.[axis]) return shape[axis];
    if (shape) throw new CheckpointError(name, `a size of axis ${axis}`, formatShape(shape), SEE_ALL);
    throw new CheckpointError(name, "this tensor of SAM 2", "none of that name", SEE_ALL);
  };
}

type HieraSizes = Omit<HieraConfig, keyof Hyperparameters>;

function hieraSizes(tensors: Shapes, size: SizeOf): HieraSizes {
  const trunk = "image_encoder.trunk";
  const isOld = tensors.has(MEMORY) && !tensors.has("obj_ptr_tpos_proj.weight") && !tensors.has("no_obj_embed_spatial");
  return {
    version: isOld ? "2.0" : "2.1",
    embedDim: size(`${trunk}.patch_embed.proj.weight`, 0),
    stages: stagesOf(tensors, `${trunk}.blocks`),
    windowPosEmbedBkgSpatialSize: [size(`${trunk}.pos_embed`, 2), size(`${trunk}.pos_embed`, 3)],
    ...sharedSizes(tensors, size, IMAGE_ONLY),
  };
}

/** Of the first stage. */
function windowOf(size: SizeOf): number {
  return size("image_encoder.trunk.pos_embed_window", 2);
}

function publishedVariant(sizes: HieraSizes, window: number): HieraConfig | undefined {
  return VARIANT_NAMES.map((name) => variantConfig(name, sizes.version)).find(
    ({ embedDim, stages, windowPosEmbedBkgSpatialSize, windowSpec }) =>
      embedDim === sizes.embedDim &&
      `${stages}` === `${sizes.stages}` &&
      `${windowPosEmbedBkgSpatialSize}` === `${sizes.windowPosEmbedBkgSpatialSize}` &&
      windowSpec[0] === window,
  );
}

/** A tensor that only checkpoints for video have. */
const MEMORY = "maskmem_tpos_enc";

/** Is it EdgeTAM's image encoder? */
export function isEdgeTamFile(tensors: Shapes): boolean {
  return tensors.has("image_encoder.trunk.body.stem.conv1.c.weight");
}

/** What SAM 2 and EdgeTAM have in common; without a memory it is `published`'s. */
function sharedSizes(tensors: Shapes, size: SizeOf, published: Sam2Config) {
  const hasMemory = tensors.has(MEMORY);
  return {
    dModel: size("image_encoder.neck.convs.0.conv.weight", 0),
    decoderMlpDim: size("sam_mask_decoder.transformer.layers.0.mlp.layers.0.weight", 0),
    maskInChans: size("sam_prompt_encoder.mask_downscaling.3.weight", 0),
    memDim: hasMemory ? size(MEMORY, 3) : published.memDim,
    numMaskmem: hasMemory ? size(MEMORY, 0) : published.numMaskmem,
    memoryAttentionLayers: hasMemory ? count(tensors, "memory_attention.layers") : published.memoryAttentionLayers,
    dimFeedforward: hasMemory ? size("memory_attention.layers.0.linear1.weight", 0) : published.dimFeedforward,
    fuserLayers: hasMemory ? count(tensors, "memory_encoder.fuser.layers") : published.fuserLayers,
  };
}

function deriveEdgeTam(tensors: Shapes, size: SizeOf, stated: Readonly<Record<string, unknown>>): EdgeTamConfig {
  const published = edgeTamConfig();
  const hasMemory = tensors.has(MEMORY);
  const body = "image_encoder.trunk.body";
  const STAGES = [0, 1, 2, 3];
  const sizes = {
    version: published.version,
    embedDims: STAGES.map((i) =>
      size(i === 0 ? `${body}.stem.conv2.c.weight` : `${body}.stages_${i}.downsample.channel_downsample.c.weight`, 0),
    ) as EdgeTamConfig["embedDims"],
    depths: STAGES.map((i) => count(tensors, `${body}.stages_${i}.blocks`)) as EdgeTamConfig["depths"],
    ...sharedSizes(tensors, size, published),
    perceiverDepth: hasMemory ? count(tensors, "spatial_perceiver.layers") : published.perceiverDepth,
    numLatents: hasMemory ? size("spatial_perceiver.latents", 0) : published.numLatents,
    numLatents2d: hasMemory ? size("spatial_perceiver.latents_2d", 0) : published.numLatents2d,
  };
  const windows = Math.sqrt(sizes.numLatents2d);
  if (!Number.isInteger(windows)) {
    throw new CheckpointError("spatial_perceiver.latents_2d", "a square number of latents", `${windows ** 2}`, SEE_ALL);
  }
  const isPublished = `${sizes.embedDims} ${sizes.depths}` === `${published.embedDims} ${published.depths}`;
  const imageSize = stated.imageSize ?? (isPublished ? published.imageSize : undefined);
  const name = stated.name ?? (isPublished ? published.name : "custom");
  expectImageSize(imageSize, 16 * windows); // a window of the perceiver has whole places of stride 16
  if (typeof name !== "string") {
    throw new CheckpointError("configuration: name", "a name", JSON.stringify(name), "name a configuration that fits");
  }
  return { name, imageSize, ...sizes };
}

function expectImageSize(size: unknown, unit: number): asserts size is number {
  if (isSize(size) && size % unit === 0) return;
  const below = isSize(size) ? size - (size % unit) : 0;
  const near = [below, below + unit].filter((n) => n > 0).join(" or ");
  const todo = isSize(size)
    ? `take ${near}`
    : "state it with --image-size, or in the entry config of the safetensors metadata";
  const got = size === undefined ? "none" : JSON.stringify(size);
  throw new CheckpointError("configuration: imageSize", `a multiple of ${unit}`, got, todo);
}

/** Blocks in each stage: a stage begins where a block has a projection of its shortcut. */
function stagesOf(tensors: Shapes, blocks: string): HieraConfig["stages"] {
  const total = count(tensors, blocks);
  const starts = [0];
  for (let i = 1; i < total; i++) if (tensors.has(`${blocks}.${i}.proj.weight`)) starts.push(i);
  const stages = starts.map((start, stage) => (starts[stage + 1] ?? total) - start);
  if (stages.length !== 4) {
    throw new CheckpointError(blocks, "the four stages of Hiera", `${stages.length}`, SEE_ALL);
  }
  return stages as HieraConfig["stages"];
}

/** Number of directories `path.0`, `path.1`, … */
function count(tensors: Shapes, path: string): number {
  const indices = new Set<string>();
  for (const name of tensors.keys()) {
    if (name.startsWith(`${path}.`)) indices.add(name.slice(path.length + 1).split(".", 1)[0]);
  }
  let n = 0;
  while (indices.has(`${n}`)) n++;
  return n;
}

/** What the shapes cannot tell, checked against what they do tell. */
function hyperparameters(
  tensors: Shapes,
  sizes: HieraSizes,
  window: number,
  stated: Readonly<Record<string, unknown>>,
): Hyperparameters {
  const values: Record<string, unknown> = { name: "custom", ...publishedVariant(sizes, window), ...stated };
  const blocks = sizes.stages.reduce((sum, n) => sum + n, 0);
  const isBlock = (value: unknown) =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < blocks;
  const rules: Record<
    Exclude<keyof Hyperparameters, "imageSize">,
    [expected: string, fits: (value: unknown) => boolean]
  > = {
    name: ["a name", (value) => typeof value === "string"],
    numHeads: [`a divisor of ${sizes.embedDim} channels`, (value) => isSize(value) && sizes.embedDim % value === 0],
    windowSpec: [
      `four window sizes, the first one ${window}`,
      (value) => Array.isArray(value) && value.length === 4 && value.every(isSize) && value[0] === window,
    ],
    globalAttBlocks: [`block numbers below ${blocks}`, (value) => Array.isArray(value) && value.every(isBlock)],
  };
  const open = ["imageSize", ...Object.keys(rules)].filter((field) => values[field] === undefined);
  if (open.length > 0) {
    const nearest = nearestVariant(tensors);
    const shapes = `stages ${formatShape(sizes.stages)} of ${sizes.embedDim} channels, which no published variant has`;
    const got = nearest ? `${shapes}; nearest is ${nearest}` : shapes;
    const todo = "name one with --config, or put these fields as JSON in the entry config of the safetensors metadata";
    throw new CheckpointError("configuration", open.join(", "), got, todo);
  }
  expectImageSize(values.imageSize, 32);
  for (const [field, [expected, fits]] of Object.entries(rules)) {
    if (fits(values[field])) continue;
    const nearest = nearestVariant(tensors);
    const todo = nearest ? `it looks like ${nearest}` : "name a configuration that fits these shapes";
    throw new CheckpointError(`configuration: ${field}`, expected, `${JSON.stringify(values[field])}`, todo);
  }
  const { name, imageSize, numHeads, windowSpec, globalAttBlocks } = values as unknown as Hyperparameters;
  return { name, imageSize, numHeads, windowSpec, globalAttBlocks };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** How the tensors of a checkpoint differ from those of a configuration, by full name. */
export interface Differences {
  missing: string[];
  unexpected: string[];
  /** `name [got], expected [shape]` */
  wrongShape: string[];
}

/** Compare names and shapes with `parameters(config)`. */
export function checkTensors(config: Sam2Config, tensors: Shapes): Differences {
  const expected = parameters(config);
  const missing = [...expected.keys()].filter((name) => !tensors.has(name) && !isBatchCount(name));
  const unexpected = [...tensors.keys()].filter((name) => !expected.has(name));
  const wrongShape: string[] = [];
  for (const [name, shape] of expected) {
    const got = tensors.get(name)?.shape;
    if (got && formatShape(got) !== formatShape(shape)) {
      wrongShape.push(`${name} ${formatShape(got)}, expected ${formatShape(shape)}`);
    }
  }
  return { missing, unexpected, wrongShape };
}

/** Tensors that only video needs; image-only transformers files lack them. */
export function isMemoryTensor(name: string): boolean {
  return /^(maskmem_|memory_|mask_downsample\.|obj_ptr_|no_obj_|no_mem_pos_enc$|spatial_perceiver\.)/.test(name);
}
