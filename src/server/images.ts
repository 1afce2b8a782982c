// What is asked about images: masks for prompts, and of everything.
import { AutomaticMaskGenerator } from "../engine/automatic_mask_generator.ts";
import { ImageDecoder } from "../engine/image_decoder.ts";
import type { ImagePredictor } from "../engine/image_predictor.ts";
import type { Sam2 } from "../engine/sam2.ts";
import { PromptError } from "../errors.ts";
import { imageSize } from "../io/image.ts";
import { isAddress } from "../io/image_input.ts";
import type { ReadFile } from "../jobs/entries.ts";
import { answerPrompts, setsOf } from "../jobs/image_job.ts";
import {
  modelOf,
  type PromptResult,
  type PromptsResult,
  type RecordsResult,
  recordResult,
} from "../jobs/image_result.ts";
import { type EverythingRequest, parseRequest } from "../jobs/job.ts";
import { type JsonPrompt, type PromptSet, promptsFor } from "../jobs/prompts.ts";
import { withDefaults } from "../predict/automatic_mask_options.ts";
import { expectFields } from "../predict/fields.ts";
import type { Allowed } from "./allowed.ts";
import { decodeBase64, decodeDataUri } from "./base64.node.ts";
import { digestOf } from "./digest.node.ts";
import { Desk } from "./desk.ts";
import { KnownImages, type KnownImagesOptions } from "./known_images.ts";
import { Lane } from "./lane.ts";
import type { Limits } from "./limits.ts";
import { Problem } from "./problem.ts";
import { everythingRequest, parse, segmentRequest } from "./schemas.ts";

/**
 * How a model is loaded: `video` says whether it is to track, `background` whether others go before it. Both are options of
 * `Sam2.fromPretrained`.
 */
export type LoadModel = (options: { video: boolean; background: boolean }) => Promise<Sam2>;

/** A request of more prompts is no click. */
const CLICK_PROMPTS = 4;

/** An image of a request; without its bytes, one that is known. */
export interface Source {
  /** made of the content: sha256:… */
  key: string;
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  bytes?: Uint8Array;
}

/** A model for prompts, and what its images need. */
interface ImageTool {
  sam2: Sam2;
  known: KnownImages;
  decoder: ImageDecoder;
  dispose(): Promise<void>;
}

/**
 * Answers what is asked about images: prompts by one model, everything by another. No click on a known image waits for
 * either: new images are decoded by a worker of their own, the first model answers clicks between the layers of what it
 * encodes, and the second one gives way.
 */
export class Images {
  /** new images, and requests of many prompts */
  readonly desk: Desk<ImageTool>;
  /** clicks on known images */
  readonly clicks = new Lane();
  readonly #background: Desk<{ sam2: Sam2; dispose(): Promise<void> }>;
  readonly #sources: Allowed;
  readonly #limits: Limits;
  /** images whose features are kept, once the model is loaded */
  known: KnownImages | undefined;
  /** times that an image was known, and was not */
  readonly found = { hits: 0, misses: 0 };

  constructor(
    load: LoadModel,
    background: Desk<{ sam2: Sam2; dispose(): Promise<void> }>,
    sources: Allowed,
    limits: Limits,
    known: KnownImagesOptions | undefined,
  ) {
    this.desk = new Desk(async () => {
      const sam2 = await load({ video: false, background: false });
      this.known = new KnownImages(sam2, known);
      const decoder = new ImageDecoder();
      const dispose = async () => {
        await Promise.all([sam2.dispose(), decoder.dispose()]);
      };
      return { sam2, known: this.known, decoder, dispose };
    });
    this.#background = background;
    this.#sources = sources;
    this.#limits = limits;
  }

