// The components of a JPEG file as grey JPEG files of their own, for a codec that knows no four-channel colours: the coded
// bits of a block mean the same wherever they stand, so scans of several components are dealt out block by block, and
// nothing is decoded but the lengths of the codes and the predicted DC values.
import { ImageError } from "../errors.ts";
import { concat } from "./concat.ts";
import { type Frame, jpegSegments } from "./jpeg_segments.ts";

/** Lengths and symbols of the DC codes that are written: ITU-T T.81, table K.3. */
const DC_LENGTHS = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_CODES = [0b00, 0b010, 0b011, 0b100, 0b101, 0b110, 0b1110, 0x1e, 0x3e, 0x7e, 0xfe, 0x1fe];
const DC_SIZES = [2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9];
/** The table that stands for it: files seldom use the last of the four. */
const DC_TABLE = 3;
const NO_RESTART = Uint8Array.of(0xff, 0xdd, 0, 4, 0, 0);

/** One grey JPEG file a component, each of the component's own size. */
export function jpegPlanes(bytes: Uint8Array, frame: Frame, where: string): Uint8Array[] {
  const planes = frame.components.map((): Uint8Array[] => [Uint8Array.of(0xff, 0xd8)]);
  const tables = new Map<number, Uint32Array>(); // by class and number, as DHT has them
  let restart: Uint8Array = NO_RESTART;
  for (const { marker, at, end, dataEnd } of jpegSegments(bytes)) {
    const segment = bytes.subarray(at, end);
    if (marker === 0xc4) readTables(segment, tables, where);
    if (marker === 0xdd) restart = segment;
    if (marker === 0xc4 || marker === 0xdb || marker === 0xdd) for (const plane of planes) plane.push(segment);
    if (marker === frame.coding) planes.forEach((plane, c) => plane.push(frameOf(frame, c)));
    if (marker !== 0xda) continue;

    const scan = readScan(segment, frame, where);
    const data = bytes.subarray(end, dataEnd);
    if (scan.parts.length === 1) {
      planes[scan.parts[0].component].push(scanOf(frame, scan, scan.parts[0], scan.parts[0].dc), data);
      continue;
    }
    const dealt = deal(data, frame, scan, tables, where);
    for (const [i, part] of scan.parts.entries()) {
      planes[part.component].push(dcTable(), NO_RESTART, scanOf(frame, scan, part, DC_TABLE), dealt[i], restart);
    }
  }
  return planes.map((parts) => concat([...parts, Uint8Array.of(0xff, 0xd9)]));
}

/** Size of a component: its share of the image. */
export function planeSize({ width, height, components }: Frame, c: number): { width: number; height: number } {
  const [maxH, maxV] = largest(components);
  const { h, v } = components[c];
  return { width: Math.ceil((width * h) / maxH), height: Math.ceil((height * v) / maxV) };
}

export function largest(components: Frame["components"]): [h: number, v: number] {
  return [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))];
}

function frameOf(frame: Frame, c: number): Uint8Array {
  const { width, height } = planeSize(frame, c);
  const { id, quantization } = frame.components[c];
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  return Uint8Array.of(0xff, frame.coding, 0, 11, 8, ...size, 1, id, 0x11, quantization);
}

interface Scan {
  parts: { component: number; dc: number; ac: number }[];
  first: number;
  last: number;
  /** successive approximation: high and low bit positions */
  high: number;
  low: number;
}

function readScan(segment: Uint8Array, { components }: Frame, where: string): Scan {
  const count = segment[4];
  const parts = Array.from({ length: count }, (_, i) => {
    const [id, use] = segment.subarray(5 + 2 * i);
    return { component: components.findIndex((component) => component.id === id), dc: use >> 4, ac: use & 15 };
  });
  const [first, last, bits] = segment.subarray(5 + 2 * count);
  if (segment.length !== 8 + 2 * count || parts.some(({ component }) => component < 0)) {
    throw damaged(where, "scans of the frame's components");
  }
  return { parts, first, last, high: bits >> 4, low: bits & 15 };
}

function scanOf(frame: Frame, { first, last, high, low }: Scan, { component, ac }: Scan["parts"][0], dc: number) {
  const { id } = frame.components[component];
  return Uint8Array.of(0xff, 0xda, 0, 8, 1, id, (dc << 4) | ac, first, last, (high << 4) | low);
}

function dcTable(): Uint8Array {
  return Uint8Array.of(0xff, 0xc4, 0, 31, DC_TABLE, ...DC_LENGTHS, ...DC_SIZES.keys());
}

/** For each 16 bits that come next: length of the code « 8, and its symbol; 0 where no code begins so. */
function readTables(segment: Uint8Array, tables: Map<number, Uint32Array>, where: string): void {
  for (let at = 4; at + 17 <= segment.length;) {
    const key = segment[at];
    const lengths = segment.subarray(at + 1, at + 17);
    const table = new Uint32Array(65536);
    at += 17;
    for (let length = 1, code = 0; length <= 16; length++, code <<= 1) {
      for (let i = 0; i < lengths[length - 1]; i++, code++, at++) {
        if (at >= segment.length || code >= 1 << length) throw damaged(where, "whole tables of codes");
        table.fill((length << 8) | segment[at], code << (16 - length), (code + 1) << (16 - length));
      }
    }
    tables.set(key, table);
  }
}

