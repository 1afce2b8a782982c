/**
 * One run of ffmpeg, which decodes a video file into a pipe: raw RGB, frame after frame, no faster than they are taken.
 *
 * Frames are those of `ffmpeg -i FILE frames/%05d.png`: all that the file has and none twice, turned upright, in the colours
 * that ffmpeg makes of them (the matrix and range that the file names, else BT.601). Grey and RGB of 16 bits become bytes
 * here, as those of a folder of PNG files. The filter `showinfo` tells on stderr
 * when a frame is shown, and of what size it was before ffmpeg scaled it to that of the first. What is damaged ffmpeg tells
 * there as well, and ends as if nothing were amiss.
 */
import { ImageError, Sam2Error } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { sayOnce } from "../io/pixels.ts";
import { rasterToRgb, type SampleBits } from "../io/raster.ts";
import { platform } from "../platform/platform.ts";
import type { Program } from "../platform/types.ts";
import { type FrameInfo, Said } from "./ffmpeg_words.ts";

/** A frame, and when it is shown. */
export interface DecodedFrame {
  image: RgbImage;
  /** seconds from where decoding began; NaN if the file does not tell */
  time: number;
}

/** Formats of 16 bits that sensors fill in part: samples a pixel, and how ffmpeg is asked for them. */
const DEEP = [
  { source: /^(gray|ya)16/, channels: 1, output: "gray16le" },
  { source: /^((rgb|bgr)48|(rgb|bgr)a64|gbra?p16)/, channels: 3, output: "rgb48le" },
] as const;

type Deep = (typeof DEEP)[number];

/** Every frame once, whatever its time: the option from 5.1 on, and the one before. */
const EVERY_FRAME = ["-fps_mode", "-vsync"];

/** More frames are never needed at once than the one that comes in and the one after. */
const SPARE = 2;

export class Decoder {
  readonly #path: string;
  /** of 16 bits, if the decoder before this one has found such ones */
  readonly #deep: Deep | undefined;
  readonly #bits: SampleBits;
  readonly #said = new Said();
  #program!: Program;
  /** pixels of frames that are not looked at any more: the next ones are written there */
  readonly #spare: Uint8Array<ArrayBuffer>[];
  #given = 0;
  #next: Promise<DecodedFrame | undefined> | undefined;
  #end: string | undefined;
  #wake = () => {};

  private constructor(path: string, deep: Deep | undefined, bits: SampleBits, spare: Uint8Array<ArrayBuffer>[]) {
    this.#path = path;
    this.#deep = deep;
    this.#bits = bits;
    this.#spare = spare;
  }

