/** The files of a ZIP that Archive wrote: pieces of it, of which nothing is read into memory but to check them. */
import { inflateSync } from "fflate";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const END_BYTES = 22;
/** @units bytes */
const PIECE = 2 ** 24;

/** @throws Error if it is no whole ZIP file, or one of its files is damaged */
export async function unpack(zip: Blob): Promise<Map<string, Blob>> {
  const tail = await view(zip, Math.max(0, zip.size - END_BYTES), zip.size);
  if (tail.byteLength < END_BYTES || tail.getUint32(0, true) !== END) throw new Error("its end is missing");
  const [bytes, start] = [tail.getUint32(12, true), tail.getUint32(16, true)];
  const list = await view(zip, start, start + bytes);
  const files = new Map<string, Blob>();
  for (let at = 0; at < list.byteLength;) {
    if (list.byteLength < at + 46 || list.getUint32(at, true) !== ENTRY)
      throw new Error("its list of files is damaged");
    const [method, crc, size] = [
      list.getUint16(at + 10, true),
      list.getUint32(at + 16, true),
      list.getUint32(at + 20, true),
    ];
    const [nameBytes, more] = [
      list.getUint16(at + 28, true),
      list.getUint16(at + 30, true) + list.getUint16(at + 32, true),
    ];
    const header = list.getUint32(at + 42, true);
    const name = new TextDecoder().decode(new Uint8Array(list.buffer, at + 46, nameBytes));
    const head = await view(zip, header, header + 30);
    const first = header + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    const stored = zip.slice(first, first + size);
    const file =
      method === 0 ? stored : new Blob([inflateSync(new Uint8Array(await stored.arrayBuffer())) as BlobPart]);
    if ((await crcOf(file)) !== crc) throw new Error(`${name} in it is damaged`);
    files.set(name, file);
    at += 46 + nameBytes + more;
  }
  return files;
}

async function view(zip: Blob, from: number, to: number): Promise<DataView<ArrayBuffer>> {
  const part = await zip.slice(from, to).arrayBuffer();
  if (part.byteLength !== to - from) throw new Error("a part of it is missing");
  return new DataView(part);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** CRC-32, as ZIP has it. */
async function crcOf(file: Blob): Promise<number> {
  let crc = 0xffffffff;
  for (let at = 0; at < file.size; at += PIECE) {
    for (const byte of new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer())) {
      crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}
