// The order of a JPEG file: ITU-T T.81, annex B.

/** What the frame header says, and what decides how its data are to be read. */
export interface Frame {
  width: number;
  height: number;
  /** the marker: 0xc0 baseline, 0xc1 extended, 0xc2 progressive */
  coding: number;
  components: { id: number; h: number; v: number; quantization: number }[];
  /** units between restart markers, or 0 */
  restart: number;
  /** of Adobe's segment: 0 as they are, 1 YCbCr, 2 YCCK; undefined without one */
  adobe?: number;
}

export interface Segment {
  marker: number;
  /** of its 0xff */
  at: number;
  end: number;
  /** of a scan, where its coded data end */
  dataEnd: number;
}

/** All segments that have a length, up to the end of the image or of what can be read as one. */
export function* jpegSegments(bytes: Uint8Array): Generator<Segment> {
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === 0xff || marker === 0) {
      at++; // padding and stray bytes, which libjpeg skips too
      continue;
    }
    if (marker === 0xd9) return;
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2; // markers without a segment
      continue;
    }
    const end = at + 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (end > bytes.length) return;
    const dataEnd = marker === 0xda ? endOfData(bytes, end) : end;
    yield { marker, at, end, dataEnd };
    at = dataEnd;
  }
}

/** Where a marker stands that is neither a stuffed byte nor a restart. */
function endOfData(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(0xff, start); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    if (next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  return bytes.length;
}
