import { ImageError } from "../errors.ts";
import { crc32 } from "../io/crc32.ts";
import type { RgbImage } from "../io/image.ts";
import { notify } from "../platform/notices.ts";
import { type DecodedFrame, Decoder } from "./ffmpeg.ts";
import type { Frames, ReadOptions } from "./frames.ts";

/** Decoded frames that are kept at hand: going backward, so many are decoded at once. Going forward, what was passed is dropped. */
const CACHE_BYTES = 2 ** 26;
/** Of the first frames, if they take no more than this; else they are decoded anew when they are asked for. */
const FIRST_BYTES = 2 ** 24;
/** To decode so many frames takes as long as to begin anew elsewhere. */
const LONG_WAY = 300;
/** Frames that are looked for at first: in a shorter video, its length decides which places in time the model sees. */
const FIRST = 16;

/**
 * The frames of a video file, forward and backward: frame i is the i-th that ffmpeg gives from the start of the file.
 *
 * What is decoded for the first time is decoded in order, and of each frame its time and the checksum of its pixels are
 * noted. To go back, ffmpeg begins in the middle, by time; that it gives the same frames is not believed but compared, and
 * if it does not, everything is decoded from the start.
 */
export class VideoFile implements Frames {
  readonly width: number;
  readonly height: number;
  readonly #path: string;
  readonly #onSkip: ReadOptions["onSkip"];
  readonly #times: number[] = [];
  readonly #checksums: number[] = [];
  /** the latest, in the order in which they were decoded */
  readonly #cache = new Map<number, RgbImage>();
  readonly #room: number;
  #decoder: Decoder;
  /** the frame that the decoder gives next, the one that it began with, and where that was, in seconds */
  #next = 0;
  #begun = 0;
  #origin = 0;
  #canSeek = true;
  /** frames that can be read, once the end was seen */
  #end = Number.POSITIVE_INFINITY;
  #failure: string | undefined;

  private constructor(path: string, decoder: Decoder, first: RgbImage, { onSkip }: ReadOptions) {
    this.#path = path;
    this.#decoder = decoder;
    this.#onSkip = onSkip;
    this.width = first.width;
    this.height = first.height;
    this.#room = Math.max(2, Math.floor(CACHE_BYTES / first.data.length));
  }

  /** @throws ImageError if there is no ffmpeg, or no video in the file */
  static async open(path: string, options: ReadOptions = {}): Promise<VideoFile> {
    const decoder = await Decoder.start(path);
    try {
      const first = await decoder.next(options.signal);
      if (!first) {
        const got = decoder.failure ?? "no frame in it";
        throw new ImageError(path, "a video that ffmpeg can read", got, "check that it plays");
      }
      const { pixelAspect } = decoder;
      if (pixelAspect !== "1:1") notify(`${path}: ${stretchedPixels(first.image, pixelAspect)}`);
      const file = new VideoFile(path, decoder, first.image, options);
      file.#note(first.image, first.time);
      const isSmall = (FIRST + 1) * first.image.data.length <= FIRST_BYTES;
      await file.#frame(FIRST, isSmall ? FIRST + 1 : 1, options.signal);
      return file;
    } catch (error) {
      decoder.stop();
      throw error;
    }
  }

  get count(): number {
    return this.#failure === undefined ? this.#end : Number.POSITIVE_INFINITY; // how many there were is not known
  }

