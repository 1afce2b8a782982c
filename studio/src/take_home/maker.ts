/** What makes a file to take home, frame by frame, so that progress is seen and it can be stopped. */
import { decodeRle, encodeMaskPng, encodePalettePng, rleArea, rleBbox, writeAnnotations } from "sam2-ts";
import type { AnnotatedImage, AnnotationFormat } from "sam2-ts";
import { type Document, type StudioObject } from "../state/document.ts";
import { Archive } from "./archive.ts";
import type { KindName } from "./kinds.ts";
import { frameName, numbered, safeName, stemOf } from "./names.ts";
import { writeProject } from "./project.ts";
import { knownFrames, knownOn, seenOn, shownObjects } from "./shown.ts";
import type { Taken } from "./save.ts";
import { svgOf } from "./svg.ts";

export interface Order {
  kind: KindName;
  doc: Document;
  /** of a video's frames that were opened as files */
  names?: readonly string[];
  /** what was opened: for a project */
  files: readonly Blob[];
}

/** A frame as players show it. @units s */
export interface Timing {
  frame: number;
  time: number;
  duration: number;
}

export interface Maker {
  /** that it is made of, in order */
  frames: readonly number[];
  needsPicture: boolean;
  /** The next of them; the picture is closed by whoever adds it. */
  add(timing: Timing, picture?: ImageBitmap): Promise<void>;
  end(): Promise<Taken>;
}

/** Ids that a palette can hold. */
const MOST_IDS = 255;

/** All but those that need a canvas. */
export const MAKERS: { [K in KindName]?: (order: Order) => Maker } = {
  masks({ doc }) {
    const { width, height } = doc.source!;
    return pictures(doc, "mask", async ({ rle }) => encodeMaskPng(decodeRle(rle), width, height));
  },
  svg: ({ doc }) =>
    ofFrame(doc, async () => file(`${stemOf(nameOf(doc))}.svg`, svgOf(doc, doc.frame), "image/svg+xml")),
  davis: (order) => {
    const { width, height } = order.doc.source!;
    const most = Math.max(...shownObjects(order.doc).map(({ id }) => id));
    if (most > MOST_IDS) {
      throw new Error(
        `The colours of DAVIS end at object ${MOST_IDS}, and there is one ${most}: take a folder an object.`,
      );
    }
    return zipped(order, "masks", (zip, frame, stem) => {
      const ids = new Uint8Array(width * height);
      for (const { object, rle } of knownOn(order.doc, frame).reverse()) {
        decodeRle(rle).forEach((value, i) => {
          if (value) ids[i] = object.id;
        });
      }
      zip.bytes(`${stem}.png`, encodePalettePng(ids, width, height));
    });
  },
  folders: (order) => {
    const { width, height } = order.doc.source!;
    const folders = new Map(shownObjects(order.doc).map((object) => [object.id, folderOf(object)]));
    return zipped(order, "objects", (zip, frame, stem) => {
      for (const { object, rle } of knownOn(order.doc, frame)) {
        zip.bytes(`${folders.get(object.id)}/${stem}.png`, encodeMaskPng(decodeRle(rle), width, height));
      }
    });
  },
  jsonl: ({ doc, names }) => {
    const lines: string[] = [];
    return {
      frames: knownFrames(doc),
      needsPicture: false,
      async add({ frame }) {
        lines.push(`${JSON.stringify(lineOf(doc, frame, names))}\n`);
      },
      end: async () => file(`${stemOf(nameOf(doc))}.frames.jsonl`, lines.join(""), "application/jsonl"),
    };
  },
  coco: (order) => annotations("coco", order),
  yolo: (order) => annotations("yolo", order),
  labelme: (order) => annotations("labelme", order),
  project: ({ doc, files }) => ofFrame(doc, () => writeProject(doc, files)),
};

