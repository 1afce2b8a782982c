import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Sam2Error } from "../errors.ts";
import { systemReason } from "../platform/node_files.ts";

/** A folder of frames, and what to do when it is no longer needed. */
export interface FrameFolder {
  path: string;
  remove(): Promise<void>;
}

/**
 * The folder itself, or the frames of a video file, unpacked by the ffmpeg on the PATH: without loss, so that every run
 * sees the same pixels.
 *
 * @throws Sam2Error if there is no such file, no ffmpeg, or no video in it
 */
export async function frameFolder(path: string, signal: AbortSignal): Promise<FrameFolder> {
  const found = await stat(path).catch((cause) => {
    throw new Sam2Error(path, "a folder of frames, or a video", systemReason(cause), "check the path", { cause });
  });
  if (found.isDirectory()) return { path, remove: async () => {} };

  const folder = await mkdtemp(join(tmpdir(), "sam2-frames-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await unpack(path, folder, signal);
    if ((await readdir(folder)).length === 0) {
      throw new Sam2Error(path, "a video", "no frame in it", "check that it plays");
    }
    return { path: folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function unpack(path: string, folder: string, signal: AbortSignal): Promise<void> {
  const output = join(folder, "%06d.png");
  const options = ["-compression_level", "1", "-fps_mode", "passthrough", "-start_number", "0"];
  const ffmpeg = spawn("ffmpeg", ["-v", "error", "-nostdin", "-i", path, ...options, output], {
    signal,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaints = "";
  ffmpeg.stderr.on("data", (text) => {
    complaints += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    ffmpeg.once("error", reject).once("close", resolve);
  }).catch((cause: NodeJS.ErrnoException) => {
    signal.throwIfAborted();
    const got = cause.code === "ENOENT" ? "none" : cause.message;
    const todo = `install ffmpeg, or unpack the video yourself: ffmpeg -i ${path} -start_number 0 frames/%05d.png`;
    throw new Sam2Error(path, "ffmpeg on the PATH, which reads video files", got, todo, { cause });
  });
  if (code !== 0) {
    const last = complaints.trim().split("\n").at(-1) || `exit code ${code}`;
    throw new Sam2Error(path, "a video that ffmpeg can read", last, "check that it plays");
  }
}
