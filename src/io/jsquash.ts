import { ImageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import type { Raster } from "./pixels.ts";

interface Codec {
  decode(
    bytes: Uint8Array,
    option?: boolean | number,
  ): { width: number; height: number; data: Uint8ClampedArray } | null;
}

/** What Emscripten makes of a codec: a module with a function that instantiates it. */
export type CodecModule<C = Codec> = Promise<{
  default: (options: {
    noInitialRun: true;
    printErr: (line: string) => void;
    instantiateWasm: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => object;
  }) => Promise<C>;
}>;

/** Instantiates an @jsquash codec, whose wasm file is compiled once. */
export function jsquashCodec<C>(wasmFile: string, load: () => CodecModule<C>, printErr: (line: string) => void) {
  let compiled: ReturnType<typeof platform.dependencyWasm> | undefined;
  return async (): Promise<C> => {
    const [module, factory] = await Promise.all([(compiled ??= platform.dependencyWasm(wasmFile)), load()]);
    return factory.default({
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
 * @param damage which of the codec's warnings mean that its pixels are not the image's
 */
export function jsquashDecoder(
  wasmFile: string,
  load: () => CodecModule,
  decode: (codec: Codec, bytes: Uint8Array) => ReturnType<Codec["decode"]>,
  damage?: RegExp,
) {
  let idle: Codec | undefined;
  const warnings: string[] = [];
  const instantiate = jsquashCodec(wasmFile, load, (line) => warnings.push(line));

  return async (bytes: Uint8Array, where: string): Promise<Raster> => {
    const codec = idle ?? (await instantiate());
    idle = undefined;
    warnings.length = 0;
    try {
      const image = decode(codec, bytes);
      if (!image || warnings.some((line) => damage?.test(line))) throw new Error("no pixels");
      if (image.data.length <= KEEP_BYTES) idle = codec;
      return { width: image.width, height: image.height, channels: 4, data: image.data, maxval: 255 };
    } catch (cause) {
      const reason = warnings.at(-1) ?? (cause as Error).message;
      throw new ImageError(where, "an intact image", `"${reason}"`, "the file is truncated or damaged", { cause });
    }
  };
}
