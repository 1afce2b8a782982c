/** A video of all frames: with the objects tinted and outlined, or with nothing but them. */
import {
  BufferTarget,
  CanvasSource,
  getFirstEncodableVideoCodec,
  Mp4OutputFormat,
  Output,
  Quality,
  type VideoCodec,
  WebMOutputFormat,
} from "mediabunny";
import { composed } from "../masks/pixels.ts";
import { type Context, paint, silhouette } from "../masks/silhouette.ts";
import { colourOf, type Document } from "../state/document.ts";
import type { Maker, Timing, Order } from "./maker.ts";
import { stemOf } from "./names.ts";
import { seenOn } from "./shown.ts";

/** What most players know comes first. */
const CODECS = {
  mp4: ["avc", "hevc", "av1", "vp9"],
  webm: ["vp9", "vp8", "av1"],
  transparent: ["vp9", "vp8"],
} as const satisfies Record<string, readonly VideoCodec[]>;

type FilmName = keyof typeof CODECS;

/** @throws Error in one sentence for a visitor, if this browser cannot write it */
export async function film({ kind, doc }: Order): Promise<Maker> {
  const name = kind as FilmName;
  const { width, height, frames, name: title } = doc.source!;
  const canvas = new OffscreenCanvas(even(width), even(height));
  const alpha = name === "transparent" ? "keep" : "discard";
  const size = { width: canvas.width, height: canvas.height };
  const codec = await codecFor(name, size);
  const extension = name === "mp4" ? "mp4" : "webm";
  const target = new BufferTarget();
  const format = name === "mp4" ? new Mp4OutputFormat({ fastStart: "in-memory" }) : new WebMOutputFormat();
  const output = new Output({ format, target });
  const source = new CanvasSource(canvas, { codec, quality: new Quality("high"), alpha });
  output.addVideoTrack(source);
  await output.start();
  const context = canvas.getContext("2d", { alpha: name === "transparent" })!;
  return {
    frames: Array.from({ length: frames }, (_, frame) => frame),
    needsPicture: true,
    async add({ frame, time, duration }: Timing, picture) {
      if (name === "transparent") drawAlone(context, picture!, doc, frame);
      else drawTinted(context, picture!, doc, frame);
      await source.add(time, duration).catch((error: Error) => {
        throw new Error(
          `The video could not be written (${error.message}); try the other kind, or the masks as a ZIP.`,
        );
      });
    },
    async end() {
      await output.finalize();
      const blob = new Blob([target.buffer!], { type: `video/${extension}` });
      const what = name === "transparent" ? "cut-out" : "masks";
      return { blob, name: `${stemOf(title)} ${what}.${extension}`, note: noteOn(name, codec) };
    },
  };
}

async function codecFor(name: FilmName, size: { width: number; height: number }): Promise<VideoCodec> {
  const isTransparent = name === "transparent";
  const options = {
    ...size,
    quality: new Quality("high"),
    alpha: isTransparent ? ("keep" as const) : ("discard" as const),
  };
  const codec = "VideoEncoder" in globalThis && (await getFirstEncodableVideoCodec([...CODECS[name]], options));
  if (codec) return codec;
  if (isTransparent) {
    throw new Error("This browser cannot write transparent videos; Chrome and Edge can, or take the masks as a ZIP.");
  }
  const { width, height } = size;
  const other = name === "mp4" ? "WebM" : "MP4";
  throw new Error(
    `This browser cannot write such a video of ${width} by ${height} pixels; try ${other}, or take the masks as a ZIP.`,
  );
}

/** An MP4 without H.264 is not what its ending promises to most players. */
function noteOn(name: FilmName, codec: VideoCodec): string | undefined {
  if (name !== "mp4" || codec === "avc") return undefined;
  const inside = { hevc: "H.265", av1: "AV1", vp9: "VP9" }[codec as "hevc" | "av1" | "vp9"];
  return `This browser cannot write H.264, so it has ${inside} inside, which some players do not know; take WebM where it does not play.`;
}

/** Codecs store colours for two by two pixels: a last odd row or column is left out. */
function even(length: number): number {
  return Math.max(2, length - (length % 2));
}

function drawTinted(context: Context, picture: ImageBitmap, doc: Document, frame: number): void {
  const { width, height } = context.canvas;
  const line = Math.max(1.5, Math.min(width, height) / 320);
  context.drawImage(picture, 0, 0);
  for (const { object, rle } of seenOn(doc, frame).reverse()) {
    const { mask, size } = composed({ base: rle });
    const found = silhouette(mask, size)!;
    paint(context, found, colourOf(object), line, 0.4);
    found.canvas.width = 0; // its memory is not the collector's
  }
}

function drawAlone(context: Context, picture: ImageBitmap, doc: Document, frame: number): void {
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  for (const { rle } of seenOn(doc, frame)) {
    const { mask, size } = composed({ base: rle });
    const { canvas, x, y } = silhouette(mask, size)!;
    context.drawImage(canvas, x, y);
    canvas.width = 0;
  }
  context.globalCompositeOperation = "source-in";
  context.drawImage(picture, 0, 0);
}
