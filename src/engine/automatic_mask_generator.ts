import type { ImageInput } from "../io/image_input.ts";
import { expectOptions } from "../io/options.ts";
import {
  type AutomaticMaskGeneratorOptions,
  checkOptions,
  type MaskThresholds,
  THRESHOLD_KINDS,
} from "../predict/automatic_mask_options.ts";
import type { AutomaticMaskGenerator as Direct } from "../predict/automatic_masks.ts";
import type { MaskRecord } from "../predict/mask_records.ts";
import { CALL_KINDS, type CallOptions, engineOf } from "./engine.ts";
import { Remote, type Remoted } from "./remote.ts";
import type { Sam2 } from "./sam2.ts";

/**
 * Masks of everything in an image, without a prompt.
 *
 * A grid of points is laid over the image, and over crops of it; each point gives up to three masks. Of these stay those
 * that the model expects to be good, that do not depend on the threshold, that do not touch the border of a crop, and whose
 * boxes are not mostly the same as a better one's.
 *
 * @example
 * const generator = new AutomaticMaskGenerator(await Sam2.fromPretrained("sam2.1_hiera_tiny.pt"));
 * for (const { segmentation, area } of await generator.generate("truck.jpg")) …
 *
 * @source sam2/automatic_mask_generator.py, SAM2AutomaticMaskGenerator
 */
export class AutomaticMaskGenerator implements Remoted<Direct> {
  readonly #remote: Remote<Direct>;

  /** Several may share a model. @throws UsageError if an option is out of its range */
  constructor(sam2: Sam2, options: AutomaticMaskGeneratorOptions = {}) {
    checkOptions(options);
    this.#remote = new Remote(engineOf(sam2, "AutomaticMaskGenerator"), "AutomaticMaskGenerator", options);
  }

  /**
   * The masks of an image; none is an empty list. The fraction of `onProgress` is that of all points, in stage "decode".
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async generate(image: ImageInput, options: CallOptions = {}): Promise<MaskRecord[]> {
    expectOptions(options, CALL_KINDS, "generate");
    const found = this.#remote.send([image]);
    const sent = found instanceof Promise ? await found : found;
    return this.#remote.call("generate", sent, options, sent);
  }

  /**
   * Run the model on an image and keep whatever `select` may ask for, whatever its scores: run lengths, a few kB a mask.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async prepare(image: ImageInput, options: CallOptions = {}): Promise<void> {
    expectOptions(options, CALL_KINDS, "prepare");
    const found = this.#remote.send([image]);
    const sent = found instanceof Promise ? await found : found;
    await this.#remote.call("prepare", sent, options, sent);
  }

  /**
   * The records that `generate` would give for the image of `prepare` with these thresholds, the generator's where they are
   * left out. It takes milliseconds, unless `outputMode` asks for a byte a pixel.
   *
   * @throws UsageError if no image was prepared
   */
  async select(thresholds: Partial<MaskThresholds> = {}): Promise<MaskRecord[]> {
    expectOptions(thresholds, THRESHOLD_KINDS, "select");
    return this.#remote.call("select", [thresholds]);
  }
}
