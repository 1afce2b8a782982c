/** The headers of the studio's page, wherever it is served: by the command, by a static host, or by its service worker. */

/** Pages that have these may share memory between threads. */
export const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** The worker that fetches the address of a picture which a visitor has typed, and does nothing else. */
export const ADDRESS_WORKER = "address.js";

/** From where models are downloaded. */
const MODELS = "https://huggingface.co https://*.huggingface.co https://*.hf.co";

const policy = (connect: string) =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "worker-src 'self' blob:", // mediabunny makes one that parts colours from alpha; this policy holds in it too
    "manifest-src 'self'",
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

const FROM_PAGE = `'self' blob: ${MODELS}`;

/** As a page can say of itself: who may show it in a frame is for a header alone. */
export function policyOfPage(): string {
  return policy(FROM_PAGE).replace(/; frame-ancestors [^;]+/, "");
}

/** Of a file by its path from the page's folder. Nothing can be sent anywhere but to where models come from. */
export function headersOf(path: string): Record<string, string> {
  const connect = path === ADDRESS_WORKER ? "http: https:" : FROM_PAGE;
  return { ...ISOLATION, "Content-Security-Policy": policy(connect), "X-Content-Type-Options": "nosniff" };
}
