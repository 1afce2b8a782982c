import { UsageError } from "../errors.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import { atLeast, FINITE, FLAG, type Kind, type Kinds, SIGNAL } from "../io/options.ts";
import type { Sam2Config } from "../model/config.ts";
import type { ImageFeatures } from "../model/mask_decoder.ts";
import { isWide } from "../model/mixture.ts";
import { watch } from "../nn/layer.ts";
import { resize, resizedAbove } from "../nn/resize.ts";
import { machine } from "../runtime/machine.ts";
import { reshape, select, type Tensor, values } from "../tensor/view.ts";
import { cleanMask } from "./postprocess.ts";
import { preprocess } from "./preprocess.ts";
import { expectFields } from "./fields.ts";
import { maskLogits } from "./mask_arrays.ts";
import { checkPrompt, type Prompt, PROMPT_FIELDS, type PromptFrame, promptPoints } from "./prompt.ts";
import type { Followed } from "./progress.ts";
import type { Sam2 } from "./sam2.ts";
import { type LayerTrace, layerTrace } from "./trace.ts";

/** How logits become masks. */
export interface ImagePredictorOptions {
  /** a pixel belongs to the mask if its logit exceeds this */
  maskThreshold?: number;
  /** fill holes of at most this many low-resolution pixels */
  maxHoleArea?: number;
  /** remove specks of at most this many low-resolution pixels */
  maxSprinkleArea?: number;
}

export const PREDICTOR_KINDS: Kinds<ImagePredictorOptions> = {
  maskThreshold: FINITE,
  maxHoleArea: atLeast(0),
  maxSprinkleArea: atLeast(0),
};

/** Options of `predict` and `predictBatch`. */
export interface PredictOptions {
  /** three masks, for a prompt that may mean part or whole (default), or one */
  multimaskOutput?: boolean;
  /** also return the logits at the size of the image */
  returnLogits?: boolean;
  /** also return `masks` (default); without them an answer takes much less time for a large image */
  returnMasks?: boolean;
  /** coordinates are pixels of the original image (default); false: 0…1 of it */
  normalizeCoords?: boolean;
  /** ends the call early: it rejects with the reason of the signal */
  signal?: AbortSignal;
}

export const PREDICT_KINDS: Kinds<PredictOptions> = {
  multimaskOutput: FLAG,
  returnLogits: FLAG,
  returnMasks: FLAG,
  normalizeCoords: FLAG,
  signal: SIGNAL,
};

/** Options of `trace`. */
export interface TraceOptions extends Pick<PredictOptions, "multimaskOutput" | "normalizeCoords" | "signal"> {
  /** paths of the layers whose output is wanted too, not its shape alone */
  values?: readonly string[];
}

const PATHS: Kind = [
  "an array of paths, one at least",
  (value) => Array.isArray(value) && value.length > 0 && value.every((path) => typeof path === "string"),
];

export const TRACE_KINDS: Kinds<TraceOptions> = {
  multimaskOutput: FLAG,
  normalizeCoords: FLAG,
  values: PATHS,
  signal: SIGNAL,
};

/** M masks of one prompt, in the model's order. */
export interface Prediction {
  /** `name` of the prompt, if it has one */
  name?: string;
  /** pixels of the original image */
  width: number;
  /** pixels of the original image */
  height: number;
  /** M masks, width·height bytes each, 1 inside and 0 outside; empty without `returnMasks` */
  masks: Uint8Array[];
  /** what the model expects each mask's IoU with the object to be, 0…1 [M] */
  iouPredictions: Float32Array;
  /** M masks as logits, lowResSize² each, clamped to ±32: the `maskInput` of a later prompt */
  lowResMasks: Float32Array[];
  /** side of `lowResMasks`: a quarter of `config.imageSize` */
  lowResSize: number;
  /** M masks as logits at the size of the image, not clamped; with `returnLogits` */
  logits?: Float32Array[];
}

/** An image whose features are known. */
interface EncodedImage {
  width: number;
  height: number;
  features: ImageFeatures;
}

/**
 * Bytes of an image's features while they are kept, with what its prompts share.
 *
 * E side of the image embedding · D embedding
 */
export function featureBytes({ imageSize, dModel: D }: Pick<Sam2Config, "imageSize" | "dModel">): number {
  const E = imageSize / 16;
  const embeddings = 2 * E * E * D; // as it is, and with the embedding of no mask
  const projections = (3 * E * E * D) / 2; // k, v and q
  const readings = isWide(D) ? 4 * E * E * D : 0; // what mixtures of the places are read by
  const highRes = (16 * E * E * D) / 8 + (4 * E * E * D) / 4;
  return 4 * (embeddings + projections + readings + highRes);
}

