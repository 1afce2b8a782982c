import { ImagePredictor } from "../engine/image_predictor.ts";
import type { Sam2 } from "../engine/sam2.ts";
import { UsageError } from "../errors.ts";
import type { RgbImage } from "../io/pixels.ts";
import { featureBytes } from "../predict/image_predictor.ts";

/** How many images a server remembers. */
export interface KnownImagesOptions {
  /** images; 64 by default */
  count?: number;
  /** bytes of their features together; 1 GiB by default. Tiny needs 27 MB an image */
  bytes?: number;
}

/** An image whose features are kept. */
interface KnownImage {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  predictor: ImagePredictor;
  /** who ask about it now */
  users: number;
}

/**
 * Images whose features are kept, those that were used last, by their content: a click on one takes the decoder's time. A
 * predictor each; that of an image that must go takes the next one. Those that are asked about stay.
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

  /** Its size in pixels, if it is known. */
  get(key: string): Pick<KnownImage, "width" | "height"> | undefined {
    return this.#images.get(key);
  }

  /** Ask about an image, if it is known; others go before it does. */
  async use<R>(key: string, ask: (predictor: ImagePredictor) => Promise<R>): Promise<R | undefined> {
    const image = this.#images.get(key);
    if (!image) return undefined;
    this.#images.delete(key);
    this.#images.set(key, image);
    image.users++;
    try {
      return await ask(image.predictor);
    } finally {
      image.users--;
    }
  }

  /** Encode an image, whose pixels are given away. One call at a time. @throws the signal's reason if aborted */
  async add(key: string, image: RgbImage, signal: AbortSignal): Promise<void> {
    const { width, height } = image;
    const predictor = this.#idle.pop() ?? this.#oldest() ?? new ImagePredictor(this.#sam2);
    try {
      await predictor.setImage(image, { signal, transfer: true });
    } catch (error) {
      this.#idle.push(predictor);
      throw error;
    }
    this.#images.set(key, { width, height, predictor, users: 0 });
  }

  /** The predictor of the image that was not used for longest, if one must go. */
  #oldest(): ImagePredictor | undefined {
    if (this.#images.size < this.capacity) return undefined;
    const free = [...this.#images].find(([, { users }]) => users === 0);
    if (free) this.#images.delete(free[0]);
    return free?.[1].predictor;
  }
}
