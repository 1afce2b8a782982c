// What bundle.ts puts into the files for browsers

declare module "*.wasm" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}

/** worker.js once more, as text: gzip in base64. */
declare module "worker-source" {
  const packed: string;
  export default packed;
}
