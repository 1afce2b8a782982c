import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ImageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { framesOfFolder } from "../video/folder.ts";
import type { QueuedTask } from "./redis.ts";

type Carried = Pick<QueuedTask["files"][number], "bytes" | "frames">;

/** Of a video that travels with its job: so many jobs wait in the server's memory. */
const MOST_BYTES = 32 * 2 ** 20;

/** A video, or the frames of a folder, in base64. @throws ImageError if it is too large; what the system says */
export async function packVideo(path: string, name: string): Promise<Carried> {
  const names = await platform.listFolder(path);
  const frames = names && framesOfFolder(name, names).map((frame) => frame.name!);
  const paths = frames?.map((frame) => join(path, frame)) ?? [path];
  const sizes = await Promise.all(paths.map(async (one) => (await stat(one)).size));
  const size = sizes.reduce((sum, bytes) => sum + bytes, 0);
  if (size > MOST_BYTES) {
    const [most, got] = [MOST_BYTES, size].map((bytes) => `${Math.ceil(bytes / 2 ** 20)} MB`);
    const todo = "lay it at the same path on all machines and leave out --carry, or cut it";
    throw new ImageError(name, `a video of at most ${most} to carry`, got, todo);
  }
  const texts = await Promise.all(paths.map((one) => readFile(one, "base64")));
  return frames ? { frames: frames.map((frame, i) => ({ name: frame, bytes: texts[i] })) } : { bytes: texts[0] };
}

/** Lay out a video that came along. @returns its path in `folder` */
export async function unpackVideo({ bytes, frames }: Carried, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  if (bytes !== undefined) {
    const path = join(folder, "video");
    await writeFile(path, bytes, "base64");
    return path;
  }
  const place = join(folder, "frames");
  await mkdir(place, { recursive: true });
  for (const frame of frames!) await writeFile(join(place, basename(frame.name)), frame.bytes, "base64");
  return place;
}
