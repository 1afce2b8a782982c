import { CheckpointError } from "../errors.ts";
import { crc32 } from "./crc32.ts";
import { type ByteSource, readExactly, readPieces, uint64 } from "./tensor_file.ts";

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const END_64_LOCATOR = 0x07064b50;
const MAX_DIRECTORY = 2 ** 26; // hundreds of thousands of records: no checkpoint has more
const FLAG_ENCRYPTED = 1;
const FLAG_SIZES_BEHIND_DATA = 8;

/** One stored file of an archive. */
export class ZipRecord {
  readonly name: string;
  readonly size: number;
  readonly #source: ByteSource;
  readonly #offset: number;
  readonly #method: number;
  readonly #crc: number;
  #checked = false;

  constructor(source: ByteSource, offset: number, { name, size, method, crc }: CentralEntry) {
    this.name = name;
    this.size = size;
    this.#source = source;
    this.#offset = offset;
    this.#method = method;
    this.#crc = crc;
  }

  /**
   * Hand the bytes from `start` to `end` to `take`, piece by piece; `at` counts from `start`. The first call reads the
   * whole record and checks its CRC-32 on the way.
   *
   * @throws CheckpointError if the record is compressed, and after the last piece if it is damaged
   */
  stream(start: number, end: number, take: (piece: Uint8Array, at: number) => void): void {
    const what = `record ${this.name}`;
    const where = `${this.#source.name}: ${what}`;
    if (this.#method !== 0) {
      const todo = "save it with torch.save, which does not compress";
      throw new CheckpointError(where, "a stored record (method 0)", `compression method ${this.#method}`, todo);
    }
    if (this.#checked) {
      readPieces(this.#source, what, this.#offset + start, end - start, take);
      return;
    }
    let crc = 0;
    readPieces(this.#source, what, this.#offset, this.size, (piece, at) => {
      crc = crc32(piece, crc);
      const from = Math.max(start, at);
      const to = Math.min(end, at + piece.length);
      if (from < to) take(piece.subarray(from - at, to - at), from - start);
    });
    if (crc !== this.#crc) {
      const hex = (value: number) => value.toString(16).padStart(8, "0");
      throw new CheckpointError(where, `CRC ${hex(this.#crc)}`, hex(crc), "copy or download the file again");
    }
    this.#checked = true;
  }

  /** All bytes, as a copy: for small records. */
  bytes(): Uint8Array {
    const all = new Uint8Array(this.size);
    this.stream(0, this.size, (piece, at) => all.set(piece, at));
    return all;
  }

  /** Check the CRC-32 unless that has been done. */
  verify(): void {
    if (!this.#checked) this.stream(0, 0, () => {});
  }
}

/**
 * The records of a zip archive: not encrypted, one name once, one place once, and each local header agreeing with the
 * central directory.
 *
 * @throws CheckpointError naming the record
 * @source PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3
 */
export function readZip(source: ByteSource): Map<string, ZipRecord> {
  const directory = findDirectory(source);
  const bytes = readExactly(source, "central directory", directory.offset, directory.size).slice();
  const view = new DataView(bytes.buffer);
  const records = new Map<string, ZipRecord>();
  const spans: { name: string; start: number; end: number }[] = [];
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    const where = `${source.name}: central directory, entry ${i}`;
    if (at + 46 > bytes.length || view.getUint32(at, true) !== CENTRAL_HEADER) {
      throw damaged(where, `an entry at byte ${at}`, "none");
    }
    const next =
      at + 46 + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > bytes.length) throw damaged(where, "an entry inside the directory", `one that ends at ${next}`);
    const entry = readCentralEntry(view, at, where);
    const name = entry.name;
    const record = `${source.name}: record ${name}`;
    if (records.has(name)) throw damaged(record, "every name once", "the name again");
    if (entry.disk !== 0) throw damaged(record, "an archive in one file", `a record on disk ${entry.disk}`);
    if (entry.flags & FLAG_ENCRYPTED) throw damaged(record, "a plain record", "an encrypted one");
    if (entry.method === 0 && entry.compressed !== entry.size) {
      throw damaged(record, `a stored record of ${entry.size} bytes`, `${entry.compressed}`);
    }
    const start = expectSameLocalHeader(source, entry, record);
    records.set(name, new ZipRecord(source, start, entry));
    spans.push({ name, start: entry.offset, end: start + entry.compressed });
    at = next;
  }
  if (at !== bytes.length) throw damaged(source.name, `${bytes.length} bytes of central directory`, `entries in ${at}`);

  let reached = 0;
  for (const { name, start, end } of spans.sort((a, b) => a.start - b.start)) {
    const record = `${source.name}: record ${name}`;
    if (start < reached) throw damaged(record, `a start from ${reached}, behind the record before it`, `${start}`);
    if (end > directory.offset) throw damaged(record, `an end before the directory at ${directory.offset}`, `${end}`);
    reached = end;
  }
  return records;
}

function damaged(where: string, expected: string, got: string): CheckpointError {
  return new CheckpointError(where, expected, got, "copy or download the file again");
}

