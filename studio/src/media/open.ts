/** Whatever a visitor drops, pastes or chooses, as media. */
import { openPhoto } from "./photo.ts";
import type { Media } from "./media.ts";

/** Files that are weights, not pictures. */
export const CHECKPOINT = /\.(pt|pth|safetensors)$/i;

/** @throws Error in one sentence for a visitor */
export function openFile(file: File): Promise<Media> {
  return openPhoto(file, file.name || "Pasted picture");
}
