import { PromptError } from "../errors.ts";
import type { Sam2 } from "../engine/sam2.ts";
import { VideoPredictor } from "../engine/video_predictor.ts";
import { decodeImage, type RgbImage } from "../io/image.ts";
import { ImageModel, type JobContext, runImageJob } from "./image_job.ts";
import type { ImageResult } from "./image_result.ts";
import { imageBytes, readerOf, type Task } from "./task.ts";
import { runVideoJob, type SavedState } from "./video_job.ts";

/** What a job gives: an object, or of a video lines of JSON. */
export type JobResult = ImageResult | string;

/** Does the work of tasks with one model, wherever they come from: a pool, a queue, a server. */
export class Processor {
  readonly #model: ImageModel;
  readonly #saved: (key: string) => SavedState;
  #predictor: VideoPredictor | undefined;

  /** @param saved where videos keep how far they are */
  constructor(sam2: Sam2, saved: (key: string) => SavedState) {
    this.#model = new ImageModel(sam2);
    this.#saved = saved;
  }

  /** The pixels of a task's image; nothing of a video. May run while another task is computed. @throws ImageError */
  async decode(task: Task, notice: (text: string) => void = () => {}): Promise<RgbImage | undefined> {
    const { job } = task;
    if ("video" in job) return undefined;
    return decodeImage(imageBytes(task), { where: job.image, onNotice: (text) => notice(`${job.image}: ${text}`) });
  }

  /** One task at a time. @throws Sam2Error; the signal's reason if aborted */
  async run(task: Task, image: RgbImage | undefined, context: JobContext): Promise<JobResult> {
    const { job, where, key, files } = task;
    const read = readerOf(task);
    if ("video" in job) {
      this.#predictor ??= new VideoPredictor(this.#model.sam2);
      const saved = this.#saved(key);
      return runVideoJob(this.#predictor, job, { ...context, where, read, saved, path: files[0].path });
    }
    if (!image) throw new PromptError(where, "an image", "none", "decode it first");
    return runImageJob(this.#model, job, image, { ...context, where, read, path: job.image });
  }
}

/** The text of a result's file. */
export function textOf(result: JobResult): string {
  return typeof result === "string" ? result : `${JSON.stringify(result)}\n`;
}
