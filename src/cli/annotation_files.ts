import { relative, resolve, sep } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import type { AnnotatedImage } from "../io/formats/annotations.ts";
import type { CocoOptions } from "../io/formats/coco.ts";
import { ANNOTATION_FORMATS, type AnnotationFormat, writeAnnotations } from "../io/formats/write.ts";
import { isAddress } from "../io/image_input.ts";
import { STDIN } from "./files.ts";

export function addFormatOption(command: Command): Command {
  const names = ANNOTATION_FORMATS.join(", ");
  return command.option("--format <name>", `also annotations for other tools: ${names}; may be repeated`, format);
}

/** Collects repeated options; the same twice is once. */
function format(text: string, formats: AnnotationFormat[] = []): AnnotationFormat[] {
  const found = ANNOTATION_FORMATS.find((name) => name === text);
  if (!found) throw new UsageError("--format", ANNOTATION_FORMATS.join(", "), `"${text}"`, "name one of these");
  return [...new Set([...formats, found])];
}

/** Of every format its files, one after the other. */
export function* annotationFiles(
  formats: readonly AnnotationFormat[],
  images: readonly AnnotatedImage[],
  options?: CocoOptions,
): Generator<[name: string, bytes: Uint8Array]> {
  const encoder = new TextEncoder();
  for (const format of formats) {
    for (const [name, text] of writeAnnotations(format, images, options)) yield [name, encoder.encode(text)];
  }
}

/** The path of a picture as seen from the folder of its annotations; undefined of an address or standard input. */
export function seenFrom(folder: string, picture: string): string | undefined {
  if (picture === STDIN || isAddress(picture)) return undefined;
  return relative(resolve(folder), resolve(picture)).split(sep).join("/");
}
