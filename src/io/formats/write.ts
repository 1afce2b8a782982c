import { Sam2Error } from "../../errors.ts";
import { type AnnotatedImage, labelsOf, stemOfFile } from "./annotations.ts";
import { type CocoOptions, writeCoco } from "./coco.ts";
import { writeLabelme } from "./labelme.ts";
import { writeSa1b } from "./sa1b.ts";
import { writeYolo, writeYoloClasses } from "./yolo.ts";

/** The formats that masks are written in, as `--format` names them. */
export const ANNOTATION_FORMATS = ["coco", "yolo", "labelme", "sa1b"] as const;

/** One of {@link ANNOTATION_FORMATS}. */
export type AnnotationFormat = (typeof ANNOTATION_FORMATS)[number];

/**
 * The files of a format, name → text: `annotations.coco.json`; `<stem>.txt` for each picture and `classes.txt`;
 * `<stem>.json`; `<stem>.sa1b.json`.
 *
 * @throws Sam2Error if two pictures would have the same file
 */
export function writeAnnotations(
  format: AnnotationFormat,
  images: readonly AnnotatedImage[],
  options?: CocoOptions,
): Map<string, string> {
  if (format === "coco") return new Map([["annotations.coco.json", writeCoco(images, options)]]);
  if (format === "labelme") return eachImage(images, ".json", writeLabelme);
  if (format === "sa1b") return eachImage(images, ".sa1b.json", writeSa1b);
  const classes = labelsOf(images);
  const files = eachImage(images, ".txt", (image) => writeYolo(image, classes));
  if (files.has("classes.txt")) throw taken("classes.txt", "a picture named classes");
  return files.set("classes.txt", writeYoloClasses(classes));
}

function eachImage(images: readonly AnnotatedImage[], suffix: string, write: (image: AnnotatedImage) => string) {
  const files = new Map<string, string>();
  for (const image of images) {
    const name = `${stemOfFile(image.file)}${suffix}`;
    if (files.has(name)) throw taken(name, "two of this name");
    files.set(name, write(image));
  }
  return files;
}

function taken(name: string, got: string): Sam2Error {
  return new Sam2Error(name, "a name of its own for each picture's annotations", got, "rename the picture");
}