/** Where the central directory lies, from the records at the end of the file. */
function findDirectory(source: ByteSource): { offset: number; size: number; count: number } {
  const tailSize = Math.min(source.size, 22 + 0xffff);
  const tailStart = source.size - tailSize;
  const tail = readExactly(source, "end of the archive", tailStart, tailSize).slice();
  const view = new DataView(tail.buffer);
  let end = tailSize - 22;
  while (end >= 0 && !(view.getUint32(end, true) === END && end + 22 + view.getUint16(end + 20, true) === tailSize))
    end--;
  if (end < 0) throw damaged(source.name, "the end record of a zip archive", "none: the file is cut off");

  const where = `${source.name}: end record`;
  let last = tailStart + end;
  let count = view.getUint16(end + 10, true);
  let size = view.getUint32(end + 12, true);
  let offset = view.getUint32(end + 16, true);
  let disks = view.getUint32(end + 4, true) !== 0 || view.getUint16(end + 8, true) !== count;
  if (end >= 20 && view.getUint32(end - 20, true) === END_64_LOCATOR) {
    const at = uint64(view, end - 12);
    const end64 = readExactly(source, "zip64 end record", at, 56);
    const view64 = new DataView(end64.buffer, end64.byteOffset, 56);
    if (view64.getUint32(0, true) !== END_64 || at + 12 + uint64(view64, 4) !== last - 20) {
      throw damaged(where, `a zip64 end record at ${at}, next to its locator`, "another");
    }
    const wide = { count: uint64(view64, 32), size: uint64(view64, 40), offset: uint64(view64, 48) };
    const agree = [
      count === 0xffff || count === wide.count,
      size === 0xffffffff || size === wide.size,
      offset === 0xffffffff || offset === wide.offset,
    ];
    if (agree.includes(false)) throw damaged(where, "the numbers of the zip64 end record", "others");
    ({ count, size, offset } = wide);
    const [disk, disksInAll] = [view.getUint32(end - 16, true), view.getUint32(end - 4, true)];
    disks = uint64(view64, 16) !== 0 || uint64(view64, 24) !== count || disk !== 0 || disksInAll !== 1;
    last = at;
  }
  if (disks) throw damaged(where, "an archive in one file", "a part of several");
  if (size > MAX_DIRECTORY) throw damaged(where, `at most ${MAX_DIRECTORY} bytes of central directory`, `${size}`);
  if (offset + size !== last) throw damaged(where, `a central directory that ends at ${last}`, `${offset + size}`);
  return { offset, size, count };
}

type CentralEntry = ReturnType<typeof readCentralEntry>;

function readCentralEntry(view: DataView, at: number, where: string) {
  const nameSize = view.getUint16(at + 28, true);
  const extraSize = view.getUint16(at + 30, true);
  const entry = {
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    compressed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    disk: view.getUint16(at + 34, true),
    offset: view.getUint32(at + 42, true),
    nameBytes: new Uint8Array(view.buffer, at + 46, nameSize),
    name: "",
  };
  try {
    entry.name = new TextDecoder("utf-8", { fatal: true }).decode(entry.nameBytes);
  } catch {
    throw damaged(where, "a name in UTF-8", "other bytes");
  }
  // zip64: each number that does not fit its field stands in extra field 1, in this order
  const wide = (["size", "compressed", "offset"] as const).filter((field) => entry[field] === 0xffffffff);
  let extra = at + 46 + nameSize;
  const extraEnd = extra + extraSize;
  while (wide.length > 0 && extra + 4 <= extraEnd && view.getUint16(extra, true) !== 1) {
    extra += 4 + view.getUint16(extra + 2, true);
  }
  if (
    wide.length > 0 &&
    (extra + 4 + 8 * wide.length > extraEnd || view.getUint16(extra + 2, true) < 8 * wide.length)
  ) {
    throw damaged(where, `a zip64 field with ${wide.join(", ")}`, "none");
  }
  for (const [i, field] of wide.entries()) entry[field] = uint64(view, extra + 4 + 8 * i);
  return entry;
}

/** @returns where the data of the record starts */
function expectSameLocalHeader(source: ByteSource, entry: CentralEntry, record: string): number {
  const header = readExactly(source, "local header", entry.offset, 30 + entry.nameBytes.length);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const sizesBehindData = (entry.flags & FLAG_SIZES_BEHIND_DATA) !== 0;
  const fits = (at: number, value: number) => {
    const local = view.getUint32(at, true);
    return local === value || (sizesBehindData && local === 0) || (at > 14 && local === 0xffffffff);
  };
  const agree =
    view.getUint32(0, true) === LOCAL_HEADER &&
    view.getUint16(6, true) === entry.flags &&
    view.getUint16(8, true) === entry.method &&
    fits(14, entry.crc) &&
    fits(18, entry.compressed) &&
    fits(22, entry.size) &&
    view.getUint16(26, true) === entry.nameBytes.length &&
    entry.nameBytes.every((byte, i) => byte === header[30 + i]);
  if (!agree) throw damaged(record, `a local header like the directory's at ${entry.offset}`, "another");
  return entry.offset + 30 + entry.nameBytes.length + view.getUint16(28, true);
}