/**
 * Encode an image once, then ask for as many masks as wanted.
 *
 * @example
 * const predictor = new ImagePredictor(await Sam2.fromPretrained("tiny"));
 * await predictor.setImage("truck.jpg");
 * const { masks, iouPredictions } = await predictor.predict({ points: [[500, 375]] });
 *
 * @source sam2/sam2_image_predictor.py, SAM2ImagePredictor
 */
export class ImagePredictor {
  readonly #sam2: Sam2;
  readonly #options: Required<ImagePredictorOptions>;
  #images: EncodedImage[] = [];

  constructor(sam2: Sam2, { maskThreshold = 0, maxHoleArea = 0, maxSprinkleArea = 0 }: ImagePredictorOptions = {}) {
    this.#sam2 = sam2;
    this.#options = { maskThreshold, maxHoleArea, maxSprinkleArea };
  }

  /**
   * Encode an image; it replaces the one before.
   *
   * @throws ImageError if it is no usable image
   */
  async setImage(image: ImageInput, options: Followed = {}): Promise<void> {
    await this.setImageBatch([image], options);
  }

  /** Encode several images for `predictBatch`; they replace those before. */
  async setImageBatch(images: readonly ImageInput[], options: Followed = {}): Promise<void> {
    this.resetPredictor();
    this.#images = await this.#encode(images, options);
  }

