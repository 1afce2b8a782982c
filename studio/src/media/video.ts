/** A video file: MP4, QuickTime, WebM or Matroska, of any codec that the browser decodes. */
import { frameAt } from "./frame_times.ts";
import type { Media } from "./media.ts";
import type { VideoCalls } from "./video_calls.ts";
import { startWorker } from "./start_worker.ts";
import { asked } from "./worker_calls.ts";

/** @throws Error in one sentence for a visitor, if the browser cannot decode it */
export async function openVideo(file: Blob, name: string): Promise<Media> {
  const { ask, rest } = asked<VideoCalls>(
    () => startWorker("video"),
    `The program that decodes ${name} stopped; do that once more.`,
  );
  const { width, height, times, duration } = await ask("open", { file, name }).catch((error) => {
    rest();
    throw error;
  });
  const frames = times.length;
  const framesPerSecond = duration > times[0] ? frames / (duration - times[0]) : undefined;
  return {
    source: { id: crypto.randomUUID(), kind: "video", name, width, height, frames, framesPerSecond, isDrawn: false },
    picture: (frame, signal) => unlessAborted(ask("picture", { file, name, frame }), signal),
    input: (frame, signal) => unlessAborted(ask("pixels", { file, name, frame }), signal),
    timeOf: (frame) => times[frame] - times[0],
    frameAt: (time) => frameAt(times, time + times[0]),
    files: [file],
    close: rest,
  };
}

async function unlessAborted<T>(answer: Promise<T>, signal?: AbortSignal): Promise<T> {
  const value = await answer;
  if (signal?.aborted && value instanceof ImageBitmap) value.close();
  signal?.throwIfAborted();
  return value;
}
