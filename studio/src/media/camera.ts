/** The camera, live: what it sees now, and the picture of it that is looked at. */
import type { Source } from "../state/document.ts";
import type { Media } from "./media.ts";
import { regular } from "./regular.ts";

export interface Camera extends Media {
  /** What it sees at that moment; the caller closes it. */
  now(): Promise<ImageBitmap>;
  /** From now on this is its picture, which is closed when the next one is. */
  hold(bitmap: ImageBitmap): void;
}

/** @throws Error in one sentence for a visitor, if there is none, or it may not be used */
export async function openCamera(onLost: () => void): Promise<Camera> {
  const video = { width: { ideal: 1280 }, facingMode: "environment" };
  const stream = await navigator.mediaDevices?.getUserMedia({ video }).catch(() => undefined);
  if (!stream) throw new Error("There is no camera, or the browser was not allowed to use it.");
  const element = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  const close = () => stream.getTracks().forEach((track) => track.stop());
  await element.play().catch(() => {
    close();
    throw new Error("The camera gives no picture; another program may be using it.");
  });
  stream.getVideoTracks()[0].addEventListener("ended", onLost);
  const now = async (): Promise<ImageBitmap> => {
    await new Promise((resolve) => {
      element.requestVideoFrameCallback(resolve);
      setTimeout(resolve, 500); // a camera that stands still
    });
    return createImageBitmap(element);
  };
  let held: ImageBitmap | undefined;
  const picture = async () => (held ? createImageBitmap(held) : now());
  const { videoWidth: width, videoHeight: height } = element;
  return {
    source: { id: crypto.randomUUID(), kind: "camera", name: "Camera", width, height, frames: 1, isDrawn: false },
    picture,
    input: picture,
    ...regular(1, 1),
    files: [],
    close,
    now,
    hold(bitmap) {
      held?.close();
      held = bitmap;
    },
  };
}

/** What can be opened again: of a camera the picture that is looked at, as a photo. */
export async function lasting({ source, files, picture }: Media): Promise<{ source: Source; files: readonly Blob[] }> {
  if (source.kind !== "camera") return { source, files };
  const bitmap = await picture(0);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
  const file = new File([await canvas.convertToBlob({ type: "image/png" })], "Camera.png", { type: "image/png" });
  return { source: { ...source, kind: "photo" }, files: [file] };
}
