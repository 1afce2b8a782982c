/** Every object of an image without a prompt: points on a grid, and what is left of their masks. */
import { UsageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import type { ImageFeatures } from "../model/mask_decoder.ts";
import {
  type AutomaticMaskGeneratorOptions,
  checkOptions,
  given,
  gridsOf,
  type MaskThresholds,
  withDefaults,
} from "./automatic_mask_options.ts";
import { Contest } from "./contest.ts";
import { CropFinder, type Floors, pointsOf, TOGETHER } from "./crop_finder.ts";
import { type Crop, type CropBox, cropBoxes } from "./crops.ts";
import { type Candidate, type MaskRecord, records } from "./mask_records.ts";
import { preprocess } from "./preprocess.ts";
import type { Followed } from "./progress.ts";
import type { Sam2 } from "./sam2.ts";

const NO_FLOORS: Floors = { predIouThresh: 0, stabilityScoreThresh: 0 };

/**
 * Masks of everything in an image.
 *
 * A grid of points is laid over the image, and over crops of it; each point gives up to three masks. Of these stay those
 * that the model expects to be good, that do not depend on the threshold, that do not touch the border of a crop, and that
 * are not mostly the same as a better one.
 *
 * @example
 * const generator = new AutomaticMaskGenerator(await Sam2.fromPretrained("sam2.1_hiera_tiny.pt"));
 * for (const { segmentation, area } of await generator.generate("truck.jpg")) …
 *
 * @source sam2/automatic_mask_generator.py, SAM2AutomaticMaskGenerator
 */
export class AutomaticMaskGenerator {
  readonly #sam2: Sam2;
  readonly #options: Required<AutomaticMaskGeneratorOptions>;
  readonly #grids: readonly (readonly (readonly [x: number, y: number])[])[];
  #prepared?: Candidate[][];

  /** @throws UsageError if an option is out of its range */
  constructor(sam2: Sam2, options: AutomaticMaskGeneratorOptions = {}) {
    checkOptions(options);
    this.#sam2 = sam2;
    this.#options = withDefaults(options);
    this.#grids = gridsOf(options);
  }

  /**
   * The masks of an image; none is an empty list.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async generate(image: ImageInput, options: Followed = {}): Promise<MaskRecord[]> {
    return records(await this.#collect(image, options, this.#options), this.#options);
  }

  /**
   * Run the model on an image and keep whatever `select` may ask for, whatever its scores: run lengths, a few kB a mask.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async prepare(image: ImageInput, options: Followed = {}): Promise<void> {
    this.#prepared = undefined;
    this.#prepared = await this.#collect(image, options);
  }

  /**
   * The records that `generate` would give for the image of `prepare` with these thresholds, the generator's where they are
   * left out.
   *
   * @throws UsageError if no image was prepared
   */
  select(thresholds: Partial<MaskThresholds> = {}): MaskRecord[] {
    if (!this.#prepared) throw new UsageError("select", "an image", "none", "call prepare first");
    return records(this.#prepared, { ...this.#options, ...given(thresholds) });
  }

  /** The candidates of each crop: all, or those that `thresholds` leave of them. */
  async #collect(
    input: ImageInput,
    { signal, onProgress }: Followed,
    thresholds?: MaskThresholds,
  ): Promise<Candidate[][]> {
    const { cropNLayers, cropOverlapRatio, pointsPerBatch } = this.#options;
    const image = await readImage(input, signal);
    const { width, height } = image;
    const crops = cropBoxes(width, height, cropNLayers, cropOverlapRatio);
    const together = Math.min(TOGETHER, pointsPerBatch);
    const total = crops.reduce((points, { layer }) => points + this.#grids[layer].length, 0);
    let done = 0;
    const found: Candidate[][] = [];
    for (const crop of crops) {
      const features = this.#encode(image, crop.box, { signal, onProgress });
      try {
        const finder = this.#finder(crop, image, features, thresholds);
        const contest = new Contest(thresholds);
        const find = async (points: readonly number[], take: (some: Candidate[], of: number) => void) => {
          for (let from = 0; from < points.length; from += together) {
            await nextTurn(); // for an abort that comes as a message
            const batch = points.slice(from, from + together);
            take(
              this.#sam2.run((graph) => finder.find(graph, batch), signal),
              batch.length,
            );
          }
        };
        await find([...this.#grids[crop.layer].keys()], (some, of) => {
          contest.add(some);
          done += of;
          onProgress?.({ stage: "decode", fraction: done / total });
        });
        await find(pointsOf(contest.end()), (some) => contest.restore(some));
        found.push(contest.winners);
      } finally {
        this.#sam2.machine.heap.free(features);
      }
    }
    return found;
  }

  #encode(image: RgbImage, box: CropBox, { signal, onProgress }: Followed): ImageFeatures {
    const { machine, macsOfImage } = this.#sam2;
    const before = machine.macs;
    const fraction = () => (machine.macs - before) / macsOfImage;
    machine.onLayer = onProgress && (() => onProgress({ stage: "encode", fraction: fraction() }));
    try {
      return this.#sam2.run(
        ({ config, forwardImage, withoutMemory, prepare }) =>
          prepare(withoutMemory(forwardImage(preprocess(cropped(image, box), config.imageSize)))),
        signal,
      );
    } finally {
      machine.onLayer = undefined;
    }
  }

  #finder(crop: Crop, image: RgbImage, features: ImageFeatures, floors: Floors = NO_FLOORS): CropFinder {
    const grid = this.#grids[crop.layer];
    return new CropFinder(this.#options, floors, this.#sam2.config.imageSize, crop.box, image, features, grid);
  }
}

function cropped({ width, height, data }: RgbImage, [x0, y0, x1, y1]: CropBox): RgbImage {
  if (x1 - x0 === width && y1 - y0 === height) return { width, height, data };
  const part = new Uint8Array((x1 - x0) * (y1 - y0) * 3);
  for (let y = y0; y < y1; y++) {
    part.set(data.subarray((y * width + x0) * 3, (y * width + x1) * 3), (y - y0) * (x1 - x0) * 3);
  }
  return { width: x1 - x0, height: y1 - y0, data: part };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
