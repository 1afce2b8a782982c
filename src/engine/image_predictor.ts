import { UsageError } from "../errors.ts";
import type { ImageInput } from "../io/image_input.ts";
import { kindOf } from "../io/kind_of.ts";
import { expectOptions } from "../io/options.ts";
import {
  type ImagePredictor as Direct,
  type ImagePredictorOptions,
  PREDICT_KINDS,
  type Prediction,
  type PredictOptions,
  PREDICTOR_KINDS,
  TRACE_KINDS,
  type TraceOptions,
} from "../predict/image_predictor.ts";
import type { Prompt } from "../predict/prompt.ts";
import type { LayerTrace } from "../predict/trace.ts";
import { CALL_KINDS, type CallOptions, engineOf } from "./engine.ts";
import { Remote, type Remoted } from "./remote.ts";
import type { Sam2 } from "./sam2.ts";

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
export class ImagePredictor implements Remoted<Direct> {
  readonly #remote: Remote<Direct>;

  /** Several may share a model. @throws UsageError if an option is out of its range */
  constructor(sam2: Sam2, options: ImagePredictorOptions = {}) {
    expectOptions(options, PREDICTOR_KINDS, "ImagePredictor");
    this.#remote = new Remote(engineOf(sam2, "ImagePredictor"), "ImagePredictor", options);
  }

  /**
   * Encode an image; it replaces the one before.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  setImage(image: ImageInput, options: CallOptions = {}): Promise<void> {
    return this.setImageBatch([image], options);
  }

  /** Encode several images for `predictBatch`; they replace those before. */
  async setImageBatch(images: readonly ImageInput[], options: CallOptions = {}): Promise<void> {
    if (!Array.isArray(images)) {
      throw new UsageError("setImageBatch", "an array of images", kindOf(images), "pass one image to setImage");
    }
    expectOptions(options, CALL_KINDS, "setImage");
    const found = this.#remote.send(images);
    const sent = found instanceof Promise ? await found : found;
    await this.#remote.call("setImageBatch", [sent], options, sent);
  }

  /**
   * Masks for one prompt, or for several on the same image.
   *
   * @throws PromptError if a prompt is empty, inconsistent, or outside of the image
   */
  predict(prompt: Prompt, options?: PredictOptions): Promise<Prediction>;
  predict(prompts: readonly Prompt[], options?: PredictOptions): Promise<Prediction[]>;
  async predict(prompts: Prompt | readonly Prompt[], options: PredictOptions = {}): Promise<Prediction & Prediction[]> {
    expectOptions(options, PREDICT_KINDS, "predict");
    return this.#remote.ask("predict", [prompts], options) as Promise<Prediction & Prediction[]>;
  }

  /** Masks for each image of `setImageBatch`: one list of prompts an image. */
  async predictBatch(batch: readonly (readonly Prompt[])[], options: PredictOptions = {}): Promise<Prediction[][]> {
    expectOptions(options, PREDICT_KINDS, "predictBatch");
    return this.#remote.call("predictBatch", [batch], options);
  }

  /**
   * Look inside: every layer that an image and a prompt pass through, in the order in which they start, with shapes, work
   * and times. The image that was set stays. What layers return is sent only if `values` names them.
   *
   * @example
   * const path = "sam_mask_decoder.output_upscaling";
   * const layers = await predictor.trace("truck.jpg", { points: [[500, 375]] }, { values: [path] });
   * const { output, values } = layers.find((layer) => layer.path === path)!; // [1, 256, 256, 32] and its numbers
   *
   * @throws ImageError, PromptError as setImage and predict; UsageError if the model has no layer of a path
   */
  async trace(image: ImageInput, prompt: Prompt, options: TraceOptions = {}): Promise<LayerTrace[]> {
    expectOptions(options, TRACE_KINDS, "trace");
    const found = this.#remote.send([image]);
    const [sent] = found instanceof Promise ? await found : found;
    return this.#remote.call("trace", [sent, prompt], options);
  }

  /**
   * The stride-16 features of the image, or of each image of a batch, channels last.
   *
   * @shape [B, H/16, W/16, D], with H = W = `config.imageSize`
   * @throws UsageError if no image was set
   */
  getImageEmbedding(): Promise<{
    /** B, H/16, W/16, D */
    shape: number[];
    /** row by row */
    data: Float32Array;
  }> {
    return this.#remote.call("getImageEmbedding", []);
  }

  /** Forget the image and give its memory back. */
  resetPredictor(): Promise<void> {
    return this.#remote.call("resetPredictor", []);
  }
}
