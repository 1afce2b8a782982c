// Label Studio's ML backend, its protocol: https://labelstud.io/guide/ml_create
import type { Sam2 } from "../../engine/sam2.ts";
import { PromptError } from "../../errors.ts";
import { modelTitle } from "../../model/config.ts";
import type { Desk } from "../desk.ts";
import type { Images } from "../images.ts";
import type { Limits } from "../limits.ts";
import { parse, predictRequest, type Region } from "../schemas.ts";
import { asFile } from "../video_file.node.ts";
import { predictBoxes } from "./boxes.ts";
import { type LabelStudioOptions, locate } from "./files.ts";
import { fieldOf, type Labelling, parseLabelling } from "./labelling.ts";
import { predictMasks } from "./masks.ts";

/** A task's answer. */
export interface TaskPrediction {
  result: Region[];
  /** the mean of what the model expects of its masks, 0…1 */
  score: number;
  model_version: string;
}

interface Task {
  id?: number | string | null;
  data: Record<string, unknown>;
}

/** Answers what Label Studio asks of a model. */
export class LabelStudio {
  readonly #images: Images;
  readonly #background: Desk<{ sam2: Sam2; dispose(): Promise<void> }>;
  readonly #limits: Limits;
  readonly #options: LabelStudioOptions | undefined;

  constructor(
    images: Images,
    background: Desk<{ sam2: Sam2; dispose(): Promise<void> }>,
    limits: Limits,
    options: LabelStudioOptions | undefined,
  ) {
    this.#images = images;
    this.#background = background;
    this.#limits = limits;
    this.#options = options;
  }

  /** POST /setup: what the model is called. */
  async setup(): Promise<{ model_version: string }> {
    return { model_version: modelTitle((await this.#images.desk.tool()).sam2.config) };
  }

  /**
   * POST /predict: masks for what is drawn on an image, boxes on the frames of a video. Tasks on which nothing is drawn get
   * an empty answer each.
   *
   * @throws Problem, PromptError, ImageError, UsageError; the signal's reason if aborted
   */
  async predict(body: unknown, signal: AbortSignal): Promise<{ results: TaskPrediction[] }> {
    const { tasks, label_config: xml, params } = parse(predictRequest, body, "predict");
    const { model_version } = await this.setup();
    const regions = params?.context?.result ?? [];
    if (regions.length === 0) return { results: tasks.map(() => ({ result: [], score: 0, model_version })) };
    if (tasks.length !== 1) throw new PromptError("tasks", "the task that is drawn on", `${tasks.length}`, "send one");
    const labelling = parseLabelling(xml ?? "");
    const result: Region[] = [];
    for (const toName of new Set(regions.map(({ to_name }) => to_name ?? labelling.labelled[0]?.name ?? ""))) {
      const own = regions.filter(({ to_name }) => (to_name ?? toName) === toName);
      result.push(...(await this.#answer(own, tasks[0], labelling, toName, signal)));
    }
    const score = result.reduce((sum, region) => sum + (region.score as number), 0) / Math.max(1, result.length);
    return { results: [{ result, score, model_version }] };
  }

  async #answer(
    regions: readonly Region[],
    task: Task,
    labelling: Labelling,
    toName: string,
    signal: AbortSignal,
  ): Promise<Region[]> {
    const isVideo = regions.some(({ type }) => /^video/i.test(type));
    const field = fieldOf(labelling, toName, isVideo ? "Video" : "Image");
    const where = `tasks[0].data.${field}`;
    const address = locate(task.data[field], task, this.#options, where);
    if (!isVideo) return predictMasks(this.#images, labelling, regions, { address, toName, where }, signal);
    const bytes = await this.#images.bytesOf(address, where, signal);
    return this.#background.run(
      ({ sam2 }) => asFile(bytes, where, (path) => predictBoxes(sam2, this.#limits, regions, path, signal)),
      { limit: this.#limits.waiting, signal },
    );
  }
}
