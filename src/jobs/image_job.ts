import { AutomaticMaskGenerator } from "../engine/automatic_mask_generator.ts";
import { ImagePredictor } from "../engine/image_predictor.ts";
import type { Sam2 } from "../engine/sam2.ts";
import type { RgbImage } from "../io/pixels.ts";
import type { Progress } from "../predict/progress.ts";
import { entriesOf, type ReadFile } from "./entries.ts";
import { type ImageResult, modelOf, type PromptResult, promptResult, recordResult } from "./image_result.ts";
import type { EverythingRequest, ImageRequest } from "./job.ts";
import { type JsonPrompt, type PromptSet, promptSets, promptsFor } from "./prompts.ts";

/** What goes with a job while it runs. */
export interface JobContext {
  /** ends it within a layer: it rejects with the reason of the signal */
  signal?: AbortSignal;
  /** told how far it is */
  progress?: (progress: Progress) => void;
  /** told what was guessed */
  notice?: (text: string) => void;
}

/** What goes with a job about an image. */
export interface ImageContext extends JobContext {
  /** what the result calls the image */
  path: string;
  /** what to call the job in an error, e.g. `jobs.jsonl:3` */
  where: string;
  /** of masks that prompts name; whoever takes jobs from strangers refuses */
  read: ReadFile;
}

/** A model with a predictor, and the generators that were asked for: those of other options are others. */
export class ImageModel {
  /** the model, whose owner disposes of it */
  readonly sam2: Sam2;
  /** of one image at a time */
  readonly predictor: ImagePredictor;
  readonly #generators = new Map<string, AutomaticMaskGenerator>();

  /** Of a model that was loaded. */
  constructor(sam2: Sam2) {
    this.sam2 = sam2;
    this.predictor = new ImagePredictor(sam2);
  }

  /** The generator of these options, made when they are first asked for. */
  generator(options: EverythingRequest): AutomaticMaskGenerator {
    const key = JSON.stringify(options);
    const generator =
      this.#generators.get(key) ?? new AutomaticMaskGenerator(this.sam2, { ...options, outputMode: "coco_rle" });
    this.#generators.set(key, generator);
    return generator;
  }
}

/**
 * What `--json` prints of an image, without its times.
 *
 * @throws PromptError naming the prompt; the signal's reason if aborted
 */
export async function runImageJob(
  model: ImageModel,
  request: ImageRequest,
  image: RgbImage,
  { path, where, read, signal, progress }: ImageContext,
): Promise<ImageResult> {
  const { width, height } = image;
  const { config } = model.sam2;
  const head = { image: { path, width, height }, model: modelOf(config) };
  const followed = { signal, onProgress: progress };
  if ("everything" in request) {
    const records = await model.generator(request.everything).generate(image, followed);
    return { ...head, masks: records.map(recordResult) };
  }
  const sets = await setsOf(request.prompts, where, read);
  promptsFor(sets, { ...image, imageSize: config.imageSize, normalizeCoords: true }); // before the image is encoded
  await model.predictor.setImage(image, followed);
  return { ...head, prompts: await answerPrompts(model.predictor, sets, { ...image, ...config }, signal) };
}

/** The prompts of a job that was checked, with what stands in their files. @throws PromptError naming the prompt */
export function setsOf(prompts: readonly JsonPrompt[], where: string, read: ReadFile): Promise<PromptSet[]> {
  return promptSets(entriesOf(prompts, where), read);
}

/**
 * Masks for prompts on the image that the predictor has encoded.
 *
 * @throws PromptError naming the prompt; the signal's reason if aborted
 */
export async function answerPrompts(
  predictor: Pick<ImagePredictor, "predict">,
  sets: readonly PromptSet[],
  { width, height, imageSize }: { width: number; height: number; imageSize: number },
  signal?: AbortSignal,
): Promise<PromptResult[]> {
  const results: PromptResult[] = [];
  for (const [p, prompt] of promptsFor(sets, { width, height, imageSize, normalizeCoords: true }).entries()) {
    const { multimask } = sets[p];
    results.push(promptResult(await predictor.predict(prompt, { multimaskOutput: multimask, signal }), multimask));
  }
  return results;
}
