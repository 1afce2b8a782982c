import { ImageError } from "../errors.ts";
import type { ImageInput } from "../io/image_input.ts";
import { platform } from "../platform/platform.ts";
import { framesOfFolder } from "./folder.ts";
import type { Frames, ReadOptions } from "./frames.ts";
import { type IndexedFrames, isIndexed, openIndexed, openList } from "./list.ts";
import { type FrameStream, openStream, type StreamFrame } from "./stream.ts";
import type { Arrived } from "./video_frame.ts";
import { VideoFile } from "./video_file.ts";

/**
 * A folder of images, or (in Node, with ffmpeg on the PATH) a video file; a list of images; frames that are read by number,
 * of which few are held; or frames that arrive one by one: any async iterable or ReadableStream. `VideoFrame`s of a stream,
 * and those read by number, are closed when they have been read; those of a list, and whatever else can be closed, are left
 * as they are.
 */
export type FrameInput = string | readonly ImageInput[] | IndexedFrames | FrameStream;

type OpenInput = FrameInput | Frames | AsyncIterable<Arrived<StreamFrame>>;

/**
 * Open a video and read its first frame, which sets the size.
 *
 * @throws ImageError if there is none, or it cannot be read
 */
export async function openFrames(input: OpenInput, options: ReadOptions = {}): Promise<Frames> {
  const { signal } = options;
  if (typeof input === "string") {
    const files = await filesOf(input);
    return files ? openList(framesOfFolder(input, files), signal) : VideoFile.open(input, options);
  }
  if (isOpen(input)) return input;
  if (!isList(input)) return isIndexed(input) ? openIndexed(input, signal) : openStream(input, signal);
  const list = input.map((image, i) => ({ where: typeof image === "string" ? image : `image ${i}`, image }));
  if (list.length === 0) throw new ImageError("initState", "at least one frame", "an empty list", "pass some images");
  return openList(list, signal);
}

function isOpen(input: Exclude<OpenInput, string>): input is Frames {
  return "estimate" in input;
}

export function isList(input: Exclude<OpenInput, string>): input is readonly ImageInput[] {
  return Array.isArray(input);
}

/** Names of the files in a folder; undefined if it is a file. */
async function filesOf(path: string): Promise<string[] | undefined> {
  const files = await platform.listFolder(path);
  if (files || (await platform.exists(path))) return files;
  throw new ImageError(path, "a folder of frames, or a video", "nothing there", "check the path");
}
