import { ImageError } from "../errors.ts";

const CODES = new Uint8Array(256).fill(255);
for (const [value, char] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries()) {
  CODES[char.charCodeAt(0)] = value;
}
CODES["-".charCodeAt(0)] = 62; // as in addresses
CODES["_".charCodeAt(0)] = 63;

/** Base64, or its form for addresses; padding may be missing, line breaks are passed over. @throws ImageError */
export function decodeBase64(text: string, where: string): Uint8Array<ArrayBuffer> {
  const chars = text.replace(/\s+/g, "").replace(/={1,2}$/, "");
  const bytes = new Uint8Array(Math.floor((chars.length * 3) / 4));
  let [at, bits, filled] = [0, 0, 0];
  for (let i = 0; i < chars.length; i++) {
    const code = chars.charCodeAt(i);
    const value = code < 256 ? CODES[code] : 255;
    if (value === 255) {
      const got = `${JSON.stringify(chars[i])} as character ${i}`;
      throw new ImageError(where, "base64", got, "encode the bytes of the file, e.g. by base64 -w0");
    }
    bits = (bits << 6) | value;
    filled += 6;
    if (filled < 8) continue;
    filled -= 8;
    bytes[at++] = (bits >> filled) & 255;
  }
  if (chars.length % 4 === 1) {
    throw new ImageError(where, "base64", `${chars.length} characters`, "send all of it: the end is cut off");
  }
  return bytes;
}

/** The bytes of a `data:` address. @throws ImageError */
export function decodeDataUri(uri: string, where: string): Uint8Array<ArrayBuffer> {
  const comma = uri.indexOf(",");
  const head = uri.slice(0, comma);
  if (!/^data:[^,]*;base64$/i.test(head)) {
    throw new ImageError(where, "data:…;base64,…", JSON.stringify(uri.slice(0, 40)), "encode the bytes in base64");
  }
  return decodeBase64(uri.slice(comma + 1), where);
}
