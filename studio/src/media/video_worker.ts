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
import type { VideoCalls, VideoFile } from "./video_calls.ts";
import { answerCalls } from "./worker_calls.ts";

/** Of the frames that stay. @units bytes */
const MOST_BYTES = 96 * 2 ** 20;
const MOST_FRAMES = 48;
/** So far from its ends a file is searched for what it is. @units bytes */
const HEAD_BYTES = 2 ** 20;
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
  /** frame → its pixels, RGBA, the one used last at the end */
  readonly #kept = new Map<number, Uint8ClampedArray<ArrayBuffer>>();
  readonly #room: number;

  constructor(name: string, track: InputVideoTrack, size: { width: number; height: number }, frames: FrameTimes) {
    const { width, height } = size;
    this.name = name;
    this.width = width;
    this.height = height;
    this.frames = frames;
    this.#eye = new Decoder(track, frames);
    this.#model = new Decoder(track, frames);
    this.#room = Math.min(MOST_FRAMES, Math.max(4, Math.floor(MOST_BYTES / (4 * width * height))));
  }

  async picture(frame: number): Promise<ImageBitmap> {
    return createImageBitmap(new ImageData(await this.frame(frame), this.width, this.height));
  }

  async pixels(frame: number): Promise<PixelArray> {
    const { width, height } = this;
    return { width, height, data: (await this.frame(frame, this.#model)).slice() };
  }

  /** It stays here. @throws Error in one sentence for a visitor */
  async frame(frame: number, decoder = this.#eye): Promise<Uint8ClampedArray<ArrayBuffer>> {
    const kept = this.#kept.get(frame);
    if (kept) {
      this.#keep(frame, kept);
      return kept;
    }
    const take = async (sample: VideoSample, found: number) => this.#keep(found, await this.#pixelsOf(sample));
    await decoder.seek(frame, Math.floor(this.#room / 2), take).catch(() => {}); // told of below
    const found = this.#kept.get(frame);
    if (found) return found;
    throw new Error(`Frame ${frame + 1} of ${this.name} is damaged; its neighbours may be whole.`);
  }

  /** Upright, with square pixels. */
  async #pixelsOf(sample: VideoSample): Promise<Uint8ClampedArray<ArrayBuffer>> {
    const { width, height } = this;
    const { rotation, visibleRect } = sample;
    if (rotation === 0 && visibleRect.width === width && visibleRect.height === height) {
      const data = new Uint8ClampedArray(4 * width * height);
      try {
        // not drawn: Chromium's software renderer keeps hundreds of drawn frames
        await sample.copyTo(data, { format: "RGBA", colorSpace: "srgb" });
        return data;
      } catch {
        // a browser that copies no colours but the video's own
      }
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
    sample.draw(context, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }

  #keep(frame: number, pixels: Uint8ClampedArray<ArrayBuffer>): void {
    this.#kept.delete(frame);
    this.#kept.set(frame, pixels);
    for (const old of [...this.#kept.keys()].slice(0, -this.#room)) this.#kept.delete(old);
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
  async seek(frame: number, room: number, take: (sample: VideoSample, frame: number) => Promise<void>): Promise<void> {
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
      if (found >= first) await take(sample, found).finally(() => sample.close());
      else sample.close();
      this.#position = found + 1;
      if (found >= frame) return;
    }
  }
}

async function open({ file, name }: VideoFile): Promise<Video> {
  const input = new Input({ source: new BlobSource(file), formats: [MP4, QTFF, WEBM, MATROSKA] });
  const track = await input.getPrimaryVideoTrack().catch(() => undefined);
  if (!track) {
    await expectPlain({ file, name });
    throw new Error(`${name} has no video that can be read; save it as MP4 (H.264) or WebM.`);
  }
  if (!(await track.canDecode())) {
    const codec = await track.getCodec();
    const which = codec ? ` (${codec})` : "";
    throw new Error(`This browser cannot decode ${name}${which}; save it as MP4 (H.264) or WebM.`);
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

/** Of what could not be read: is it encrypted? @throws Error in one sentence for a visitor, if so */
async function expectPlain({ file, name }: VideoFile): Promise<void> {
  const ends = new Blob([file.slice(0, HEAD_BYTES), file.slice(-HEAD_BYTES)]); // MP4 describes its tracks in one of them
  if ((await ends.text()).includes("encv")) throw new Error(`${name} is encrypted; open a copy that is not.`);
}

answerCalls<VideoCalls & MakerCalls>({
  async open(asks) {
    video = await open(asks);
    await video.frame(0).catch(async () => {
      await expectPlain(asks);
      throw new Error(`${asks.name} is damaged: its first frame cannot be decoded; copy or save it anew.`);
    });
    const { width, height, frames } = video;
    return { width, height, times: frames.times, duration: frames.duration };
  },
  picture: async (asks) => (video ??= await open(asks)).picture(asks.frame),
  pixels: async (asks) => (video ??= await open(asks)).pixels(asks.frame),
  ...answersOf(film),
});
