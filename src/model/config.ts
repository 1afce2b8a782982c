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
 *     Q K tokens of q, and of k and v, where an attention serves both ways
 *     nW windows of a grid
 *
 * A tensor's sizes stand where they change, tests/shape_comments.test.ts compares them with what runs.
 *
 * @module
 */

/**
 * What a checkpoint's shapes cannot tell: it comes from a named variant, or from the `config` entry in the metadata
 * of a safetensors file (this object as JSON).
 *
 * @source sam2/configs/sam2.1/*.yaml
 */
export interface Hyperparameters {
  /** "tiny", "small", "base_plus", "large", or the name of a model of one's own */
  name: string;
  /** side of the square that the image is resized to, a multiple of 32 */
  imageSize: number;
  /** attention heads of the first stage; every stage doubles them */
  numHeads: number;
  /** side of the attention windows in each stage, in tokens */
  windowSpec: [number, number, number, number];
  /** blocks that attend to the whole image */
  globalAttBlocks: number[];
}

/** SAM 2.1 encodes time in object pointers and marks absent objects in the memory. */
export type Version = "2.0" | "2.1";

/** All that is needed to build the graph: the hyperparameters, and the sizes that a checkpoint's shapes give. */
export interface Sam2Config extends Hyperparameters {
  /** of the architecture */
  version: Version;
  /** channels of the first stage; every stage doubles them */
  embedDim: number;
  /** blocks in each stage */
  stages: [number, number, number, number];
  /** grid of the background position embedding */
  windowPosEmbedBkgSpatialSize: [number, number];
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

type Trunk = Hyperparameters & Pick<Sam2Config, "embedDim" | "stages" | "windowPosEmbedBkgSpatialSize">;

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

/** A published model as a whole configuration. */
export function variantConfig(name: VariantName, version: Version): Sam2Config {
  return {
    ...structuredClone(TRUNKS[name]),
    version,
    dModel: 256,
    decoderMlpDim: 2048,
    maskInChans: 16,
    memDim: 64,
    memoryAttentionLayers: 4,
    dimFeedforward: 2048,
    numMaskmem: 7,
    fuserLayers: 2,
  };
}
