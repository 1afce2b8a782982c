/**
 * The sizes of the model. What is the same in all published models and has no name here stands in FLAGS.md.
 *
 * Letters in comments mean the same in every file of `model/`; each file names those it uses once more:
 *
 *     R image size: side of the square that images are resized to    D channels of the model, `dModel`
 *     E side of the image embedding, R/16                            C channels of a memory map, `memDim`
 *     F channels of the trunk's first stage, `embedDim`              H W a grid of any size
 *     B objects, or prompts in a batch                               P points of a prompt
 *     N tokens that attend (queries)                                 S tokens that are attended to (keys and values)
 *     h heads of an attention                                        d channels of a head, or of what a function is given
 *     M masks for a prompt, 1 or 3                                   T maps of a memory
 *     n pointers of a memory                                         L tokens of pointers, D/C of each
 *     U tokens of a map without a place, which EdgeTAM alone has     G side of the grid of a map's other tokens, SAM 2's E
 *     Q K tokens of q, and of k and v, where an attention serves both ways
 *     nW windows of a grid
 *
 * A tensor's sizes stand where they change, tests/shape_comments.test.ts compares them with what runs.
 *
 * @module
 */

/**
 * What a checkpoint's shapes cannot tell: it comes from a named variant, or from the `config` entry in the metadata
 * of a safetensors file (this object as JSON). EdgeTAM has the first two alone.
 *
 * @source sam2/configs/sam2.1/*.yaml
 */
export interface Hyperparameters {
  /** "tiny", "small", "base_plus", "large", "edgetam", or the name of a model of one's own */
  name: string;
  /** side of the square that the image is resized to, a multiple of 32; EdgeTAM's of 16 · √numLatents2d = 256 */
  imageSize: number;
  /** attention heads of the first stage; every stage doubles them */
  numHeads: number;
  /** side of the attention windows in each stage, in tokens */
  windowSpec: [number, number, number, number];
  /** blocks that attend to the whole image */
  globalAttBlocks: number[];
}

/** SAM 2.1 encodes time in object pointers and marks absent objects in the memory. EdgeTAM is built on 2.0. */
export type Version = "2.0" | "2.1";

/** What SAM 2 and EdgeTAM have in common. */
interface SharedConfig extends Pick<Hyperparameters, "name" | "imageSize"> {
  /** of the architecture */
  version: Version;
  /** channels of the neck, the prompt encoder and the mask decoder */
  dModel: number;
  /** hidden channels of the MLPs in the two-way transformer */
  decoderMlpDim: number;
  /** channels of the prompt encoder's mask downscaling, before the last convolution */
  maskInChans: number;
  /** channels of a memory map */
  memDim: number;
  /** layers of the memory attention */
  memoryAttentionLayers: number;
  /** hidden channels of the memory attention's MLPs */
  dimFeedforward: number;
  /** maps of the memory bank with a place in time of their own: one for all conditioning frames, and the six latest frames */
  numMaskmem: number;
  /** CXBlocks of the memory encoder's fuser */
  fuserLayers: number;
}

/** SAM 2: the trunk is Hiera, and a memory is a map. */
export interface HieraConfig extends SharedConfig, Hyperparameters {
  /** channels of the first stage; every stage doubles them */
  embedDim: number;
  /** blocks in each stage */
  stages: [number, number, number, number];
  /** grid of the background position embedding */
  windowPosEmbedBkgSpatialSize: [number, number];
}

/**
 * EdgeTAM: the trunk is RepViT, and a memory is squeezed into a few tokens.
 *
 * @source sam2/configs/edgetam.yaml; timm/models/repvit.py, repvit_m1
 */
export interface EdgeTamConfig extends SharedConfig {
  /** channels of each stage */
  embedDims: [number, number, number, number];
  /** blocks in each stage, its downsampling left out */
  depths: [number, number, number, number];
  /** layers of the spatial perceiver */
  perceiverDepth: number;
  /** tokens of a memory that have looked at the whole frame */
  numLatents: number;
  /** tokens of a memory that have looked at one window each: a square number */
  numLatents2d: number;
}

