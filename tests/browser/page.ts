/** A page that uses the package as any page does; browser.test.ts drives it. */
import { decodeImage, type ImageInput, ImagePredictor, type LoadOptions, Sam2 } from "sam2-ts";
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

/** A digest of what is answered to a click on the same picture, for each form in which a page may hold it. */
async function imagesOfAllKinds(): Promise<Record<string, string>> {
  const { seed, width, height } = IMAGE;
  const rgb = goldenImage(seed, width, height);
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  const data = new ImageData(rgba, width, height);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d")!.putImageData(data, 0, 0);
  const offscreen = new OffscreenCanvas(width, height);
  offscreen.getContext("2d")!.putImageData(data, 0, 0);
  const file = await offscreen.convertToBlob({ type: "image/png" });
  const bytes = await file.arrayBuffer();
  const address = URL.createObjectURL(file);
  const img = Object.assign(new Image(), { src: address });
  await img.decode();
  const kinds: Record<string, ImageInput> = {
    ImageData: data,
    canvas,
    OffscreenCanvas: offscreen,
    ImageBitmap: await createImageBitmap(data),
    img,
    VideoFrame: new VideoFrame(rgba, { format: "RGBA", codedWidth: width, codedHeight: height, timestamp: 0 }),
    Blob: file,
    File: new File([file], "photo.png"),
    ArrayBuffer: bytes,
    Uint8Array: new Uint8Array(bytes),
    Response: new Response(file),
    URL: new URL(address),
    address,
    pixels: { data: rgb, width, height },
    sharp: { data: rgb, info: { format: "raw", width, height } },
    sharpFile: { data: new Uint8Array(bytes), info: { format: "png", width, height } },
    ndarray: { data: rgb, shape: [height, width, 3], stride: [3 * width, 3, 1], offset: 0 },
    getPixels: { data: new Uint8Array(rgba), shape: [width, height, 4], stride: [4, 4 * width, 1], offset: 0 },
  };
  const sam2 = await Sam2.fromPretrained(undefined, { kernels: "portable" });
  const predictor = new ImagePredictor(sam2);
  const digests: Record<string, string> = {};
  for (const [kind, image] of Object.entries(kinds)) {
    // What follows is not awaited: calls keep their order, also after an image that has yet to be read.
    void predictor.setImage(image);
    digests[kind] = digestOf(await predictor.predict(PROMPT));
  }
  await sam2.dispose();
  return digests;
}

Object.assign(globalThis, { answer, abort, decode, imagesOfAllKinds });
