import { ImageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { decodedByBrowser } from "./canvas.ts";
import type { ImageHeader, Pixels } from "./pixels.ts";

interface Codec {
  decode(
    bytes: Uint8Array,
    keepOrientation?: boolean,
  ): { width: number; height: number; data: Uint8ClampedArray } | null;
}

/** What Emscripten makes of a codec: a function that instantiates it. */
type CodecFactory<C> = (options: {
  noInitialRun: true;
  printErr: (line: string) => void;
  instantiateWasm: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => object;
}) => Promise<C>;

/** Instantiates an @jsquash codec, whose wasm file is compiled once. */
export function jsquashCodec<C>(wasmFile: string, factory: CodecFactory<C>, printErr: (line: string) => void) {
  let compiled: ReturnType<typeof platform.dependencyWasm> | undefined;
  return async (): Promise<C> => {
    const module = await (compiled ??= platform.dependencyWasm(wasmFile));
    return factory({
      noInitialRun: true,
      printErr,
      instantiateWasm(imports, done) {
        const instance = new WebAssembly.Instance(module, imports);
        done(instance);
        return instance.exports;
      },
    });
  };
}

const KEEP_BYTES = 2 ** 26;

/**
 * bytes → RGBA by an @jsquash codec. An instance serves again unless it failed (a codec that trapped or exited cannot be
 * used) or decoded more than KEEP_BYTES (a wasm memory never shrinks).
 *
 * @param header finds the EXIF part, for where a browser decodes instead
 * @param damage which of the codec's warnings mean that its pixels are not the image's
 */
export function jsquashDecoder(
  wasmFile: string,
  factory: CodecFactory<Codec>,
  header: (bytes: Uint8Array, where: string) => ImageHeader,
  decode: (codec: Codec, bytes: Uint8Array) => ReturnType<Codec["decode"]>,
  damage?: RegExp,
) {
  let idle: Codec | undefined;
  const warnings: string[] = [];
  const instantiate = jsquashCodec(wasmFile, factory, (line) => warnings.push(line));

  return async (bytes: Uint8Array, where: string): Promise<Pixels> => {
    let codec = idle;
    try {
      codec ??= await instantiate();
    } catch (cause) {
      if (!(cause instanceof EvalError)) throw cause;
      return decodeElsewhere(bytes, header, where);
    }
    idle = undefined;
    warnings.length = 0;
    try {
      const image = decode(codec, bytes);
      if (!image || warnings.some((line) => damage?.test(line))) throw new Error("no pixels");
      if (image.data.length <= KEEP_BYTES) idle = codec;
      return { width: image.width, height: image.height, channels: 4, data: image.data };
    } catch (cause) {
      const reason = warnings.at(-1) ?? (cause as Error).message;
      throw new ImageError(where, "an intact image", `"${reason}"`, "the file is truncated or damaged", { cause });
    }
  };
}

let told = false;

/** Codecs make functions of strings, which a page's Content-Security-Policy may forbid. */
async function decodeElsewhere(
  bytes: Uint8Array,
  header: (bytes: Uint8Array, where: string) => ImageHeader,
  where: string,
): Promise<Pixels> {
  const why = "the page's Content-Security-Policy lacks 'unsafe-eval', which the package's codecs need";
  if (!told) console.warn(`sam2: JPEG and WebP are decoded by the browser, whose pixels may differ slightly: ${why}`);
  told = true;
  const copy = bytes.slice();
  header(copy, where).exif?.fill(0); // else the browser turns the image, which is done here
  try {
    return { ...(await decodedByBrowser(copy, where)), channels: 4 };
  } catch (cause) {
    const got = `"${(cause as Error).message}"`;
    throw new ImageError(where, "an intact image", got, "the file is truncated or damaged", { cause });
  }
}
