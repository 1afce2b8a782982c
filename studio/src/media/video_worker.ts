/**
 * Decodes a video file: mediabunny reads it, the browser's VideoDecoder decodes. Frames are made when they are asked for, by
 * number; the latest few stay. Two decoders: one for the eye, one for the model, so that looking elsewhere while the model
 * follows an object does not make either begin anew.
 *
 * Another one of these workers writes the videos that are taken home: so that mediabunny is in the page once.
 */
import { BlobSource, Input, MATROSKA, MP4, QTFF, VideoSampleSink, WEBM, EncodedPacketSink } from "mediabunny";
import type { InputVideoTrack, VideoSample } from "mediabunny";
import type { PixelArray } from "sam2-ts";
import { answersOf, type MakerCalls } from "../take_home/calls.ts";
import { film } from "../take_home/film.ts";
import { type FrameTimes, frameTimes, nearestFrame, type Packet, restartAt } from "./frame_times.ts";
import type { VideoCalls } from "./video_calls.ts";
import { answerCalls } from "./worker_calls.ts";

/** Of the frames that stay. @units bytes */
const MOST_BYTES = 96 * 2 ** 20;
const MOST_FRAMES = 48;
/** What the model's own decoders take at most. @units pixels */
const MOST_PIXELS = 2 ** 27;

let video: Video | undefined;

class Video {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly frames: FrameTimes;
  readonly #eye: Decoder;
  readonly #model: Decoder;
  /** frame → its picture, the one used last at the end */
  readonly #kept = new Map<number, ImageBitmap>();
  readonly #room: number;
  readonly #canvas: OffscreenCanvas;
  readonly #pixels: OffscreenCanvas;

  constructor(name: string, track: InputVideoTrack, size: { width: number; height: number }, frames: FrameTimes) {
    const { width, height } = size;
    this.name = name;
    this.width = width;
    this.height = height;
    this.frames = frames;
    this.#eye = new Decoder(track, frames);
    this.#model = new Decoder(track, frames);
    this.#room = Math.min(MOST_FRAMES, Math.max(4, Math.floor(MOST_BYTES / (4 * width * height))));
    this.#canvas = new OffscreenCanvas(width, height);
    this.#pixels = new OffscreenCanvas(width, height);
  }

  picture(frame: number): Promise<ImageBitmap> {
    return this.#frame(frame, this.#eye).then((found) => createImageBitmap(found));
  }

  async pixels(frame: number): Promise<PixelArray> {
    const found = await this.#frame(frame, this.#model);
    const { width, height } = this;
    const context = this.#pixels.getContext("2d", { willReadFrequently: true })!;
    context.drawImage(found, 0, 0);
    return { width, height, data: context.getImageData(0, 0, width, height).data };
  }

  async #frame(frame: number, decoder: Decoder): Promise<ImageBitmap> {
    const kept = this.#kept.get(frame);
    if (kept) {
      this.#keep(frame, kept);
      return kept;
    }
    await decoder.seek(frame, Math.floor(this.#room / 2), (sample, found) => this.#keep(found, this.#drawn(sample)));
    const found = this.#kept.get(frame);
    if (found) return found;
    throw new Error(`Frame ${frame + 1} of ${this.name} is damaged; its neighbours may be whole.`);
  }

  /** Upright, with square pixels. */
  #drawn(sample: VideoSample): ImageBitmap {
    const context = this.#canvas.getContext("2d")!;
    context.clearRect(0, 0, this.width, this.height);
    sample.draw(context, 0, 0, this.width, this.height);
    return this.#canvas.transferToImageBitmap();
  }

  #keep(frame: number, bitmap: ImageBitmap): void {
    const before = this.#kept.get(frame);
    if (before && before !== bitmap) before.close();
    this.#kept.delete(frame);
    this.#kept.set(frame, bitmap);
    for (const [old, forgotten] of this.#kept) {
      if (this.#kept.size <= this.#room) break;
      forgotten.close();
      this.#kept.delete(old);
    }
  }
}

/** Goes through the video, forward from where it was begun. */
class Decoder {
  readonly #sink: VideoSampleSink;
  readonly #frames: FrameTimes;
  #samples: AsyncGenerator<VideoSample, void> | undefined;
  /** the frame that comes next; undefined before the first */
  #position: number | undefined;

  constructor(track: InputVideoTrack, frames: FrameTimes) {
    this.#sink = new VideoSampleSink(track);
    this.#frames = frames;
  }

  /** Decode up to a frame; it, and those before it that were taken along, are handed to `take`. */
  async seek(frame: number, room: number, take: (sample: VideoSample, frame: number) => void): Promise<void> {
    const { times, keys } = this.#frames;
    const start = restartAt(frame, this.#samples ? this.#position : undefined, keys, room);
    if (start !== undefined) {
      await this.#samples?.return();
      this.#samples = this.#sink.samples(times[start]);
    }
    const first = start ?? frame;
    for (;;) {
      const { done, value: sample } = await this.#samples!.next().catch((error) => {
        this.#samples = undefined;
        throw error;
      });
      if (done) {
        this.#samples = undefined;
        return;
      }
      const found = nearestFrame(times, sample.timestamp);
      if (found >= first) take(sample, found);
      sample.close();
      this.#position = found + 1;
      if (found >= frame) return;
    }
  }
}

async function open({ file, name }: { file: Blob; name: string }): Promise<Video> {
  const input = new Input({ source: new BlobSource(file), formats: [MP4, QTFF, WEBM, MATROSKA] });
  const track = await input.getPrimaryVideoTrack().catch(() => undefined);
  if (!track) throw new Error(`${name} has no video that can be read; save it as MP4 (H.264) or WebM.`);
  if (!(await track.canDecode())) {
    const codec = (await track.getCodec()) ?? "its codec";
    throw new Error(`This browser cannot decode ${name} (${codec}); save it as MP4 (H.264) or WebM.`);
  }
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
  if (width * height > MOST_PIXELS) throw new Error(`${name} is too large, ${width} by ${height}; scale it down.`);
  const packets: Packet[] = [];
  for await (const { timestamp, duration, type } of new EncodedPacketSink(track).packets(undefined, undefined, {
    metadataOnly: true,
  })) {
    packets.push({ timestamp, duration, isKey: type === "key" });
  }
  const frames = frameTimes(packets);
  if (frames.times.length === 0) throw new Error(`${name} has no frames.`);
  return new Video(name, track, { width, height }, frames);
}

answerCalls<VideoCalls & MakerCalls>({
  async open(asks) {
    video = await open(asks);
    const { width, height, frames } = video;
    return { width, height, times: frames.times, duration: frames.duration };
  },
  picture: ({ frame }) => video!.picture(frame),
  pixels: ({ frame }) => video!.pixels(frame),
  ...answersOf(film),
});