  get estimate(): number {
    return Number.isFinite(this.#end) ? this.#end : Math.max(this.#decoder.estimate, this.#times.length);
  }

  get last(): number {
    return this.count - 1;
  }

  name(): undefined {}

  /** @throws ImageError after the last frame of a file that is damaged or cut off */
  async read(frame: number, step: number, signal?: AbortSignal): Promise<RgbImage | undefined> {
    const image = await this.#frame(frame, step < 0 ? this.#room : 1, signal);
    if (image || this.#failure === undefined) return image;
    const todo = "what was tracked before it stays; ask for fewer frames, or repair the file";
    throw new ImageError(`frame ${this.#end} (${this.#path})`, "an intact frame", this.#failure, todo);
  }

  close(): void {
    this.#decoder.stop();
    this.#cache.clear();
  }

  /** `span`: how many frames up to this one should be at hand then; those before them are dropped. */
  async #frame(frame: number, span: number, signal?: AbortSignal): Promise<RgbImage | undefined> {
    const from = Math.max(0, frame - span + 1);
    while (!this.#cache.has(frame) && frame < this.#end) {
      if (this.#next > frame || this.#isFar(from)) await this.#goTo(from);
      await this.#advance(signal);
      this.#dropBefore(from);
      if (this.#next <= frame) this.#onSkip?.(this.#next);
    }
    this.#dropBefore(from);
    return this.#cache.get(frame);
  }

  #dropBefore(first: number): void {
    for (const frame of this.#cache.keys()) if (frame < first) this.#drop(frame);
  }

  #drop(frame: number): void {
    this.#decoder.spend(this.#cache.get(frame)!);
    this.#cache.delete(frame);
  }

  #isFar(frame: number): boolean {
    return this.#canSeek && Math.min(frame, this.#times.length - 1) - this.#next > LONG_WAY;
  }

  /** Begin anew at a frame, or at the last that is known before it. */
  async #goTo(frame: number): Promise<void> {
    this.#decoder.stop();
    const known = Math.min(frame, this.#times.length - 1);
    const between = (this.#times[known - 1] + this.#times[known]) / 2;
    const seeks = this.#canSeek && between > 0;
    this.#begun = seeks ? known : 0;
    this.#origin = seeks ? between : 0;
    this.#next = this.#begun;
    this.#decoder = await Decoder.start(this.#path, this.#origin, this.#decoder);
  }

  /** Decode one frame, or see the end. */
  async #advance(signal?: AbortSignal): Promise<void> {
    const found = await this.#decoder.next(signal);
    const isKnown = this.#next < this.#times.length;
    if (found && !isKnown) this.#note(found.image, found.time);
    else if (found && this.#isAsBefore(found)) this.#keep(found.image);
    else if (!isKnown) this.#finish();
    else await this.#distrust();
  }

  #isAsBefore({ image, time }: DecodedFrame): boolean {
    if (crc32(image.data) !== this.#checksums[this.#next]) return false;
    if (this.#begun === 0) return true;
    const [before, now] = [this.#times[this.#next - 1], this.#times[this.#next]]; // pictures may repeat, times do not
    return Math.abs(this.#origin + time - now) < (now - before) / 2;
  }

  #finish(): void {
    this.#end = this.#next;
    this.#failure = this.#decoder.failure;
  }

  /** It gave another frame than when it was decoded for the first time. */
  async #distrust(): Promise<void> {
    if (this.#begun === 0) {
      const got = this.#decoder.failure ?? "another one";
      throw new ImageError(
        `frame ${this.#next} (${this.#path})`,
        "the frame as before",
        got,
        "is the file being written?",
      );
    }
    this.#canSeek = false;
    await this.#goTo(0);
  }

  #note(image: RgbImage, time: number): void {
    this.#times.push(this.#origin + time);
    this.#checksums.push(crc32(image.data));
    this.#keep(image);
  }

  #keep(image: RgbImage): void {
    this.#cache.delete(this.#next); // so that it counts as the latest
    this.#cache.set(this.#next++, image);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > this.#room) this.#drop(oldest);
  }
}

function stretchedPixels({ width, height }: RgbImage, aspect: string): string {
  const [wide, high] = aspect.split(":").map(Number);
  const shown = `${Math.round((width * wide) / high)}×${height}`;
  return `its pixels are not square (${aspect}): points and masks are those of its ${width}×${height} pixels, which players show as ${shown}`;
}
