import { constants } from "node:fs";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../platform/node_files.ts";
import type { SavedState } from "./video_job.ts";

/** Where the job of a key keeps what is of use until it is done. */
export function videoFolder(scratch: string, key: string): string {
  return join(scratch, `${key}.video`);
}

/**
 * How far a video is, in a folder of its own. A process that was thought to have ended may write there beside its successor:
 * states are written whole, and both write the same lines at the same place.
 */
export function savedState(scratch: string, key: string): SavedState {
  const folder = videoFolder(scratch, key);
  const [state, lines] = ["state", "lines.jsonl"].map((name) => join(folder, name));
  return {
    read: () => readFile(state).then((bytes) => new Uint8Array(bytes), nothing),
    readLines: (bytes) =>
      readFile(lines).then((text) => (text.length < bytes ? undefined : text.toString("utf8", 0, bytes)), nothing),
    async write(bytes) {
      await writeWhole(state, bytes, `${state}.${process.pid}`);
    },
    async writeLines(text, at) {
      await mkdir(folder, { recursive: true });
      const file = await open(lines, constants.O_RDWR | constants.O_CREAT);
      try {
        await file.write(text, at);
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

/** Done: nobody goes on there. */
export function forgetVideo(scratch: string, key: string): Promise<void> {
  return rm(videoFolder(scratch, key), { recursive: true, force: true });
}

const nothing = () => undefined;