/** All that is needed to build the graph: the hyperparameters, and the sizes that a checkpoint's shapes give. */
export type Sam2Config = HieraConfig | EdgeTamConfig;

export function isEdgeTam(config: Sam2Config): config is EdgeTamConfig {
  return "numLatents" in config;
}

/** "SAM 2.1 tiny", "EdgeTAM" */
export function modelTitle(config: Sam2Config): string {
  if (!isEdgeTam(config)) return `SAM ${config.version} ${config.name}`;
  return config.name === "edgetam" ? "EdgeTAM" : `EdgeTAM ${config.name}`;
}

/** Channels of the trunk's four levels, fine → coarse. */
export function trunkChannels(config: Sam2Config): number[] {
  return isEdgeTam(config) ? [...config.embedDims] : [1, 2, 4, 8].map((factor) => config.embedDim * factor);
}

/** The tokens by which one object is remembered on one frame, its pointer left out. */
export interface MemoryLayout {
  /** those that come first and have no place */
  lone: number;
  /** side of the grid of the others */
  side: number;
}

/** SAM 2 remembers every place of the image embedding, EdgeTAM the latents of its perceiver. */
export function memoryLayout(config: Sam2Config): MemoryLayout {
  if (!isEdgeTam(config)) return { lone: 0, side: config.imageSize / 16 };
  return { lone: config.numLatents, side: Math.sqrt(config.numLatents2d) };
}

export function memoryTokens(config: Sam2Config): number {
  const { lone, side } = memoryLayout(config);
  return lone + side ** 2;
}

type Trunk = Hyperparameters & Pick<HieraConfig, "embedDim" | "stages" | "windowPosEmbedBkgSpatialSize">;

export const VARIANT_NAMES = ["tiny", "small", "base_plus", "large"] as const;
/** The four published sizes. */
export type VariantName = (typeof VARIANT_NAMES)[number];

/** The image encoders of the four published models; all else is equal in them. */
const TRUNKS: Record<VariantName, Trunk> = {
  tiny: {
    name: "tiny",
    imageSize: 1024,
    embedDim: 96,
    numHeads: 1,
    stages: [1, 2, 7, 2],
    globalAttBlocks: [5, 7, 9],
    windowSpec: [8, 4, 14, 7],
    windowPosEmbedBkgSpatialSize: [7, 7],
  },
  small: {
    name: "small",
    imageSize: 1024,
    embedDim: 96,
    numHeads: 1,
    stages: [1, 2, 11, 2],
    globalAttBlocks: [7, 10, 13],
    windowSpec: [8, 4, 14, 7],
    windowPosEmbedBkgSpatialSize: [7, 7],
  },
  base_plus: {
    name: "base_plus",
    imageSize: 1024,
    embedDim: 112,
    numHeads: 2,
    stages: [2, 3, 16, 3],
    globalAttBlocks: [12, 16, 20],
    windowSpec: [8, 4, 14, 7],
    windowPosEmbedBkgSpatialSize: [14, 14],
  },
  large: {
    name: "large",
    imageSize: 1024,
    embedDim: 144,
    numHeads: 2,
    stages: [2, 6, 36, 4],
    globalAttBlocks: [23, 33, 43],
    windowSpec: [8, 4, 16, 8],
    windowPosEmbedBkgSpatialSize: [7, 7],
  },
};

const SHARED = { dModel: 256, decoderMlpDim: 2048, maskInChans: 16, memDim: 64, dimFeedforward: 2048, numMaskmem: 7 };

/** A published model as a whole configuration. */
export function variantConfig(name: VariantName, version: Version): HieraConfig {
  return { ...structuredClone(TRUNKS[name]), version, ...SHARED, memoryAttentionLayers: 4, fuserLayers: 2 };
}

/** EdgeTAM as it is published. */
export function edgeTamConfig(): EdgeTamConfig {
  return {
    name: "edgetam",
    imageSize: 1024,
    version: "2.0",
    embedDims: [48, 96, 192, 384],
    depths: [2, 2, 14, 2],
    ...SHARED,
    memoryAttentionLayers: 2,
    fuserLayers: 2,
    perceiverDepth: 2,
    numLatents: 256,
    numLatents2d: 256,
  };
}