/** A picture an object of what is seen: one is a file, several are zipped. */
export function pictures(
  doc: Document,
  what: string,
  make: (shown: ReturnType<typeof seenOn>[number], picture?: ImageBitmap) => Promise<Uint8Array>,
  needsPicture = false,
): Maker {
  const seen = seenOn(doc, doc.frame);
  const stem = `${stemOf(nameOf(doc))}${doc.source!.kind === "video" ? ` ${numbered(doc.frame)}` : ""}`;
  const made: [name: string, png: Uint8Array][] = [];
  return {
    frames: [doc.frame],
    needsPicture,
    async add(_, picture) {
      if (seen.length === 0) throw new Error("No object has a pixel on this frame.");
      for (const shown of seen) made.push([`${safeName(shown.object.name) || shown.object.id}.png`, await make(shown, picture)]); // prettier-ignore
    },
    async end() {
      const [[name, png]] = made;
      if (made.length === 1) return file(`${stem} ${name.replace(/\.png$/, "")} ${what}.png`, png, "image/png");
      const zip = new Archive();
      for (const [name, png] of made) zip.bytes(name, png);
      return { blob: zip.end(), name: `${stem} ${what}s.zip` };
    },
  };
}

/** Something of what is seen, in one step. */
function ofFrame(doc: Document, make: () => Promise<Taken>): Maker {
  return { frames: [doc.frame], needsPicture: false, add: async () => {}, end: make };
}

/** A file or more a frame, wherever an object is known. */
function zipped(order: Order, what: string, add: (zip: Archive, frame: number, stem: string) => void): Maker {
  const { doc, names } = order;
  const zip = new Archive();
  return {
    frames: knownFrames(doc),
    needsPicture: false,
    add: async ({ frame }) => add(zip, frame, frameName(frame, names).replace(/\.\w+$/, "")),
    end: async () => ({ blob: zip.end(), name: `${stemOf(nameOf(doc))} ${what}.zip` }),
  };
}

/** One file is given as it is, several in a ZIP. An object's name is its class: objects of one name are of one class. */
function annotations(format: AnnotationFormat, { doc, names }: Order): Maker {
  const { kind, name, width, height } = doc.source!;
  const isVideo = kind === "video";
  const images: AnnotatedImage[] = [];
  return {
    frames: isVideo ? knownFrames(doc) : [doc.frame],
    needsPicture: false,
    async add({ frame }) {
      const objects = knownOn(doc, frame)
        .toSorted((a, b) => a.object.id - b.object.id)
        .map(({ object, rle }) => ({ id: object.id, label: object.name, rle }));
      const image = { width, height, objects };
      images.push(isVideo ? { ...image, file: frameName(frame, names), frame } : { ...image, file: name });
    },
    async end() {
      const options = isVideo ? { segmentation: "rle" as const } : undefined;
      const files = [...writeAnnotations(format, images, options)];
      if (files.length === 1)
        return file(`${stemOf(name)}${format === "coco" ? ".coco" : ""}.json`, files[0][1], "application/json");
      const zip = new Archive();
      for (const [name, text] of files) zip.text(name, text);
      return { blob: zip.end(), name: `${stemOf(name)} ${format}.zip` };
    },
  };
}

/** A line of `sam2 track`'s frames.jsonl. */
function lineOf(doc: Document, frame: number, names: readonly string[] | undefined) {
  const objects = knownOn(doc, frame)
    .toSorted((a, b) => a.object.id - b.object.id)
    .map(({ object, rle }) => ({
      id: object.id,
      score: scoreOf(object, frame, rleArea(rle) > 0),
      area: rleArea(rle),
      bbox: rleBbox(rle),
      rle,
    }));
  return { frame, ...(names && { file: names[frame] }), objects };
}

/** Logit of the object's score; of a mask that was drawn or came from elsewhere what the model itself says of one. */
function scoreOf({ on }: StudioObject, frame: number, isSeen: boolean): number {
  const { found, added, erased } = on[frame];
  const isModels = found && (found.by === "track" || found.by === "prompt") && !added && !erased;
  return isModels ? found.scores[found.choice] : isSeen ? 10 : -10;
}

function folderOf({ id, name }: StudioObject): string {
  const given = safeName(name);
  return given === "" || given === `Object ${id}` ? `${id}` : `${id} ${given}`;
}

function nameOf({ source }: Document): string {
  return source!.name;
}

function file(name: string, content: string | Uint8Array, type: string): Taken {
  return { blob: new Blob([content as BlobPart], { type }), name };
}
