/** Masks that come into the page from a COCO file. */
import { encodeRle, type Rle, readCocoSegmentation } from "sam2-ts";
import type { Appearance, Source, StudioObject } from "../state/document.ts";

/** What makes an object of the document. */
export type Brought = Pick<StudioObject, "name" | "on">;

interface Image {
  id: number;
  file_name?: string;
  width?: number;
  height?: number;
  frame_index?: number;
}

interface Annotation {
  image_id: number;
  category_id?: number;
  segmentation?: unknown;
  score?: number;
  track_id?: number;
  attributes?: { track_id?: number };
}

/**
 * An object an annotation; of a video, one for all annotations of a track. Pictures are found by their names, or where no
 * name fits, by their size; frames of a video by their numbers or names.
 *
 * @param names of the video's frames, if they were opened as files
 * @param frame that is seen: where a picture without a number belongs
 * @returns the objects, and how many annotations have no mask
 * @throws Error in one sentence for a visitor
 */
export function readCoco(
  text: string,
  file: string,
  source: Source,
  names: readonly string[] | undefined,
  frame: number,
): { objects: Brought[]; without: number } {
  const { images, annotations, categories } = parsed(text, file);
  const frames = framesOf(images, file, source, names, frame);
  const labels = new Map(categories.map(({ id, name }) => [id, `${name}`]));
  const objects = new Map<string, { name: string; on: Record<number, Appearance> }>();
  let without = 0;
  for (const [i, annotation] of annotations.entries()) {
    const on = frames.get(annotation.image_id);
    if (on === undefined) continue;
    const rle = rleOf(annotation, source, `${file}: annotation ${i + 1}`);
    if (!rle) {
      without++;
      continue;
    }
    const track = annotation.track_id ?? annotation.attributes?.track_id;
    const name = labels.get(annotation.category_id!) ?? `Object ${objects.size + 1}`;
    const key = source.kind === "video" && track !== undefined ? `${track} ${annotation.category_id}` : `#${i}`;
    const object = objects.get(key) ?? { name, on: {} };
    const score = Number.isFinite(annotation.score) ? annotation.score! : 1;
    object.on[on] = { found: { by: "file", of: "", masks: [rle], scores: [score], choice: 0 } };
    objects.set(key, object);
  }
  if (objects.size === 0) throw new Error(`${file} has no mask for ${source.name}.`);
  return { objects: [...objects.values()], without };
}

function parsed(text: string, file: string) {
  let content: { images?: Image[]; annotations?: Annotation[]; categories?: { id: number; name: string }[] };
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error(`${file} is damaged: it is no whole JSON file.`);
  }
  const { images, annotations, categories = [] } = content ?? {};
  const isList = (list: unknown) => Array.isArray(list) && list.every((one) => typeof one === "object" && one !== null);
  if (!isList(images) || !isList(annotations) || !isList(categories)) {
    throw new Error(`${file} is no COCO file: it has no lists of images and annotations.`);
  }
  return { images: images!, annotations: annotations!, categories };
}

/** Number of the frame by id of the image; images that do not belong here are left out. */
function framesOf(
  images: readonly Image[],
  file: string,
  source: Source,
  names: readonly string[] | undefined,
  frame: number,
): Map<number, number> {
  const { kind, name, width, height, frames } = source;
  const fits = (image: Image) => image.width === width && image.height === height;
  if (kind === "video") {
    const found = images.filter(fits).flatMap((image): [number, number][] => {
      const at = image.frame_index ?? names?.indexOf(baseOf(image)) ?? -1;
      return Number.isInteger(at) && at >= 0 && at < frames ? [[image.id, at]] : [];
    });
    if (found.length > 0) return new Map(found);
  }
  const named = images.filter((image) => baseOf(image) === name);
  const same = (named.length > 0 ? named : images).filter(fits);
  if (same.length === 1) return new Map([[same[0].id, kind === "video" ? frame : 0]]);
  const size = `${width} by ${height} pixels`;
  if (named.length > 0 && same.length === 0) {
    const [{ width, height }] = named;
    throw new Error(`${file} has ${name} with ${width} by ${height} pixels, here it has ${size}.`);
  }
  if (same.length === 0) throw new Error(`${file} has no picture that is named ${name} or has ${size}.`);
  throw new Error(
    `${file} has ${same.length} pictures of ${size}, and no single one is named ${name}: rename the picture.`,
  );
}

function baseOf({ file_name: path = "" }: Image): string {
  return `${path}`.split(/[/\\]/).at(-1)!;
}

function rleOf({ segmentation }: Annotation, { width, height }: Source, where: string): Rle | undefined {
  if (segmentation === undefined || segmentation === null) return undefined;
  if (Array.isArray(segmentation) && segmentation.length === 0) return undefined;
  const mask = readCocoSegmentation(segmentation, width, height, where);
  return mask.includes(1) ? encodeRle(mask, width, height) : undefined;
}
