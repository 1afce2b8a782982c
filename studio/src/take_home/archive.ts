/** A ZIP file that is written piece by piece; what is done lies in blobs, so that it need not fit into memory. */
import { Zip, ZipDeflate, ZipPassThrough } from "fflate";
import { unique } from "./names.ts";

/** Of a piece that still lies in memory. @units bytes */
const PIECE = 2 ** 24;
/** What the format's 32 bits can tell. @units bytes */
const MOST = 2 ** 32 - 1;
const MOST_FILES = 2 ** 16 - 1;

export class Archive {
  readonly #zip: Zip;
  readonly #names = new Set<string>();
  readonly #done: Blob[] = [];
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;
  #total = 0;

  constructor() {
    this.#zip = new Zip((error, piece) => {
      if (error) throw error;
      this.#pieces.push(piece as Uint8Array<ArrayBuffer>);
      this.#size += piece.length;
      this.#total += piece.length;
      if (this.#size > PIECE) this.#putAway();
    });
  }

  text(name: string, text: string): void {
    const file = new ZipDeflate(unique(this.#names, name));
    this.#zip.add(file);
    file.push(new TextEncoder().encode(text), true);
  }

  /** What is compressed already. */
  bytes(name: string, bytes: Uint8Array): void {
    const file = new ZipPassThrough(unique(this.#names, name));
    this.#zip.add(file);
    file.push(bytes, true);
  }

  /** What is compressed already. */
  async blob(name: string, blob: Blob): Promise<void> {
    const file = new ZipPassThrough(unique(this.#names, name));
    this.#zip.add(file);
    for (let at = 0; at < blob.size; at += PIECE) {
      file.push(new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer()));
    }
    file.push(new Uint8Array(), true);
  }

  /** @throws Error in one sentence for a visitor */
  end(): Blob {
    this.#zip.end();
    this.#putAway();
    if (this.#total > MOST) throw new Error("That is more than the 4 GB that fit into one ZIP file.");
    if (this.#names.size > MOST_FILES) throw new Error(`That is more than the ${MOST_FILES} files of one ZIP file.`);
    return new Blob(this.#done, { type: "application/zip" });
  }

  #putAway(): void {
    this.#done.push(new Blob(this.#pieces));
    this.#pieces = [];
    this.#size = 0;
  }
}
