import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageError } from "../errors.ts";

/** Containers by their first bytes, as Latin-1: MP4 and MOV, WebM and Matroska, AVI, Ogg, MPEG. */
const CONTAINERS = /^(....(ftyp|moov|mdat|wide|free)|\x1aE\xdf\xa3|RIFF....AVI |OggS|\x00\x00\x01[\xb3\xba]|G.{187}G)/s;

/**
 * The path of a file of these bytes, as ffmpeg needs it, until `use` has ended.
 *
 * @throws ImageError unless it is a container of its own. ffmpeg knows playlists too, which would have it open other files of
 * this machine, and addresses
 */
export async function asFile<R>(bytes: Uint8Array, where: string, use: (path: string) => Promise<R>): Promise<R> {
  if (!CONTAINERS.test(String.fromCharCode(...bytes.subarray(0, 192)))) {
    const todo = "convert it to MP4";
    throw new ImageError(where, "a video as MP4, MOV, WebM, Matroska, AVI, Ogg or MPEG", "something else", todo);
  }
  const folder = await mkdtemp(join(tmpdir(), "sam2-video-"));
  try {
    const path = join(folder, "video");
    await writeFile(path, bytes);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