  /** POST /segment @throws Problem, PromptError, ImageError; the signal's reason if aborted */
  async segment(body: Record<string, unknown>, signal: AbortSignal): Promise<PromptsResult> {
    const whole = { ...body, prompts: isObject(body.prompts) ? [body.prompts] : body.prompts };
    const { id, image, prompts } = parse(segmentRequest(this.#limits), whole, "segment");
    expectFields(body, ["id", "image", "prompts"], "segment");
    const request = parseRequest({ prompts }, "segment") as { prompts: JsonPrompt[] };
    const source = await this.source(image, "segment.image", signal);
    await this.#expectMasks(request.prompts, source);
    const sets = await setsOf(request.prompts, "segment", this.#readMask);
    const answers = await this.answer(source, sets, "segment", signal);
    const { config } = (await this.desk.tool()).sam2;
    const { key, width, height } = source;
    const path = isAddress(image) ? image : key;
    return { ...named(id), image: { path, width, height }, model: modelOf(config), prompts: answers };
  }

  /** POST /everything @throws as `segment` does */
  async everything(body: Record<string, unknown>, signal: AbortSignal): Promise<RecordsResult> {
    const { id, image, everything } = parse(everythingRequest, body, "everything");
    expectFields(body, ["id", "image", "everything"], "everything");
    const request = parseRequest({ everything: everything ?? {} }, "everything") as { everything: EverythingRequest };
    this.#expectGrid(request.everything);
    const { bytes, key, width, height } = await this.#sent(image, "everything.image", signal);
    const path = isAddress(image) ? image : key;
    const { waiting } = this.#limits;
    return this.#background.run(
      async ({ sam2 }) => {
        const generator = new AutomaticMaskGenerator(sam2, { ...request.everything, outputMode: "coco_rle" });
        const records = await generator.generate(bytes, { signal });
        const head = { image: { path, width, height }, model: modelOf(sam2.config) };
        return { ...named(id), ...head, masks: records.map(recordResult) };
      },
      { limit: waiting, signal },
    );
  }

  /**
   * Masks for prompts on an image, which is encoded unless it is known.
   *
   * @throws Problem, PromptError, ImageError; the signal's reason if aborted
   */
  async answer(
    source: Source,
    sets: readonly PromptSet[],
    where: string,
    signal: AbortSignal,
  ): Promise<PromptResult[]> {
    this.#expectPoints(sets, where);
    const { key, width, height } = source;
    const { sam2, known } = await this.desk.tool();
    const frame = { width, height, imageSize: sam2.config.imageSize };
    promptsFor(sets, { ...frame, normalizeCoords: true }); // before it waits, and is encoded
    const ask = (predictor: ImagePredictor) => answerPrompts(predictor, sets, frame, signal);
    if (known.get(key) && sets.length <= CLICK_PROMPTS) {
      const place = { limit: this.#limits.waitingClicks, signal };
      const answers = await this.desk.run(({ known }) => known.use(key, ask), place, this.clicks);
      if (answers) this.found.hits++;
      if (answers) return answers; // else it was forgotten while the click waited
    }
    return this.desk.run(
      async ({ known, decoder }) => {
        const isKnown = known.get(key) !== undefined;
        this.found[isKnown ? "hits" : "misses"]++;
        if (!isKnown) await known.add(key, await decoder.decode(bytesOf(source, where), signal), signal);
        return (await known.use(key, ask))!;
      },
      { limit: this.#limits.waiting, signal },
    );
  }

  /**
   * The image that a request means: the bytes of a file, its address, or what the server called one that it still knows.
   *
   * @throws Problem, ImageError; the signal's reason if aborted
   */
  async source(text: string, where: string, signal: AbortSignal): Promise<Source> {
    if (!/^sha256:/i.test(text)) return this.#sent(text, where, signal);
    const key = text.toLowerCase();
    const known = (await this.desk.tool()).known.get(key);
    if (known) return { key, width: known.width, height: known.height };
    return forgotten(where);
  }

  async #sent(text: string, where: string, signal: AbortSignal): Promise<Source & { bytes: Uint8Array }> {
    const bytes = await this.bytesOf(text, where, signal);
    const size = await imageSize(bytes, { where, maxPixels: this.#limits.pixels });
    return { key: `sha256:${digestOf(bytes)}`, bytes, ...size };
  }

  /** The bytes that a request means by a text. @throws Problem, ImageError; the signal's reason if aborted */
  async bytesOf(text: string, where: string, signal: AbortSignal): Promise<Uint8Array> {
    if (/^data:/i.test(text)) return decodeDataUri(text, where);
    if (/^[a-z][a-z\d+.-]*:/i.test(text)) return this.#sources.fetch(text, where, signal);
    return decodeBase64(text, where);
  }

  /** A mask is in the request itself: names of files are those of this machine, which are none of its business. */
  readonly #readMask: ReadFile = async (text, what) => {
    if (!/^data:/i.test(text)) {
      throw new PromptError("mask", `${what} as data:;base64,…`, JSON.stringify(text.slice(0, 40)), "send its bytes");
    }
    return decodeDataUri(text, "mask");
  };

  /** Masks are drawn at their own size: none may be larger than images are. */
  async #expectMasks(prompts: readonly JsonPrompt[], { width, height }: Source): Promise<void> {
    const { pixels } = this.#limits;
    for (const [i, { maskImage }] of prompts.entries()) {
      const where = `segment.prompts[${i}].maskImage`;
      if (typeof maskImage === "string") {
        await imageSize(await this.#readMask(maskImage, "a picture of a mask"), { where, maxPixels: pixels });
      } else if (maskImage && "size" in maskImage && `${maskImage.size}` !== `${[height, width]}`) {
        const got = `${maskImage.size[1]}×${maskImage.size[0]}`;
        throw new PromptError(where, `${width}×${height} pixels as the image`, got, "give the mask of this image");
      }
    }
  }

  #expectPoints(sets: readonly PromptSet[], where: string): void {
    const points = sets.reduce((sum, { prompt }) => sum + (prompt.points?.length ?? 0), 0);
    if (points <= this.#limits.points) return;
    throw new Problem(422, [where, `at most ${this.#limits.points} points`, `${points}`, "send fewer at once"]);
  }

  #expectGrid(request: EverythingRequest): void {
    const { gridPoints, cropLayers, pointsPerBatch: most } = this.#limits;
    const { cropNLayers, pointsPerSide, cropNPointsDownscaleFactor, pointGrids, pointsPerBatch } =
      withDefaults(request);
    const refuse = (option: string, limit: number, got: number) => {
      throw new Problem(422, [`everything.${option}`, `at most ${limit}`, `${got}`, "ask for less at once"]);
    };
    if (cropNLayers > cropLayers) refuse("cropNLayers", cropLayers, cropNLayers);
    if (pointsPerBatch > most) refuse("pointsPerBatch", most, pointsPerBatch);
    let points = 0;
    for (let layer = 0; layer <= cropNLayers; layer++) {
      const side = Math.floor(pointsPerSide / cropNPointsDownscaleFactor ** layer);
      points += 4 ** layer * (pointGrids.length > 0 ? (pointGrids[layer]?.length ?? 0) : side ** 2);
    }
    if (points > gridPoints) refuse("pointsPerSide", gridPoints, points);
  }
}

function bytesOf({ bytes }: Source, where: string): Uint8Array {
  return bytes ?? forgotten(`${where}.image`);
}

function forgotten(where: string): never {
  throw new Problem(404, [
    where,
    "an image that the server knows",
    "another, or one it has forgotten",
    "send its bytes",
  ]);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function named(id: string | number | null | undefined): { id?: string | number } {
  return id === undefined || id === null ? {} : { id };
}
