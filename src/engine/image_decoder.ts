import type { RgbImage } from "../io/pixels.ts";
import { platform } from "../platform/platform.ts";
import type { Engine } from "./engine.ts";
import { Client } from "./rpc_client.ts";

/** Decodes images in a worker of its own: a photo takes a tenth of a second, in which neither a model nor its caller waits. */
export class ImageDecoder {
  readonly #engine: Engine = new Client((events) => platform.startWorker("engine", events));

  /** @throws ImageError if it is no usable image; the signal's reason if aborted */
  decode(bytes: Uint8Array, signal: AbortSignal): Promise<RgbImage> {
    return this.#engine.call("decode", [bytes], { signal });
  }

  async dispose(): Promise<void> {
    await this.#engine.stop();
  }
}
