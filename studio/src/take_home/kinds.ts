/** All that can be taken home, by the names that visitors know; the dialog is made from this table. */
import type { Document } from "../state/document.ts";
import { shownObjects } from "./shown.ts";

export type Section = "Pictures" | "Video" | "For training" | "To go on later";

export interface Kind {
  label: string;
  /** one line: what it is good for */
  about: string;
  /** as visitors know it */
  format: string;
  section: Section;
  /** "frame": what is seen; "video": all of a video; "all": the photo, or the whole video */
  of: "frame" | "video" | "all";
}

export const KINDS = {
  cutouts: kind("Cut-outs", "each object without its background", "PNG", "Pictures", "frame"),
  masks: kind("Masks", "white where the object is, black elsewhere", "PNG", "Pictures", "frame"),
  svg: kind("Outlines", "a shape an object, for drawing programs", "SVG", "Pictures", "frame"),
  mp4: kind("Video with masks", "to show and to send", "MP4", "Video", "video"),
  webm: kind("Video with masks", "for web pages", "WebM", "Video", "video"),
  transparent: kind("Cut-out video", "the objects on nothing, to lay over others", "WebM", "Video", "video"),
  davis: kind("Masks, a picture a frame", "each object in its colour, as DAVIS has them", "ZIP", "Video", "video"),
  folders: kind("Masks, a folder an object", "white where the object is, black elsewhere", "ZIP", "Video", "video"),
  jsonl: kind("Masks as text", "a line a frame, as sam2 track writes them", "JSONL", "Video", "video"),
  coco: kind("Masks for training (COCO)", "one file for all", "JSON", "For training", "all"),
  yolo: kind("Outlines for training (YOLO)", "text beside each picture", "ZIP", "For training", "all"),
  labelme: kind("Outlines to edit (LabelMe)", "opens beside the picture", "JSON", "For training", "all"),
  project: kind("Project", "opens here again with everything in it", "ZIP", "To go on later", "all"),
} as const;

export type KindName = keyof typeof KINDS;

function kind(label: string, about: string, format: string, section: Section, of: Kind["of"]): Kind {
  return { label, about, format, section, of };
}

/** What a document has to take home, in the table's order. */
export function kindsOf({ source }: Document): KindName[] {
  const names = Object.keys(KINDS) as KindName[];
  return names.filter((name) => KINDS[name].of !== "video" || source?.kind === "video");
}

/** Why there is nothing of that kind to take yet; undefined if there is. */
export function lackOf(name: KindName, doc: Document): string | undefined {
  if (!doc.source) return "Open a picture first.";
  if (name === "project") return undefined;
  const isFrame = KINDS[name].of === "frame";
  if (shownObjects(doc, isFrame ? [doc.frame] : undefined).length > 0) return undefined;
  if (doc.objects.some(({ visible }) => !visible)) return "What is hidden stays here: show an object first.";
  return isFrame && doc.objects.length > 0 ? "No object is known on this frame." : "Click an object first.";
}
