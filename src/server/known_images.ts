import { ImagePredictor } from "../engine/image_predictor.ts";
import type { Sam2 } from "../engine/sam2.ts";
import { UsageError } from "../errors.ts";
import { featureBytes } from "../predict/image_predictor.ts";

/** How many images a server remembers. */
export interface KnownImagesOptions {
  /** images; 64 by default */
  count?: number;
  /** bytes of their features together; 1 GiB by default. Tiny needs 27 MB an image */
  bytes?: number;
}

/** An image whose features are kept. */
export interface KnownImage {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  predictor: ImagePredictor;
}

/**
 * Images whose features are kept, those that were used last, by their content: a click on one takes the decoder's time. A
 * predictor each; that of an image that must go takes the next one.
 */
export class KnownImages {
  /** images that are kept at most */
  readonly capacity: number;
  /** features of an image */
  readonly bytesOfImage: number;
  readonly #sam2: Sam2;
  readonly #images = new Map<string, KnownImage>();
  readonly #idle: ImagePredictor[] = [];

  /** @throws UsageError if there is no room for a single image */
  constructor(sam2: Sam2, { count = 64, bytes = 2 ** 30 }: KnownImagesOptions = {}) {
    this.#sam2 = sam2;
    this.bytesOfImage = featureBytes(sam2.config);
    this.capacity = Math.min(count, Math.floor(bytes / this.bytesOfImage));
    if (this.capacity >= 1) return;
    const got = `${count} images in ${bytes} bytes`;
    throw new UsageError("images", `room for an image of ${this.bytesOfImage} bytes`, got, "allow more");
  }

  /** Images that are kept. */
  get size(): number {
    return this.#images.size;
  }

  get(key: string): KnownImage | undefined {
    return this.#images.get(key);
  }

  /** Say that an image is used: others go before it does. */
  use(key: string): KnownImage | undefined {
    const image = this.#images.get(key);
    if (image) {
      this.#images.delete(key);
      this.#images.set(key, image);
    }
    return image;
  }

  /**
   * Encode an image. One call at a time.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async add(
    key: string,
    { bytes, width, height }: { bytes: Uint8Array; width: number; height: number },
    signal: AbortSignal,
  ): Promise<KnownImage> {
    const predictor = this.#idle.pop() ?? this.#oldest() ?? new ImagePredictor(this.#sam2);
    try {
      await predictor.setImage(bytes, { signal });
    } catch (error) {
      this.#idle.push(predictor);
      throw error;
    }
    const image = { width, height, predictor };
    this.#images.set(key, image);
    return image;
  }

  /** The predictor of the image that was not used for longest, if it must go. */
  #oldest(): ImagePredictor | undefined {
    if (this.#images.size < this.capacity) return undefined;
    const [key, { predictor }] = this.#images.entries().next().value!;
    this.#images.delete(key);
    return predictor;
  }
}