/** The coded data of each component of an interleaved scan, its blocks row by row. */
function deal(data: Uint8Array, frame: Frame, scan: Scan, tables: Map<number, Uint32Array>, where: string) {
  const { components, width, height } = frame;
  const [maxH, maxV] = largest(components);
  const [mcusX, mcusY] = [Math.ceil(width / (8 * maxH)), Math.ceil(height / (8 * maxV))];
  const input = new BitReader(data, where);
  const refining = scan.high > 0;
  const parts = scan.parts.map(({ component, dc, ac }) => {
    const { h, v } = components[component];
    const size = planeSize(frame, component);
    const [columns, rows] = [Math.ceil(size.width / 8), Math.ceil(size.height / 8)];
    const [dcTable, acTable] = [tables.get(dc), tables.get(0x10 | ac)];
    if ((!refining && !dcTable) || (scan.last > 0 && !acTable)) throw damaged(where, "tables for its scans");
    const blocks = {
      values: new Int32Array(columns * rows),
      from: new Float64Array(columns * rows),
      to: new Float64Array(columns * rows),
    };
    return { h, v, columns, rows, dcTable, acTable, blocks, predicted: 0 };
  });

  for (let mcu = 0; mcu < mcusX * mcusY; mcu++) {
    if (frame.restart > 0 && mcu > 0 && mcu % frame.restart === 0) {
      input.nextInterval();
      for (const part of parts) part.predicted = 0;
    }
    for (const part of parts) {
      for (let b = 0; b < part.h * part.v; b++) {
        const column = (mcu % mcusX) * part.h + (b % part.h);
        const row = Math.floor(mcu / mcusX) * part.v + Math.floor(b / part.h);
        let value: number;
        if (refining) {
          value = input.read(1);
        } else {
          value = part.predicted += input.signed(input.symbol(part.dcTable!));
        }
        const from = input.at;
        for (let k = 1; k <= scan.last; k++) {
          const symbol = input.symbol(part.acTable!);
          const size = symbol & 15;
          if (size === 0 && symbol !== 0xf0) break; // the end of the block
          k += symbol >> 4;
          input.skip(size);
        }
        if (column >= part.columns || row >= part.rows) continue; // only fills the last unit up
        const i = row * part.columns + column;
        part.blocks.values[i] = value;
        part.blocks.from[i] = from;
        part.blocks.to[i] = input.at;
      }
    }
  }
  return parts.map(({ blocks: { values, from, to } }) => {
    const output = new BitWriter();
    for (let i = 0, before = 0; i < values.length; before = values[i++]) {
      if (refining) output.write(values[i], 1);
      else output.writeDc(values[i] - before);
      input.copy(from[i], to[i], output);
    }
    return output.finish();
  });
}

/** Bits of a scan's data, without stuffed bytes and restart markers. */
class BitReader {
  /** in bits */
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #where: string;
  /** bits at which an interval ends */
  readonly #ends: number[] = [];
  #interval = 0;

  constructor(data: Uint8Array, where: string) {
    const bytes = new Uint8Array(data.length + 4);
    let to = 0;
    for (let i = 0; i < data.length; i++) {
      if (data[i] === 0xff && i + 1 < data.length && data[i + 1] !== 0)
        this.#ends.push(8 * to); // RST
      else bytes[to++] = data[i];
      if (data[i] === 0xff) i++;
    }
    this.#ends.push(8 * to);
    this.#bytes = bytes;
    this.#where = where;
  }

  nextInterval(): void {
    this.at = this.#ends[this.#interval++];
    if (this.#interval >= this.#ends.length) throw damaged(this.#where, "restart markers");
  }

  peek16(): number {
    const byte = this.at >>> 3;
    const word = (this.#bytes[byte] << 16) | (this.#bytes[byte + 1] << 8) | this.#bytes[byte + 2];
    return (word >>> (8 - (this.at & 7))) & 0xffff;
  }

  symbol(table: Uint32Array): number {
    const found = table[this.peek16()];
    if (found === 0) throw damaged(this.#where, "codes of its tables");
    this.skip(found >> 8);
    return found & 255;
  }

  skip(bits: number): void {
    this.at += bits;
    if (this.at > this.#ends[this.#interval]) throw damaged(this.#where, "all of its data");
  }

  read(bits: number): number {
    const value = this.peek16() >>> (16 - bits);
    this.skip(bits);
    return value;
  }

  /** A difference of so many bits: T.81, F.2.2.1. */
  signed(size: number): number {
    if (size === 0) return 0;
    const value = this.read(size);
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  copy(from: number, to: number, output: BitWriter): void {
    for (this.at = from; this.at < to;) {
      const bits = Math.min(16, to - this.at);
      output.write(this.peek16() >>> (16 - bits), bits);
      this.at += bits;
    }
  }
}

class BitWriter {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;
  #held = 0;
  #bits = 0;

  write(value: number, bits: number): void {
    this.#held = (this.#held << bits) | value;
    this.#bits += bits;
    for (; this.#bits >= 8; this.#bits -= 8) this.#put((this.#held >>> (this.#bits - 8)) & 255);
    this.#held &= (1 << this.#bits) - 1;
  }

  writeDc(difference: number): void {
    const size = 32 - Math.clz32(Math.abs(difference));
    this.write(DC_CODES[size], DC_SIZES[size]);
    if (size > 0) this.write(difference < 0 ? difference + (1 << size) - 1 : difference, size);
  }

  finish(): Uint8Array {
    if (this.#bits > 0) this.write((1 << (8 - this.#bits)) - 1, 8 - this.#bits);
    return this.#bytes.subarray(0, this.#length);
  }

  #put(byte: number): void {
    if (this.#length + 2 > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
    if (byte === 0xff) this.#bytes[this.#length++] = 0;
  }
}

function damaged(where: string, expected: string): ImageError {
  return new ImageError(where, `a JPEG file with ${expected}`, "others", "the file is truncated or damaged");
}