  async #encode(images: readonly ImageInput[], { signal, onProgress }: Followed): Promise<EncodedImage[]> {
    const encoded: EncodedImage[] = [];
    const { machine } = this.#sam2;
    const before = machine.macs;
    const fraction = () => (machine.macs - before) / (images.length * this.#sam2.macsOfImage);
    machine.onLayer = onProgress && (() => onProgress({ stage: "encode", fraction: fraction() }));
    try {
      for (const image of images) {
        const rgb = await readImage(image, signal);
        const features = this.#sam2.run(({ config, forwardImage, withoutMemory, prepare }) => {
          return prepare(withoutMemory(forwardImage(preprocess(rgb, config.imageSize))));
        }, signal);
        encoded.push({ width: rgb.width, height: rgb.height, features });
      }
    } catch (error) {
      machine.heap.free(encoded);
      throw error;
    } finally {
      machine.onLayer = undefined;
    }
    return encoded;
  }

  /**
   * Masks for one prompt, or for several on the same image.
   *
   * @throws PromptError if a prompt is empty, inconsistent, or outside of the image
   */
  predict(prompt: Prompt, options?: PredictOptions): Prediction;
  predict(prompts: readonly Prompt[], options?: PredictOptions): Prediction[];
  predict(prompts: Prompt | readonly Prompt[], options: PredictOptions = {}): Prediction | Prediction[] {
    if (this.#images.length !== 1) {
      throw new UsageError(
        "predict",
        "one image",
        `${this.#images.length}`,
        "call setImage first; predictBatch goes with setImageBatch",
      );
    }
    const [image] = this.#images;
    if (!isList(prompts)) return this.#predict(image, prompts, options, "prompt");
    return prompts.map((prompt, i) => this.#predict(image, prompt, options, `prompts[${i}]`));
  }

  /** Masks for each image of `setImageBatch`: one list of prompts an image. */
  async predictBatch(batch: readonly (readonly Prompt[])[], options: PredictOptions = {}): Promise<Prediction[][]> {
    if (batch.length !== this.#images.length || batch.length === 0) {
      const wanted = `a list of prompts for each of ${this.#images.length} images`;
      throw new UsageError("predictBatch", wanted, `${batch.length} lists`, "call setImageBatch first");
    }
    return batch.map((prompts, i) =>
      prompts.map((prompt, k) => this.#predict(this.#images[i], prompt, options, `batch[${i}][${k}]`)),
    );
  }

  /**
   * Look inside: every layer that an image and a prompt pass through, in the order in which they start. The image that was
   * set stays.
   *
   * @throws ImageError, PromptError as setImage and predict; UsageError if the model has no layer of a path
   */
  async trace(image: ImageInput, prompt: Prompt, options: TraceOptions = {}): Promise<LayerTrace[]> {
    const { values: wanted = [], multimaskOutput, normalizeCoords, signal } = options;
    const layers: LayerTrace[] = [];
    let encoded: EncodedImage[] = [];
    try {
      await watch(
        (event) => {
          layers[event.order] = layerTrace(event, wanted.includes(event.path));
        },
        async () => {
          encoded = await this.#encode([image], { signal });
          const asked = { multimaskOutput, normalizeCoords, returnMasks: false, signal };
          this.#predict(encoded[0], prompt, asked, "prompt");
        },
      );
    } finally {
      this.#sam2.machine.heap.free(encoded);
    }
    const unknown = wanted.find((path) => !layers.some((layer) => layer.path === path));
    if (unknown === undefined) return layers;
    throw new UsageError(
      "trace.values",
      "paths of layers",
      JSON.stringify(unknown),
      "see the paths that trace returns",
    );
  }

  /** The stride-16 features of the image, channels last. */
  getImageEmbedding(): { shape: number[]; data: Float32Array } {
    if (this.#images.length === 0) {
      throw new UsageError("getImageEmbedding", "an image", "none", "call setImage first");
    }
    const embeds = this.#images.map(({ features }) => values(features.imageEmbed));
    const shape = this.#images[0].features.imageEmbed.shape.with(0, embeds.length);
    const data = new Float32Array(embeds.length * embeds[0].length);
    for (const [i, embed] of embeds.entries()) data.set(embed, i * embed.length);
    return { shape, data };
  }

  /** Forget the image and give its memory back. */
  resetPredictor(): void {
    this.#sam2.machine.heap.free(this.#images);
    this.#images = [];
  }

  #predict(image: EncodedImage, asked: Prompt, options: PredictOptions, where: string): Prediction {
    const {
      multimaskOutput = true,
      returnLogits = false,
      returnMasks = true,
      normalizeCoords = true,
      signal,
    } = options;
    const { width, height, features } = image;
    const { imageSize } = this.#sam2.config;
    const frame: PromptFrame = { width, height, imageSize, normalizeCoords };
    const prompt = expectFields(asked, PROMPT_FIELDS, where);
    checkPrompt(prompt, frame, where);
    const { name, maskInput } = prompt;
    const side = imageSize / 4;
    const previous = maskInput && maskLogits(maskInput, side, side, `${where}.maskInput`);

    let prediction: Prediction | undefined;
    this.#sam2.run(({ predictMasks }) => {
      const mask = previous && machine.heap.from(previous, [1, side, side, 1]);
      const { masks, ious } = predictMasks(features, promptPoints(prompt, frame, machine.heap), mask, multimaskOutput);
      const lowRes = Array.from({ length: ious.shape[1] }, (_, m) => select(select(masks, 0, 0), 0, m)); // [4E, 4E]
      prediction = {
        ...(name !== undefined && { name }),
        width,
        height,
        masks: [],
        iouPredictions: values(ious).slice(),
        lowResMasks: lowRes.map((mask) => clamped(values(mask))),
        lowResSize: side,
        logits: returnLogits ? [] : undefined,
      };
      if (!returnMasks && !returnLogits) return;
      for (const mask of lowRes) {
        this.#clean(mask);
        if (returnMasks) prediction!.masks.push(resizedAbove(mask, height, width, this.#options.maskThreshold));
        if (returnLogits) prediction!.logits!.push(this.#upscaled(mask, image));
      }
    }, signal);
    return prediction!;
  }

  /**
   * Holes and specks mended, in place. What follows, interpolation to the size of the image, is upstream's postprocessing too.
   *
   * @shape  mask [h, w]
   * @source sam2/utils/transforms.py, SAM2Transforms.postprocess_masks
   */
  #clean(mask: Tensor): void {
    const { maxHoleArea, maxSprinkleArea } = this.#options;
    if (maxHoleArea === 0 && maxSprinkleArea === 0) return;
    const [h, w] = mask.shape;
    const logits = values(mask);
    logits.set(cleanMask(logits, w, h, this.#options));
  }

  /** Logits of the size of the image, off the heap. @shape mask [h, w] */
  #upscaled(mask: Tensor, { width, height }: EncodedImage): Float32Array {
    const [h, w] = mask.shape;
    return machine.heap.scope(() => {
      const logits = resize(reshape(mask, [1, h, w, 1]), height, width, "bilinear");
      return values(logits).slice();
    });
  }
}

function isList(prompts: Prompt | readonly Prompt[]): prompts is readonly Prompt[] {
  return Array.isArray(prompts);
}

/** Within ±32; a loop, as `map` with a function takes six times as long, and `Math.max` and `Math.min` three. */
export function clamped(logits: Float32Array): Float32Array {
  const y = logits.slice();
  for (let i = 0; i < y.length; i++) {
    const x = y[i];
    if (x > 32) y[i] = 32;
    else if (x < -32) y[i] = -32;
  }
  return y;
}
