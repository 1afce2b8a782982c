import { ImageError, Sam2Error } from "../../errors.ts";
import { platform } from "../../platform/platform.ts";
import { decodeRaster } from "../image.ts";

/** The masks of a video in a folder: a picture of ids a frame (DAVIS, YouTube-VOS), or a folder an object (SA-V). */
export interface MaskFolder {
  /** of the video */
  name: string;
  path: string;
  /** pictures of ids, by name */
  frames: string[];
  /** folders of objects, and the pictures in each */
  objects: { folder: string; frames: string[] }[];
}

/** A picture of masks: every pixel's value, as Pillow reads it; 0 is the background. */
export interface IdPicture {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  ids: Uint8Array | Uint8ClampedArray | Uint16Array;
}

/** Where `sam2 track` and the datasets put the masks within the folder that people name. */
const INNER = ["masks", "Annotations"];

/**
 * The videos in a folder: it is one (`isVideo`), or has a folder for each.
 *
 * NB Folders of numbers may be objects of one video, or videos. They are objects if the first picture of each shows no more
 * than one; the means are the same either way then.
 * @throws Sam2Error if there are no masks
 */
export async function findMaskFolders(path: string): Promise<{ isVideo: boolean; videos: MaskFolder[] }> {
  const own = await readMaskFolder(path);
  if (own.frames.length > 0 || (own.objects.length > 0 && (await areObjects(own)))) {
    return { isVideo: true, videos: [own] };
  }
  const videos: MaskFolder[] = [];
  for (const folder of await foldersIn(own.path)) {
    const video = await readMaskFolder(`${own.path}/${folder}`, folder);
    if (video.frames.length + video.objects.length > 0) videos.push(video);
  }
  if (videos.length > 0) return { isVideo: false, videos };
  const todo = "give a folder of PNG masks, or one with such a folder for each video";
  throw new Sam2Error(path, "masks of a video", "no PNG file", todo);
}

/** What is in one video's folder. @throws Sam2Error if there is no such folder */
export async function readMaskFolder(path: string, name = lastPart(path)): Promise<MaskFolder> {
  const names = await platform.listFolder(path);
  if (names === undefined) throw new Sam2Error(path, "a folder of masks", "none", "check the path");
  const frames = picturesOf(names);
  const objects: MaskFolder["objects"] = [];
  for (const folder of await foldersIn(path)) {
    const pictures = picturesOf((await platform.listFolder(`${path}/${folder}`))!);
    if (pictures.length > 0) objects.push({ folder, frames: pictures });
  }
  const inner = INNER.find((inner) => names.includes(inner));
  if (frames.length === 0 && inner !== undefined) return readMaskFolder(`${path}/${inner}`, name);
  return { name, path, frames, objects };
}

/** @throws ImageError unless it is a PNG of one sample a pixel */
export async function readIdPicture(path: string): Promise<IdPicture> {
  const bytes = await platform.readFile(path);
  const { format, channels, width, height, data, maxval, palette } = await decodeRaster(bytes, {
    where: path,
    orient: false,
  });
  if (format !== "PNG" || channels !== 1) {
    const got = format === "PNG" ? `${channels} samples a pixel` : `a ${format} file`;
    throw new ImageError(path, "a PNG of ids: palette or grey", got, "save it with ids as pixel values");
  }
  const isStretched = !palette && maxval > 1 && maxval < 255; // by Pillow, of 2 and 4 bits
  return { width, height, ids: isStretched ? data.map((value) => (value * 255) / maxval) : data };
}

async function areObjects({ path, objects }: MaskFolder): Promise<boolean> {
  if (!objects.every(({ folder }) => /^\d+$/.test(folder))) return false;
  for (const { folder, frames } of objects) {
    const { ids } = await readIdPicture(`${path}/${folder}/${frames[0]}`);
    const first = ids.find((id) => id !== 0);
    if (ids.some((id) => id !== 0 && id !== first)) return false;
  }
  return true;
}

function picturesOf(names: readonly string[]): string[] {
  return names.filter((name) => /^[^.].*\.png$/i.test(name)).sort();
}

async function foldersIn(path: string): Promise<string[]> {
  const folders: string[] = [];
  for (const name of (await platform.listFolder(path)) ?? []) {
    if (!name.startsWith(".") && (await platform.listFolder(`${path}/${name}`)) !== undefined) folders.push(name);
  }
  return folders.sort();
}

function lastPart(path: string): string {
  return path.replace(/[/\\]+$/, "").replace(/^.*[/\\]/, "");
}
