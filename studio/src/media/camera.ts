/** The camera, live: a picture is what it sees at that moment. */
import type { Media } from "./media.ts";
import { regular } from "./regular.ts";

/** @throws Error in one sentence for a visitor, if there is none, or it may not be used */
export async function openCamera(onLost: () => void): Promise<Media> {
  const video = { width: { ideal: 1280 }, facingMode: "environment" };
  const stream = await navigator.mediaDevices?.getUserMedia({ video }).catch(() => undefined);
  if (!stream) throw new Error("There is no camera, or the browser was not allowed to use it.");
  const element = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  await element.play();
  stream.getVideoTracks()[0].addEventListener("ended", onLost);
  const picture = async (): Promise<ImageBitmap> => {
    await new Promise((resolve) => {
      element.requestVideoFrameCallback(resolve);
      setTimeout(resolve, 500); // a camera that stands still
    });
    return createImageBitmap(element);
  };
  const { videoWidth: width, videoHeight: height } = element;
  return {
    source: { id: crypto.randomUUID(), kind: "camera", name: "Camera", width, height, frames: 1, isDrawn: false },
    picture,
    input: picture,
    ...regular(1, 1),
    files: [],
    close: () => stream.getTracks().forEach((track) => track.stop()),
  };
}
