import { platform } from "./platform.ts";
import { unzlibSync, zlibSync } from "./vendor.ts";

/**
 * zlib stream → bytes: by the platform's own zlib, else by a library's, which is named here, so that a page that neither
 * reads nor writes PNG is bundled without it.
 *
 * @throws Error if there are more than `limit`, which is found before they are made, or the stream is damaged or cut off
 */
export function inflate(stream: Uint8Array, limit: number): Uint8Array {
  return platform.inflate?.(stream, limit) ?? unzlibSync(stream, { out: new Uint8Array(limit) });
}

/**
 * Bytes → zlib stream; the same one whenever the same program runs on the same machine. `runs`: the bytes mostly repeat, as
 * those of masks do, so that no more than runs need be looked for.
 */
export function deflate(bytes: Uint8Array, runs?: boolean): Uint8Array {
  return platform.deflate?.(bytes, runs) ?? zlibSync(bytes, { level: runs ? 1 : 6 });
}
