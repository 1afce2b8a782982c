/** A project: one ZIP of the document and of what was open, byte for byte. */
import { rleArea, type Rle } from "sam2-ts";
import {
  type Appearance,
  COLOURS,
  type Document,
  EMPTY,
  type Found,
  type Prompt,
  type Source,
} from "../state/document.ts";
import { Archive } from "./archive.ts";
import type { Taken } from "./save.ts";
import { safeName, stemOf } from "./names.ts";
import { unpack } from "./unpack.ts";

const FORMAT = "sam2-studio";
const VERSION = 1;
const ENTRY = "project.json";

/** What the file holds under `project.json`. */
interface Project {
  format: typeof FORMAT;
  version: typeof VERSION;
  /** of the document */
  source: Source;
  objects: Document["objects"];
  nextId: number;
  selected?: number;
  frame: number;
  /** what was open, in order: where it lies in the ZIP, and how it was named */
  files: readonly { path: string; name: string }[];
}

export async function writeProject(doc: Document, opened: readonly Blob[]): Promise<Taken> {
  const { objects, nextId, selected, frame } = doc;
  const source = doc.source!;
  const files = opened.map((blob, i) => {
    const name = blob instanceof File && blob.name ? blob.name : source.name;
    const prefix = opened.length > 1 ? `${i}-` : "";
    return { path: `media/${prefix}${safeName(name) || "picture"}`, name };
  });
  const project: Project = { format: FORMAT, version: VERSION, source, objects, nextId, selected, frame, files };
  const zip = new Archive();
  zip.text(ENTRY, JSON.stringify(project));
  for (const [i, { path }] of files.entries()) await zip.blob(path, opened[i]);
  return { blob: zip.end(), name: `${stemOf(source.name)}.sam2.zip` };
}

/** @throws Error in one sentence for a visitor, if it is no project, a damaged one or one of another version */
export async function readProject(file: Blob, name: string): Promise<{ doc: Document; files: File[] }> {
  const entries = await unpack(file).catch((error: Error) => {
    throw new Error(`${name} cannot be opened: ${error.message}.`);
  });
  const entry = entries.get(ENTRY);
  if (!entry) throw new Error(`${name} is no project of this page: there is no ${ENTRY} in it.`);
  const text = await entry.text();
  let project: Partial<Project>;
  try {
    project = JSON.parse(text);
  } catch {
    throw new Error(`${name} is damaged: its ${ENTRY} is no JSON.`);
  }
  if (project?.format !== FORMAT) throw new Error(`${name} is no project of this page.`);
  if (project.version !== VERSION) {
    throw new Error(
      `${name} is a project of version ${project.version}, this page opens version ${VERSION}: reload it to have the newest.`,
    );
  }
  const damage = damageOf(project);
  if (damage) throw new Error(`${name} is damaged: ${damage}.`);
  const { source, objects, nextId, selected, frame, files } = project as Project;
  const blobs = files.map(({ path, name: inside }) => {
    const blob = entries.get(path);
    if (!blob) throw new Error(`${name} is damaged: ${inside} is missing in it.`);
    return new File([blob], inside);
  });
  const doc: Document = { ...EMPTY, source: { ...source, id: crypto.randomUUID() }, objects, nextId, selected, frame };
  return { doc, files: blobs };
}

/** What is wrong in it; undefined if nothing is. */
function damageOf({ source, objects, nextId, selected, frame, files }: Partial<Project>): string | undefined {
  const isSource =
    source &&
    (source.kind === "photo" || source.kind === "video") &&
    typeof source.name === "string" &&
    [source.width, source.height, source.frames].every((n) => isCount(n) && n > 0);
  if (!isSource) return "it does not say what was open";
  if (!Array.isArray(files) || !files.every((one) => typeof one?.path === "string" && typeof one.name === "string")) {
    return "its list of files is broken";
  }
  if (!source.isDrawn && files.length === 0) return "what was open is not in it";
  if (!isFrame(frame, source)) return "the frame it shows does not exist";
  if (!Array.isArray(objects)) return "it has no list of objects";
  for (const [i, object] of objects.entries()) {
    const isObject =
      isCount(object?.id) &&
      typeof object.name === "string" &&
      isCount(object.colour) &&
      object.colour < COLOURS.length &&
      typeof object.visible === "boolean" &&
      typeof object.locked === "boolean" &&
      typeof object.on === "object" &&
      object.on !== null;
    if (!isObject) return `its object ${i + 1} is broken`;
    for (const [frame, seen] of Object.entries(object.on)) {
      if (!isFrame(Number(frame), source) || !isAppearance(seen as Appearance, source)) {
        return `${object.name} is broken on frame ${Number(frame) + 1}`;
      }
    }
  }
  const ids = objects.map(({ id }) => id);
  if (new Set(ids).size !== ids.length || !isCount(nextId) || ids.some((id) => id >= nextId))
    return "objects are mixed up";
  if (selected !== undefined && !ids.includes(selected)) return "the object that was selected is missing";
  return undefined;
}

function isAppearance(seen: Appearance | null, source: Source): boolean {
  if (!seen || typeof seen !== "object") return false;
  const { prompt, found, tracked, added, erased } = seen;
  const isMissingOr = <T>(value: T | undefined, fits: (value: T) => boolean) => value === undefined || fits(value);
  const isMask = (rle: Rle) => isRle(rle, source);
  const isFound = ({ by, of, masks, scores, choice }: Found) =>
    ["prompt", "everything", "track", "file"].includes(by) &&
    typeof of === "string" &&
    Array.isArray(masks) &&
    masks.every(isMask) &&
    Array.isArray(scores) &&
    scores.length === masks.length &&
    scores.every(Number.isFinite) &&
    isCount(choice) &&
    choice < masks.length;
  const isPrompt = ({ clicks, box }: Prompt) =>
    Array.isArray(clicks) &&
    clicks.every(({ x, y, label }) => Number.isFinite(x) && Number.isFinite(y) && (label === 0 || label === 1)) &&
    isMissingOr(box, (corners) => Array.isArray(corners) && corners.length === 4 && corners.every(Number.isFinite));
  return (
    isMissingOr(prompt, isPrompt) &&
    isMissingOr(found, isFound) &&
    isMissingOr(tracked, isFound) &&
    isMissingOr(added, isMask) &&
    isMissingOr(erased, isMask)
  );
}

function isRle(rle: Rle, { width, height }: Source): boolean {
  try {
    rleArea(rle);
    return typeof rle.counts === "string" && rle.size[0] === height && rle.size[1] === width;
  } catch {
    return false;
  }
}

function isFrame(frame: number | undefined, { frames }: Source): boolean {
  return isCount(frame) && frame < frames;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
