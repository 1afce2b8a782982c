import { platform } from "../platform/platform.ts";

const SLICES = 16;

/** TABLES[256·k + n]: the remainder of byte n followed by k zero bytes, so that 16 bytes are folded at once. */
const TABLES = new Int32Array(SLICES * 256);
for (let n = 0; n < 256; n++) {
  let rest = n;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  TABLES[n] = rest;
}
for (let i = 256; i < TABLES.length; i++) TABLES[i] = (TABLES[i - 256] >>> 8) ^ TABLES[TABLES[i - 256] & 0xff];

/**
 * The checksum of zip and PNG files: CRC-32 with the reflected polynomial 0xEDB88320, 1.9 GB/s without the platform's.
 *
 * @param crc checksum of the bytes before these: `crc32(b, crc32(a))` is that of a and b together
 * @source M. Kounavis, F. Berry, "A systematic approach to building high performance, software-based, CRC generators"
 */
export function crc32(bytes: Uint8Array, crc = 0): number {
  if (platform.crc32) return platform.crc32(bytes, crc);
  const t = TABLES;
  let c = ~crc;
  let i = 0;
  for (const end = bytes.length - SLICES; i <= end; i += SLICES) {
    c =
      t[3840 + ((bytes[i] ^ c) & 0xff)] ^
      t[3584 + ((bytes[i + 1] ^ (c >>> 8)) & 0xff)] ^
      t[3328 + ((bytes[i + 2] ^ (c >>> 16)) & 0xff)] ^
      t[3072 + (bytes[i + 3] ^ (c >>> 24))] ^
      t[2816 + bytes[i + 4]] ^
      t[2560 + bytes[i + 5]] ^
      t[2304 + bytes[i + 6]] ^
      t[2048 + bytes[i + 7]] ^
      t[1792 + bytes[i + 8]] ^
      t[1536 + bytes[i + 9]] ^
      t[1280 + bytes[i + 10]] ^
      t[1024 + bytes[i + 11]] ^
      t[768 + bytes[i + 12]] ^
      t[512 + bytes[i + 13]] ^
      t[256 + bytes[i + 14]] ^
      t[bytes[i + 15]];
  }
  for (; i < bytes.length; i++) c = t[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
  return ~c >>> 0;
}
