import { Buffer } from "node:buffer";
import { ImageError } from "../errors.ts";

/** Base64, or its form for addresses; padding may be missing, line breaks are passed over. @throws ImageError */
export function decodeBase64(text: string, where: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (bytes.length === Math.floor(((text.length - padding) * 3) / 4) && (text.length - padding) % 4 !== 1) return bytes;

  // Buffer passes over what is no base64, so the length tells that there is some
  const chars = text.replace(/\s+/g, "");
  if (chars.length < text.length) return decodeBase64(chars, where);
  const at = chars.search(/[^\w+/-]/);
  const got = at < 0 ? `${chars.length} characters` : `${JSON.stringify(chars[at])} as character ${at}`;
  throw new ImageError(where, "base64", got, "encode the whole file, e.g. by base64 -w0");
}

/** The bytes of a `data:` address. @throws ImageError */
export function decodeDataUri(uri: string, where: string): Uint8Array<ArrayBuffer> {
  const comma = uri.indexOf(",");
  if (comma < 0 || !/^data:[^,]*;base64$/i.test(uri.slice(0, comma))) {
    throw new ImageError(where, "data:…;base64,…", JSON.stringify(uri.slice(0, 40)), "encode the bytes in base64");
  }
  return decodeBase64(uri.slice(comma + 1), where);
}
