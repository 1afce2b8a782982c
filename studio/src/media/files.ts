/** Files as media: one picture, a video, or pictures that are a video's frames. */
import type { Source } from "../state/document.ts";
import { drawnClip } from "./clip.ts";
import { isPicture, openFrames } from "./frames.ts";
import type { Media } from "./media.ts";
import { openPhoto } from "./photo.ts";
import { drawnScene } from "./scene.ts";
import { openVideo } from "./video.ts";

const VIDEO = /\.(mp4|m4v|mov|webm|mkv)$/i;

/**
 * @param name of the folder they lie in, if it is known
 * @throws Error in one sentence for a visitor
 */
export function openFiles(files: readonly File[], name?: string): Promise<Media> {
  const [file] = files;
  if (files.length === 1 && file.size === 0) return Promise.reject(new Error(`${file.name} is empty.`));
  const video = files.find(({ name, type }) => type.startsWith("video/") || VIDEO.test(name));
  if (video) return openVideo(video, video.name);
  if (name !== undefined || files.filter(isPicture).length > 1) {
    return openFrames(files, name ?? `${files.length} pictures`);
  }
  return openPhoto(file, file.name || "Pasted picture");
}

/**
 * What was open at the last visit, or lay in a project.
 *
 * @throws Error in one sentence for a visitor
 */
export async function openAgain(source: Source, files: readonly Blob[]): Promise<Media> {
  const opened = await (source.isDrawn
    ? source.kind === "video"
      ? drawnClip()
      : drawnScene()
    : source.kind === "photo"
      ? openPhoto(files[0], source.name)
      : files.length === 1 && !isPicture(files[0])
        ? openVideo(files[0], source.name)
        : openFrames(files as readonly File[], source.name));
  const { width, height, frames } = opened.source;
  if (width === source.width && height === source.height && frames === source.frames) return { ...opened, source };
  opened.close();
  throw new Error(`The masks do not fit ${source.name}: it is not the picture or video that they were made on.`);
}
