/** A page that uses the package as any page does; browser.test.ts drives it. */
import { decodeImage, ImagePredictor, type LoadOptions, Sam2 } from "sam2-ts";
import { goldenImage } from "../../golden/hash_image.ts";
import { type Answer, digestOf, IMAGE, PROMPT } from "./answer.ts";

/** Load the demo model and answer one prompt. */
async function answer(options: LoadOptions): Promise<Answer> {
  const sam2 = await Sam2.fromPretrained(undefined, options);
  const predictor = new ImagePredictor(sam2);
  const { seed, width, height } = IMAGE;
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await predictor.setImage({ width, height, data: goldenImage(seed, width, height) });
  clearInterval(timer);
  const digest = digestOf(await predictor.predict(PROMPT));
  await sam2.dispose();
  return { digest, threads: sam2.threads, chosen: sam2.chosen, turns };
}

/** Abort an image that is being looked at; the name of what is thrown before the page gets its next turn. */
async function abort(): Promise<string> {
  const sam2 = await Sam2.fromPretrained();
  const predictor = new ImagePredictor(sam2);
  const { seed, width, height } = IMAGE;
  const image = { width, height, data: goldenImage(seed, width, height) };
  await predictor.setImage(image);
  const controller = new AbortController();
  const call = predictor.setImage(image, { signal: controller.signal }).catch((error: Error) => error);
  controller.abort();
  const late = new Promise<Error>((resolve) => setTimeout(resolve, 0, new Error("nothing yet")));
  const error = (await Promise.race([call, late])) as Error;
  await sam2.dispose();
  return error.name;
}

/** The pixels of image files; files and pixels in base64. */
async function decode(files: readonly string[]): Promise<string[]> {
  const images = files.map((file) => decodeImage(Uint8Array.from(atob(file), (char) => char.charCodeAt(0))));
  return (await Promise.all(images)).map(({ data }) => btoa(String.fromCharCode(...data)));
}

Object.assign(globalThis, { answer, abort, decode });
