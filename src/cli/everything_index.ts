import { relative } from "node:path";
import type { AnnotatedImage } from "../io/formats/annotations.ts";
import { type AnnotationFormat, annotationNames } from "../io/formats/write.ts";
import type { ResultHead } from "../jobs/image_result.ts";
import { annotationFiles } from "./annotation_files.ts";
import type { Picture } from "./everything_run.ts";
import { ResultFolder } from "./result_folder.ts";

/** A line of the list: where a picture's results are, or why there are none. */
type Entry = { path: string; folder: string; masks: number } | { path: string; error: string };

/** What stands above the folders of several pictures: annotations of all of them, and result.json, a list of the folders. */
export class EverythingIndex {
  readonly #folder: string;
  readonly #formats: readonly AnnotationFormat[];
  readonly #images: AnnotatedImage[] = [];
  readonly #entries: Entry[] = [];

  private constructor(folder: string, formats: readonly AnnotationFormat[]) {
    this.#folder = folder;
    this.#formats = formats;
  }

  /** Nothing is written yet. @throws Sam2Error if two pictures would have the same file, or somebody else's is in the way */
  static async open(folder: string, pictures: readonly Picture[], formats: readonly AnnotationFormat[]) {
    const names = pictures.map(({ name }) => name);
    await ResultFolder.open(folder, annotationNames(formats, names));
    return new EverythingIndex(folder, formats);
  }

  add({ path, folder }: Picture, found: AnnotatedImage): void {
    this.#images.push(found);
    this.#entries.push({ path, folder: relative(this.#folder, folder!), masks: found.objects.length });
  }

  fail({ path }: Picture, error: Error): void {
    this.#entries.push({ path, error: error.message });
  }

  async write(model: ResultHead["model"]): Promise<void> {
    const names = this.#images.map(({ file }) => file);
    const folder = await ResultFolder.open(this.#folder, annotationNames(this.#formats, names));
    try {
      for (const [name, bytes] of annotationFiles(this.#formats, this.#images)) await folder.write(name, bytes);
      const list = { model, images: this.#entries, files: folder.files };
      await folder.finish(new TextEncoder().encode(`${JSON.stringify(list)}\n`));
    } catch (error) {
      await folder.undo();
      throw error;
    }
  }
}
