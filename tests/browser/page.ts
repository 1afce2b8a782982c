/** A page that uses the package as any page does; browser.test.ts drives it. */
import {
  decodeImage,
  type FrameInput,
  type ImageInput,
  ImagePredictor,
  type LoadOptions,
  Sam2,
  VideoPredictor,
} from "sam2-ts";
import { goldenImage } from "../../golden/hash_image.ts";
import { type Answer, digestOf, FILM, IMAGE, type Live, PICTURE, PROMPT, type Tracked } from "./answer.ts";

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
    relativeAddress: PICTURE,
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

/** The frames of FILM, each drawn on the same canvas. */
function* drawnFrames(): Generator<OffscreenCanvas> {
  const { width, height, frames } = FILM;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  for (let i = 0; i < frames; i++) {
    context.fillStyle = "#246";
    context.fillRect(0, 0, width, height);
    context.fillStyle = "#fc3";
    context.fillRect(20 + 6 * i, 16, 24, 30);
    yield canvas;
  }
}

function readable(frames: AsyncGenerator<VideoFrame>): ReadableStream<VideoFrame> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await frames.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

/** How many of these are still open. */
const openOf = (all: readonly (VideoFrame | ImageBitmap)[]) =>
  all.filter((frame) => ("codedWidth" in frame ? frame.codedWidth : frame.width) > 0).length;

/** What is tracked in FILM, in each form in which its frames may come; and what became of those that can be closed. */
async function filmsOfAllKinds(): Promise<Record<string, Tracked>> {
  const made: (VideoFrame | ImageBitmap)[] = [];
  const note = <T extends VideoFrame | ImageBitmap>(frame: T): T => {
    made.push(frame);
    return frame;
  };
  const videoFrame = (canvas: OffscreenCanvas, i: number) => note(new VideoFrame(canvas, { timestamp: 40_000 * i }));
  async function* bitmaps() {
    for (const canvas of drawnFrames()) yield note(await createImageBitmap(canvas));
  }
  async function* arriving() {
    let i = 0;
    for (const canvas of drawnFrames()) yield videoFrame(canvas, i++);
  }
  const blobs: Blob[] = [];
  for (const canvas of drawnFrames()) blobs.push(await canvas.convertToBlob({ type: "image/png" }));
  const pixels = Array.from(drawnFrames(), (canvas) => {
    return canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
  });
  const films: Record<string, () => FrameInput> = {
    "a list of ImageData": () => pixels,
    "a stream of ImageData": async function* () {
      yield* pixels;
    },
    "a list of Blobs": () => blobs,
    "a list of VideoFrames": () => Array.from(drawnFrames(), videoFrame),
    "a stream of VideoFrames": arriving,
    "a ReadableStream of VideoFrames": () => readable(arriving()),
    "a stream of ImageBitmaps": bitmaps,
  };
  const sam2 = await Sam2.fromPretrained(undefined, { kernels: "portable" });
  const predictor = new VideoPredictor(sam2);
  const tracked: Record<string, Tracked> = {};
  for (const [kind, film] of Object.entries(films)) {
    made.length = 0;
    const state = await predictor.initState(film());
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[30, 30]] });
    const masks: string[] = [];
    for await (const { objects } of predictor.propagateInVideo(state)) {
      masks.push(
        objects.map(({ score, mask }) => `${score} ${mask.reduce((h, v) => (Math.imul(h, 31) + v) | 0, 7)}`).join(),
      );
    }
    await state.dispose();
    tracked[kind] = { masks, made: made.length, open: openOf(made) };
    for (const frame of made) frame.close();
  }
  await sam2.dispose();
  return tracked;
}

/** A camera that does not wait. */
async function live(): Promise<Live> {
  const made: VideoFrame[] = [];
  let filming = true;
  async function* camera() {
    for (let i = 0; filming; i++) {
      const [canvas] = drawnFrames();
      const frame = new VideoFrame(canvas, { timestamp: 1000 * i });
      made.push(frame);
      yield frame;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  const sam2 = await Sam2.fromPretrained(undefined, { kernels: "portable" });
  const predictor = new VideoPredictor(sam2);
  const state = await predictor.initState(camera(), { latest: true });
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[30, 30]] });
  const arrivals: (number | undefined)[] = [];
  for await (const { arrival } of predictor.propagateInVideo(state, { maxFrames: 4 })) arrivals.push(arrival);
  await state.dispose();
  filming = false;
  await new Promise((resolve) => setTimeout(resolve, 100));
  await sam2.dispose();
  return { arrivals, came: made.length, open: openOf(made) };
}

/** What is said to a call that a page cannot be answered. */
async function refusalOf(image: { base64: string } | { video: string }): Promise<string> {
  try {
    if ("base64" in image) await decode([image.base64]);
    else await new VideoPredictor(await Sam2.fromPretrained()).initState(image.video);
  } catch (error) {
    return `${error}`;
  }
  return "nothing";
}

Object.assign(globalThis, { answer, abort, decode, imagesOfAllKinds, filmsOfAllKinds, live, refusalOf });
