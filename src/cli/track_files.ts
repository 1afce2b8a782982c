import { appendFileSync } from "node:fs";
import { mkdir, readFile, rm, rmdir, stat, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Sam2Error, StateError } from "../errors.ts";
import type { AnnotatedImage } from "../io/formats/annotations.ts";
import { type AnnotationFormat, annotationNames } from "../io/formats/write.ts";
import { rawMaskPng, rawPalettePng } from "../io/masks.ts";
import { compressedAside, rawGrey16Png } from "../io/png.ts";
import type { FrameLine } from "../jobs/frame_line.ts";
import { systemReason } from "../platform/node_files.ts";
import type { FrameResult } from "../predict/video_predictor.ts";
import { stemOf } from "../video/folder.ts";
import { annotationFiles, seenFrom } from "./annotation_files.ts";
import { replaceFile } from "./files.ts";
import { namesIn } from "./result_folder.ts";

/** Lists the annotations of --format. */
const ANNOTATIONS = ".annotations.json";

/** The frames of a run, as annotations have them: in order, those of a video file as if they lay in the folder. */
export function annotatedFrames(
  lines: readonly FrameLine[],
  video: string,
  folder: string,
  { width, height }: { width: number; height: number },
): AnnotatedImage[] {
  const inOrder = lines.toSorted((a, b) => a.frame - b.frame);
  return inOrder.map(({ frame, file, objects }) => ({
    file: file ?? `${String(frame).padStart(5, "0")}.jpg`,
    path: file === undefined ? undefined : seenFrom(folder, join(video, file)),
    width,
    height,
    frame,
    objects: objects.map(({ id, name, rle }) => ({ id, label: name ?? `object_${id}`, rle })),
  }));
}

/** Ids that a palette picture can hold. */
const PALETTE_IDS = 255;

/** The folder that grows with every frame: masks/NAME.png, frames.jsonl, and preview.webp in the end. */
export class TrackFiles {
  readonly folder: string;
  readonly #perObject: boolean;
  readonly #log: string;

  constructor(folder: string, perObject: boolean) {
    this.folder = folder;
    this.#perObject = perObject;
    this.#log = join(folder, "frames.jsonl");
  }

  /** Begin anew: what an earlier run has left, as its frames.jsonl tells, is removed. */
  async begin(): Promise<void> {
    for (const { objects, ...line } of await this.lines()) {
      const masks = ["", ...objects.map(({ id }) => `${id}`)].map((id) => this.#maskPath(line, id));
      for (const mask of masks) await rm(mask, { force: true });
      for (const mask of masks.slice(1)) await rmdir(dirname(mask)).catch(() => {}); // unless something else is in it
    }
    for (const name of await this.#annotations()) await rm(join(this.folder, name), { force: true });
    await rm(join(this.folder, ANNOTATIONS), { force: true });
    await rm(join(this.folder, "preview.webp"), { force: true });
    await mkdir(join(this.folder, "masks"), { recursive: true }).catch((cause) => failToWrite(this.folder, cause));
    await writeFile(this.#log, "").catch((cause) => failToWrite(this.#log, cause));
  }

  /**
   * Go on after the first `bytes` of frames.jsonl: lines that were written after the state was saved will be written again.
   *
   * @throws StateError if there are not so many
   */
  async resume(bytes: number, state: string): Promise<void> {
    const size = (await stat(this.#log).catch(() => undefined))?.size ?? 0;
    if (size < bytes) {
      const todo = `remove ${state} to start again`;
      throw new StateError(this.#log, `the ${bytes} bytes that ${state} goes on from`, `${size}`, todo);
    }
    await truncate(this.#log, bytes);
  }

  /** Write what was found on a frame; how many bytes frames.jsonl has grown. `maxId`: the highest id of the run. */
  async write(
    line: FrameLine,
    { objects }: FrameResult,
    width: number,
    height: number,
    maxId: number,
  ): Promise<number> {
    const ids = maxId > PALETTE_IDS ? new Uint16Array(width * height) : new Uint8Array(width * height);
    for (const { id, mask } of objects) paint(ids, mask, id);
    const png = ids instanceof Uint16Array ? rawGrey16Png(ids, width, height) : rawPalettePng(ids, width, height);
    const pictures = new Map([[this.#maskPath(line), png]]);
    for (const { id, mask } of this.#perObject ? objects : []) {
      pictures.set(this.#maskPath(line, `${id}`), rawMaskPng(mask, width, height));
    }
    const files = await Promise.all([...pictures.values()].map(compressedAside));
    for (const [i, path] of [...pictures.keys()].entries()) replaceFile(path, files[i]);
    const text = `${JSON.stringify(line)}\n`;
    try {
      appendFileSync(this.#log, text);
    } catch (cause) {
      failToWrite(this.#log, cause);
    }
    return Buffer.byteLength(text);
  }

  writePreview(bytes: Uint8Array): void {
    replaceFile(join(this.folder, "preview.webp"), bytes);
  }

  /** Write annotations of these formats, of all frames, and a list by which the next run removes them. */
  async writeAnnotations(formats: readonly AnnotationFormat[], images: readonly AnnotatedImage[]): Promise<void> {
    const own = annotationNames(
      formats,
      images.map(({ file }) => file),
    );
    const files = [...new Set([...(await this.#annotations()), ...own])];
    if (files.length === 0) return;
    replaceFile(join(this.folder, ANNOTATIONS), new TextEncoder().encode(JSON.stringify({ files })));
    for (const [name, bytes] of annotationFiles(formats, images, { segmentation: "rle" })) {
      replaceFile(join(this.folder, name), bytes);
    }
  }

  async #annotations(): Promise<string[]> {
    return namesIn(join(this.folder, ANNOTATIONS));
  }

  /** What frames.jsonl holds; nothing if there is none. */
  async lines(): Promise<FrameLine[]> {
    const text = await readFile(this.#log, "utf8").catch(() => "");
    return text.split("\n").flatMap((line) => {
      try {
        return [JSON.parse(line) as FrameLine];
      } catch {
        return []; // cut off by a crash, or the end
      }
    });
  }

  #maskPath({ frame, file }: Omit<FrameLine, "objects">, object = ""): string {
    const name = file === undefined ? String(frame).padStart(5, "0") : stemOf(file);
    return join(this.folder, "masks", object, `${name}.png`);
  }
}

/** Give the pixels of a mask an id, over earlier ones. Where four pixels lie in a word, most words are passed over whole. */
function paint(ids: Uint8Array | Uint16Array, mask: Uint8Array, id: number): void {
  const inWords = mask.byteOffset % 4 === 0 ? mask.length >> 2 : 0;
  const words = new Uint32Array(mask.buffer, inWords > 0 ? mask.byteOffset : 0, inWords);
  for (let word = 0; word < inWords; word++) {
    if (words[word] === 0) continue;
    for (let i = 4 * word; i < 4 * word + 4; i++) if (mask[i]) ids[i] = id;
  }
  for (let i = 4 * inWords; i < mask.length; i++) if (mask[i]) ids[i] = id;
}

function failToWrite(path: string, cause: unknown): never {
  const todo = "choose another place, or free some space";
  throw new Sam2Error(path, "a file that can be written", systemReason(cause), todo, { cause });
}
