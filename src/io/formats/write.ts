import { Sam2Error, UsageError } from "../../errors.ts";
import { stemOf } from "../../video/folder.ts";
import { kindOf } from "../kind_of.ts";
import { expectOptions } from "../options.ts";
import { type AnnotatedImage, expectImages, labelsOf } from "./annotations.ts";
import { COCO_KINDS, type CocoOptions, writeCoco } from "./coco.ts";
import { writeLabelme } from "./labelme.ts";
import { writeSa1b } from "./sa1b.ts";
import { writeYolo, writeYoloClasses } from "./yolo.ts";

/** The formats that masks are written in, as `--format` names them. */
export const ANNOTATION_FORMATS = ["coco", "yolo", "labelme", "sa1b"] as const;

/** One of {@link ANNOTATION_FORMATS}. */
export type AnnotationFormat = (typeof ANNOTATION_FORMATS)[number];

const CLASSES = "classes.txt";

/** What stands behind the stem of a picture, in formats with a file for each. */
const SUFFIXES = { yolo: ".txt", labelme: ".json", sa1b: ".sa1b.json" } as const;

/**
 * Names of the files that {@link writeAnnotations} gives for these pictures: `annotations.coco.json`; `<stem>.txt` and
 * `classes.txt`; `<stem>.json`; `<stem>.sa1b.json`.
 *
 * @throws Sam2Error if two of them would be the same
 */
export function annotationNames(formats: readonly AnnotationFormat[], pictures: readonly string[]): string[] {
  const names = formats.flatMap((format) => {
    if (format === "coco") return ["annotations.coco.json"];
    const own = pictures.map((picture) => `${stemOf(picture)}${SUFFIXES[format]}`);
    return format === "yolo" ? [...own, CLASSES] : own;
  });
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice === undefined) return names;
  throw new Sam2Error(twice, "a file for each picture's annotations", "one for two", "rename one of the pictures");
}

/**
 * The files of a format, one after the other: name and text; nothing is kept of a file when the next is asked for.
 *
 * @throws Sam2Error for another format, or what is no picture with its objects; if two pictures would have the same file
 */
export function writeAnnotations(
  format: AnnotationFormat,
  images: readonly AnnotatedImage[],
  options: CocoOptions = {},
): IterableIterator<[name: string, text: string]> {
  if (!ANNOTATION_FORMATS.includes(format)) {
    const todo = "name one of these";
    throw new UsageError("writeAnnotations format", ANNOTATION_FORMATS.join(", "), kindOf(format), todo);
  }
  expectImages(images, "writeAnnotations");
  expectOptions(options, COCO_KINDS, "writeAnnotations");
  const pictures = images.map(({ file }) => file);
  return texts(format, images, annotationNames([format], pictures), options);
}

function* texts(
  format: AnnotationFormat,
  images: readonly AnnotatedImage[],
  names: readonly string[],
  options: CocoOptions,
): Generator<[name: string, text: string]> {
  if (format === "coco") return yield [names[0], writeCoco(images, options)];
  const classes = labelsOf(images);
  const write = { yolo: (image: AnnotatedImage) => writeYolo(image, classes), labelme: writeLabelme, sa1b: writeSa1b };
  for (const [i, image] of images.entries()) yield [names[i], write[format](image)];
  if (format === "yolo") yield [CLASSES, writeYoloClasses(classes)];
}
