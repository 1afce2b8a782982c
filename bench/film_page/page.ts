// Follows an object through an mp4 as a page does that uses the package; film_in_chromium.ts drives it.
import { BlobSource, Input, MP4, VideoSampleSink } from "mediabunny";
import { type LoadOptions, Sam2, VideoPredictor } from "sam2-ts";

/** What a frame costs, in ms, from the filled memory on. */
export interface FilmTimes {
  /** from the file to the object's mask in the page */
  all: number[];
  /** the file's frames alone, decoded and as pixels in the page */
  decoding: number[];
  /** the same, with one frame's pixels again and again instead of a file */
  withoutFile: number[];
}

async function* framesOf(film: Blob): AsyncGenerator<VideoFrame> {
  const track = await new Input({ source: new BlobSource(film), formats: [MP4] }).getPrimaryVideoTrack();
  for await (const sample of new VideoSampleSink(track!).samples()) {
    const frame = sample.toVideoFrame();
    sample.close();
    yield frame;
  }
}

async function pixelsOf(frame: VideoFrame): Promise<ImageData> {
  const { displayWidth: width, displayHeight: height } = frame;
  const data = new Uint8ClampedArray(4 * width * height);
  await frame.copyTo(data, { format: "RGBA" });
  frame.close();
  return new ImageData(data, width, height);
}

/** Times between the answers of `steps`, without the first `filling`. */
async function times(steps: AsyncIterable<unknown>, filling: number): Promise<number[]> {
  const all: number[] = [];
  let start = performance.now();
  for await (const _ of steps) {
    const now = performance.now();
    all.push(now - start);
    start = now;
  }
  return all.slice(filling);
}

async function follow(options: LoadOptions, filling: number): Promise<FilmTimes> {
  const film = await (await fetch("film.mp4")).blob();
  const sam2 = await Sam2.fromPretrained(new URL("model.safetensors", location.href), options);
  const predictor = new VideoPredictor(sam2);
  const track = async (frames: AsyncIterable<VideoFrame | ImageData>) => {
    const state = await predictor.initState(frames as AsyncIterable<VideoFrame>);
    const { width, height } = state;
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[width / 2, height / 2]] });
    const found = await times(predictor.propagateInVideo(state), filling);
    await state.dispose();
    return found;
  };
  async function* decoded() {
    for await (const frame of framesOf(film)) yield await pixelsOf(frame);
  }
  async function* inMemory() {
    const first = await framesOf(film).next();
    const pixels = await pixelsOf(first.value!);
    for (let t = 0; t < 2 * filling; t++) yield pixels;
  }
  const result = {
    all: await track(framesOf(film)),
    decoding: await times(decoded(), filling),
    withoutFile: await track(inMemory()),
  };
  await sam2.dispose();
  return result;
}

Object.assign(globalThis, { follow });
