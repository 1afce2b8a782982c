/** A page that uses the package as any page does; browser.test.ts drives it. */
import { decodeImage, ImagePredictor, type LoadOptions, Sam2 } from "sam2-ts";
import { goldenImage } from "../hash_image.ts";
import { type Answer, digestOf, IMAGE, PROMPT } from "./answer.ts";

/** Load the demo model and answer one prompt; `stallMs` is the longest that the page could not react meanwhile. */
async function answer(options: LoadOptions): Promise<Answer> {
  let last = performance.now();
  let stallMs = 0;
  const timer = setInterval(() => {
    stallMs = Math.max(stallMs, performance.now() - last);
    last = performance.now();
  }, 0);
  const sam2 = await Sam2.fromPretrained(undefined, options);
  const predictor = new ImagePredictor(sam2);
  const { seed, width, height } = IMAGE;
  const start = performance.now();
  await predictor.setImage({ width, height, data: goldenImage(seed, width, height) });
  const encodeMs = performance.now() - start;
  const digest = digestOf(await predictor.predict(PROMPT));
  clearInterval(timer);
  await sam2.dispose();
  return { digest, threads: sam2.threads, chosen: sam2.chosen, stallMs, encodeMs };
}

/** Abort an image that is being looked at; the error's name, and after how long. */
async function abort(): Promise<{ name: string; ms: number }> {
  const sam2 = await Sam2.fromPretrained();
  const predictor = new ImagePredictor(sam2);
  const { seed, width, height } = IMAGE;
  const image = { width, height, data: goldenImage(seed, width, height) };
  await predictor.setImage(image);
  const controller = new AbortController();
  const call = predictor.setImage(image, { signal: controller.signal }).catch((error: Error) => error);
  const start = performance.now();
  controller.abort();
  const error = (await call) as Error;
  const ms = performance.now() - start;
  await sam2.dispose();
  return { name: error.name, ms };
}

/** The pixels of image files; files and pixels in base64. */
async function decode(files: readonly string[]): Promise<string[]> {
  const images = files.map((file) => decodeImage(Uint8Array.from(atob(file), (char) => char.charCodeAt(0))));
  return (await Promise.all(images)).map(({ data }) => btoa(String.fromCharCode(...data)));
}

Object.assign(globalThis, { answer, abort, decode });
