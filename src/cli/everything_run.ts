import type { AnnotatedImage } from "../io/formats/annotations.ts";
import { type AnnotationFormat, annotationNames } from "../io/formats/write.ts";
import { decodeImage } from "../io/image.ts";
import { modelOf, recordResult } from "../jobs/image_result.ts";
import { AutomaticMaskGenerator } from "../predict/automatic_masks.ts";
import type { Sam2 } from "../predict/sam2.ts";
import { notify } from "../platform/notices.ts";
import { annotationFiles, seenFrom } from "./annotation_files.ts";
import { type MaskOptions, maskOptions } from "./everything_options.ts";
import { maskName, PICTURES, writePictures } from "./everything_pictures.ts";
import { GenerateProgress } from "./everything_progress.ts";
import { type EverythingResult, objectsOf, summary } from "./everything_result.ts";
import { readPicture } from "./files.ts";
import { type Io, painter, type Status } from "./io.ts";
import type { ModelOptions } from "./options.ts";
import { ResultFolder } from "./result_folder.ts";
import { stopwatch, tenths } from "./stopwatch.ts";

export interface EverythingOptions extends ModelOptions, MaskOptions {
  model?: string;
  out?: string;
  masks?: boolean;
  format?: AnnotationFormat[];
}

/** A picture and where its results go. */
export interface Picture {
  path: string;
  /** of its folder among several, and in annotations */
  name: string;
  folder?: string;
  /** where its annotations stand: there, or above the folders of several */
  root?: string;
  /** formats of annotations that it has for itself; those of several pictures are one set */
  own: readonly AnnotationFormat[];
}

/** What is done with every picture: one model, one way. */
export class EverythingRun {
  readonly #sam2: Sam2;
  readonly #generator: AutomaticMaskGenerator;
  readonly #options: EverythingOptions;
  readonly #io: Io;
  readonly #status: Status;

  constructor(sam2: Sam2, options: EverythingOptions, io: Io, status: Status) {
    this.#sam2 = sam2;
    this.#generator = new AutomaticMaskGenerator(sam2, { ...maskOptions(options), outputMode: "coco_rle" });
    this.#options = options;
    this.#io = io;
    this.#status = status;
  }

  /** @param load how long the model took, ms */
  async segment({ path, name, folder, root, own }: Picture, title: string, load: number): Promise<AnnotatedImage> {
    const { signal } = this.#io;
    const { json, quiet, masks: each = false } = this.#options;
    const watch = stopwatch();
    const progress = new GenerateProgress(this.#status, title);
    if (folder !== undefined) await ResultFolder.open(folder, [...PICTURES, ...annotationNames(own, [name])]);
    this.#status.show(`reading ${path} …`);
    const bytes = await readPicture(path, signal);
    const image = await decodeImage(bytes, { where: path, onNotice: (text) => notify(`${path}: ${text}`) });
    const { width, height } = image;
    const decode = watch.lap();

    progress.begin();
    const onProgress = progress.follow;
    const records = await this.#generator.generate(image, { signal, onProgress });
    const stages = progress.end();
    const masks = records.map(recordResult);
    const annotated = { file: name, path: seenFrom(root ?? ".", path), width, height, objects: objectsOf(masks) };
    const names = [...PICTURES, ...(each ? masks.map((_, k) => maskName(k)) : []), ...annotationNames(own, [name])];
    const files = folder === undefined ? undefined : await ResultFolder.open(folder, names);
    try {
      if (files) {
        this.#status.show(`${title}: drawing …`);
        await writePictures(files, image, masks, each, signal);
        for (const [file, content] of annotationFiles(own, [annotated])) await files.write(file, content);
      }
      signal.throwIfAborted();
      const ms = { load, decode, ...stages, total: tenths(load + watch.total()) };
      const listed = files && { files: files.files };
      const model = modelOf(this.#sam2.config);
      const result: EverythingResult = { image: { path, width, height }, model, masks, ...listed, ms };
      const text = `${JSON.stringify(result)}\n`;
      await files?.finish(new TextEncoder().encode(text));
      this.#status.clear();
      if (json) this.#io.stdout.write(text);
      else if (!quiet) this.#io.stdout.write(summary(result, folder!, painter(this.#io.stdout, this.#io.env)));
      return annotated;
    } catch (error) {
      await files?.undo();
      throw error;
    }
  }
}
