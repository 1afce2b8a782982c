import { createHash } from "node:crypto";

/** SHA-256 as 64 letters, at once: a digest by another thread, as Web Crypto's, comes late where models take all cores. */
export function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
