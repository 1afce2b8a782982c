// What ffmpeg says on stderr with `-v level+info`: `[context @ 0x…] [level] text`, in the same words from 4.2 to 9.

/** What the filter `showinfo` tells of a frame. */
export interface FrameInfo {
  /** seconds from where decoding began; NaN if the file does not tell */
  time: number;
  /** pixels, upright */
  width: number;
  /** pixels, upright */
  height: number;
  /** as the file has it: "yuv420p", "gray16le" */
  pixelFormat: string;
  /** how much wider than high a pixel is shown, as "4:3"; "1:1" also if the file does not tell */
  pixelAspect: string;
}

const LINE = /^(?:\[([^\]]*?) @ [^\]]*\] )*\[(info|warning|error|fatal)\] (.*)$/;

/** All that was said so far, sorted. */
export class Said {
  readonly #infos: FrameInfo[] = [];
  readonly #errors: { context: string; text: string; early: boolean }[] = [];
  readonly #lostPackets: { stream: string; text: string }[] = [];
  /** the first frame that is damaged */
  #damaged = Number.POSITIVE_INFINITY;
  /** of the file, the one that is decoded */
  #stream = "";
  /** of the file, as `matroska,webm` */
  #format = "";
  #seconds = Number.NaN;
  #rate = Number.NaN;
  #timeBase = Number.NaN;
  #begun = "";
  /** lines of another form, as of a loader that finds no library */
  readonly #others: string[] = [];

  read(text: string): void {
    const lines = (this.#begun + text).split(/\r?\n/);
    this.#begun = lines.pop()!;
    for (const line of lines) this.#readLine(line);
  }

  /** frames that were announced */
  get frames(): number {
    return this.#infos.length;
  }

  frame(number: number): FrameInfo | undefined {
    return this.#infos[number];
  }

  /** Is a frame that was announced undamaged, and of the size of the first? */
  isIntact(number: number): boolean {
    return number < this.#damaged && !this.#hasOtherSize(number);
  }

  /** Frames that the file should have, by its length and rate; Infinity if it does not tell. */
  get estimate(): number {
    return Math.round(this.#seconds * this.#rate) || Number.POSITIVE_INFINITY;
  }

  /** Does ffmpeg not know this option? */
  unknown(option: string): boolean {
    return [...this.#errors.map(({ text }) => text), ...this.#others].some((text) =>
      text.includes(`option '${option.slice(1)}'`),
    );
  }

  /** Why there is no frame after the `given` ones; undefined if the file has no more. */
  failure(given: number, end: string | undefined): string | undefined {
    if (this.#hasOtherSize(given)) {
      const [next, first] = [this.#infos[given], this.#infos[0]];
      return `a picture of ${next.width}×${next.height} after those of ${first.width}×${first.height}`;
    }
    const lost = this.#lostPackets.find(({ stream }) => stream === this.#stream)?.text;
    // Before the first frame, decoders complain of what they cannot begin with; readers, of the whole file.
    const damage = this.#errors.find(
      ({ context, early }) => !early || context === "" || context.endsWith(this.#format),
    );
    const said = given === 0 ? this.#errors[0]?.text : (damage?.text ?? lost);
    if (said === undefined && (end === "exit code 0" || end === undefined)) {
      return given < this.#damaged ? undefined : '"corrupt decoded frame"';
    }
    return `"${said ?? ((given === 0 && this.#others.at(-1)) || end)}"`;
  }

  #hasOtherSize(number: number): boolean {
    const [info, first] = [this.#infos[number], this.#infos[0]];
    return info !== undefined && (info.width !== first.width || info.height !== first.height);
  }

  #readLine(line: string): void {
    const [, context = "", level, text] = LINE.exec(line) ?? [];
    if (level === undefined) {
      if (this.frames === 0 && line !== "") this.#others.push(line);
    } else if (context.startsWith("Parsed_showinfo")) this.#readInfo(text);
    else if (/corrupt decoded frame/.test(text)) this.#damaged = Math.min(this.#damaged, this.frames);
    else if (/corrupt/i.test(text)) this.#lostPackets.push({ stream: /stream = (\d+)/.exec(text)?.[1] ?? "", text });
    else if (level === "error" || level === "fatal") this.#errors.push({ context, text, early: this.frames === 0 });
    else this.#readHead(text);
  }

  #readInfo(text: string): void {
    const [, numerator, denominator] = /time_base: (\d+)\/(\d+)/.exec(text) ?? [];
    if (numerator) this.#timeBase = Number(numerator) / Number(denominator);
    const info = /^n: *\d+ pts: *(\S+) .* fmt:(\S+) (?:\S+ )?sar:(\d+)\/(\d+) s:(\d+)x(\d+) /;
    const [, pts, pixelFormat, wide, high, width, height] = info.exec(text) ?? [];
    if (!pts) return;
    const pixelAspect = wide === "0" || wide === high ? "1:1" : `${wide}:${high}`;
    const time = Number(pts) * this.#timeBase;
    this.#infos.push({ time, width: Number(width), height: Number(height), pixelFormat, pixelAspect });
  }

  /** The description of the file comes before the frames. */
  #readHead(text: string): void {
    const [, hours, minutes, seconds] = /^ *Duration: (\d+):(\d+):([\d.]+),/.exec(text) ?? [];
    if (seconds) this.#seconds = 3600 * Number(hours) + 60 * Number(minutes) + Number(seconds);
    const [, rate] = /^ *Stream #0:.* Video: .* ([\d.]+k?) fps,/.exec(text) ?? [];
    if (rate && Number.isNaN(this.#rate)) this.#rate = Number(rate.replace("k", "e3"));
    const [, format] = /^Input #0, (\S+), from /.exec(text) ?? [];
    if (format) this.#format = format;
    const [, stream] = /^ *Stream #0:(\d+)\S* -> #0:0 /.exec(text) ?? [];
    if (stream) this.#stream = stream;
  }
}
