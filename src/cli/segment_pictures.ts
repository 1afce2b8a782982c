import { encodeCutoutPng, encodeMaskPng } from "../io/masks.ts";
import { drawMask, drawPrompts } from "../io/overlay.ts";
import type { RgbImage } from "../io/pixels.ts";
import { encodePng } from "../io/png.ts";
import { best } from "../jobs/prompts.ts";
import type { Prediction } from "../predict/image_predictor.ts";
import type { Prompt } from "../predict/prompt.ts";
import { ResultFolder } from "./result_folder.ts";

/** The pictures of a run of `segment`: masks as they are found, at the end one overlay of the best of every prompt. */
export class SegmentPictures {
  readonly folder: ResultFolder;
  readonly #image: RgbImage;
  readonly #canvas: RgbImage;
  readonly #cutouts: boolean;

  private constructor(folder: ResultFolder, image: RgbImage, cutouts: boolean) {
    this.folder = folder;
    this.#image = image;
    this.#canvas = { ...image, data: image.data.slice() };
    this.#cutouts = cutouts;
  }

  /**
   * @param numMasks of each prompt
   * @param others files that somebody else will write into the folder
   */
  static async open(
    path: string,
    image: RgbImage,
    numMasks: readonly number[],
    cutouts: boolean,
    others: readonly string[],
  ) {
    const names = numMasks.flatMap((M, p) => [
      ...Array.from({ length: M }, (_, k) => maskName(p, k)),
      ...(cutouts ? [cutoutName(p)] : []),
    ]);
    return new SegmentPictures(await ResultFolder.open(path, [...names, OVERLAY, ...others]), image, cutouts);
  }

  /** The masks of prompt number p. */
  async add(p: number, { masks, iouPredictions, width, height }: Prediction): Promise<void> {
    for (const [k, mask] of masks.entries()) {
      await this.folder.write(maskName(p, k), encodeMaskPng(mask, width, height));
    }
    const mask = masks[best(iouPredictions)];
    drawMask(this.#canvas, mask, p);
    if (this.#cutouts) await this.folder.write(cutoutName(p), encodeCutoutPng(this.#image, mask));
  }

  async addOverlay(prompts: readonly Prompt[]): Promise<void> {
    drawPrompts(this.#canvas, prompts);
    await this.folder.write(OVERLAY, encodePng({ ...this.#canvas, channels: 3 }));
  }
}

const OVERLAY = "overlay.png";
const maskName = (p: number, k: number) => `mask_${p}_${k}.png`;
const cutoutName = (p: number) => `cutout_${p}.png`;