  /**
   * Begin with the first frame, or with the first one that is not before `from` seconds.
   *
   * @param before the decoder of the same file that this one follows
   * @throws ImageError if there is no ffmpeg
   */
  static async start(path: string, from = 0, before?: Decoder): Promise<Decoder> {
    if (before) return Decoder.#startAs(path, from, before.#deep, before.#bits, before.#spare);
    const decoder = await Decoder.#startAs(path, from, undefined, {});
    const { pixelFormat = "" } = (await decoder.#info(0)) ?? {};
    const deep = DEEP.find(({ source }) => source.test(pixelFormat));
    if (!deep) return decoder;
    decoder.stop();
    return Decoder.#startAs(path, from, deep, {});
  }

  static async #startAs(
    path: string,
    from: number,
    deep: Deep | undefined,
    bits: SampleBits,
    spare: Uint8Array<ArrayBuffer>[] = [],
  ): Promise<Decoder> {
    for (const option of EVERY_FRAME) {
      const decoder = new Decoder(path, deep, bits, spare);
      await decoder.#start(option, from);
      if (!decoder.#said.unknown(option)) return decoder;
    }
    throw new ImageError(path, "ffmpeg 4.2 or newer", "one with neither -fps_mode nor -vsync", "install another one");
  }

  async #start(option: string, from: number): Promise<void> {
    const quiet = ["-hide_banner", "-nostats", "-nostdin", "-v", "level+info"];
    const seek = from === 0 ? [] : ["-ss", from.toFixed(6)];
    const input = ["-fflags", "+discardcorrupt", ...seek, "-i", `file:${this.#path}`];
    const pixels = this.#deep?.output ?? "rgb24";
    const output = ["-map", "0:V:0", option, "passthrough", "-vf", "showinfo", "-pix_fmt", pixels, "-f", "rawvideo"];
    try {
      this.#program = await platform.startProgram("ffmpeg", [...quiet, ...input, ...output, "pipe:1"], (text) => {
        this.#said.read(text);
        this.#wake();
      });
    } catch (cause) {
      if (cause instanceof Sam2Error) throw cause;
      const got = (cause as { code?: string }).code === "ENOENT" ? "none" : (cause as Error).message;
      const todo = `install ffmpeg, or unpack the video yourself: ffmpeg -i ${this.#path} -start_number 0 frames/%05d.png`;
      throw new ImageError(this.#path, "ffmpeg on the PATH, which reads video files", got, todo, { cause });
    }
    void this.#program.ended.then((how) => {
      this.#end = how;
      this.#wake();
    });
    await this.#info(0);
  }

  /** Frames that the file should have, by its length and rate; Infinity if it does not tell. */
  get estimate(): number {
    return this.#said.estimate;
  }

  /** How much wider than high a pixel is shown: "1:1", "4:3". */
  get pixelAspect(): string {
    return this.#said.frame(0)?.pixelAspect ?? "1:1";
  }

  /** The next frame; undefined after the last one, and where ffmpeg says that the file is damaged: see `failure`. */
  async next(signal?: AbortSignal): Promise<DecodedFrame | undefined> {
    this.#next ??= this.#frame();
    const frame = await untilAborted(this.#next, signal); // an aborted call leaves the frame to the next one
    if (frame) this.#readAhead();
    return frame;
  }

  /** A frame of this file is not looked at any more. */
  spend({ data }: RgbImage): void {
    if (this.#spare.length < SPARE) this.#spare.push(data as Uint8Array<ArrayBuffer>);
  }

  /** The frame after the one that is given comes in meanwhile, and no further one. */
  #readAhead(): void {
    this.#next = this.#frame();
    this.#next.catch(() => {}); // told to whoever asks for it
  }

  /** Why there is no further frame, in ffmpeg's words; undefined at the end of an intact file. */
  get failure(): string | undefined {
    return this.#said.failure(this.#given, this.#end);
  }

  stop(): void {
    this.#program.stop();
  }

  /** All frames are as large as the first: the pixels are asked for before ffmpeg has said what frame it is. */
  async #frame(): Promise<DecodedFrame | undefined> {
    const first = await this.#info(0);
    if (!first) return undefined;
    const { width, height } = first;
    const { channels = 3 } = this.#deep ?? {};
    const length = (this.#deep ? 2 : 1) * channels * width * height;
    const room = this.#spare.at(-1)?.length === length ? this.#spare.pop() : undefined;
    const data = await this.#program.read(length, room);
    if (data.length < length) await this.#program.ended;
    const info = await this.#info(this.#given);
    if (!info || !this.#said.isIntact(this.#given)) {
      if (info) this.stop();
      return undefined;
    }
    if (data.length < length) return undefined; // ffmpeg has died
    this.#given++;
    const { time } = info;
    if (!this.#deep) return { image: { width, height, data }, time };
    const samples = new Uint16Array(data.buffer);
    return { image: rasterToRgb({ width, height, channels, data: samples, maxval: 65535 }, sayOnce, this.#bits), time };
  }

  async #info(frame: number): Promise<FrameInfo | undefined> {
    while (this.#said.frames <= frame && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#said.frame(frame);
  }
}

/** Rejects with the reason of the signal as soon as it is aborted. */
async function untilAborted<T>(result: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return result;
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
