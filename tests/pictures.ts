// Pictures of kinds that the package reads but does not write, for tests to draw.
import { deflateSync } from "node:zlib";
import { crc32 } from "../src/io/crc32.ts";

/** Samples of a picture, interleaved, row by row. */
export interface Drawn {
  width: number;
  height: number;
  samples: ArrayLike<number>;
}

/** What a PNG stores. */
export interface PngKind {
  depth: 1 | 8 | 16;
  colour: "grey" | "rgb" | "palette" | "grey + alpha" | "rgba";
  /** RGB of each index; greys if left out */
  palette?: number[];
  /** alpha of each index */
  transparency?: number[];
}

const COLOUR_TYPE = { grey: 0, rgb: 2, palette: 3, "grey + alpha": 4, rgba: 6 };

/** A PNG of any kind, without filters. */
export function drawPng(
  { width, height, samples }: Drawn,
  { depth, colour, palette, transparency }: PngKind,
): Uint8Array {
  const perRow = samples.length / height;
  const rowBytes = Math.ceil((perRow * depth) / 8);
  const raw = new Uint8Array(height * (1 + rowBytes));
  for (let i = 0; i < samples.length; i++) {
    const at = Math.floor(i / perRow) * (1 + rowBytes) + 1;
    const column = i % perRow;
    if (depth === 16) raw.set([samples[i] >> 8, samples[i] & 255], at + 2 * column);
    else if (depth === 8) raw[at + column] = samples[i];
    else raw[at + (column >> 3)] |= samples[i] << (7 - (column & 7));
  }
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(width, 0);
  ihdr.writeUInt32BE(height, 4);
  ihdr.set([depth, COLOUR_TYPE[colour]], 8);
  const greys = Array.from({ length: 3 * 2 ** Math.min(8, depth) }, (_, i) => Math.floor(i / 3));
  return Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", ihdr),
    ...(colour === "palette" ? [chunk("PLTE", Uint8Array.from(palette ?? greys))] : []),
    ...(transparency ? [chunk("tRNS", Uint8Array.from(transparency))] : []),
    chunk("IDAT", deflateSync(raw)),
    chunk("IEND", new Uint8Array()),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const covered = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32BE(data.length, 0);
  sizes.writeUInt32BE(crc32(covered), 4);
  return Buffer.concat([sizes.subarray(0, 4), covered, sizes.subarray(4)]);
}
