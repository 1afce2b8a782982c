/**
 * The model as users hold it: a promise of what a worker of its own does (service.ts), so that the caller's thread never
 * computes. Beside it the predictors, with the names and meanings of those in predict/.
 */
import { CheckpointError, UsageError } from "../errors.ts";
import type { CheckpointSource } from "../io/checkpoint.ts";
import { unnamedModel } from "../io/demo_model.ts";
import { kindOf, tagOf } from "../io/kind_of.ts";
import { expectOptions, FLAG, type Kinds, oneOf, TEXT, whole } from "../io/options.ts";
import type { Sam2Config } from "../model/config.ts";
import { platform } from "../platform/platform.ts";
import type { LoadOptions as ThreadLoadOptions } from "../predict/sam2.ts";
import { CALL_KINDS, type CallOptions, type Engine, engineOf, rpcOptions, setEngine } from "./engine.ts";
import { Client } from "./rpc_client.ts";
import type { ModelInfo } from "./service.ts";

/** That the memory's bookkeeping allows. */
const MOST_THREADS = 256;

/** Options of `Sam2.fromPretrained`. */
export interface LoadOptions extends Omit<ThreadLoadOptions, "onProgress" | "signal">, CallOptions {
  /** Nobody waits for it: its threads take what others leave of the cores. Linux alone knows that of threads. */
  background?: boolean;
}

const LOAD_KINDS: Kinds<LoadOptions> = {
  kernels: oneOf(["auto", "portable", "reference"]),
  threads: whole(1, MOST_THREADS),
  video: FLAG,
  background: FLAG,
  config: TEXT,
  imageSize: whole(1),
  ...CALL_KINDS,
};

/**
 * A model in a worker of its own. Calls run in the order in which they were made; up to 64 may wait, and more are rejected
 * with QueueError. In Node, a `predict` waits for calls to its own predictor alone: it goes between two layers of what
 * others are at, so that a click does not wait until another image is encoded.
 *
 * @example
 * await using sam2 = await Sam2.fromPretrained("tiny");
 */
export class Sam2 {
  /** sizes, image size, version and name of the model */
  readonly config: Sam2Config;
  /** tells checkpoints apart, whatever the file's format */
  readonly digest: string;
  /** Has the model what video needs? */
  readonly canTrack: boolean;
  /** threads that compute, the worker's own included */
  readonly threads: number;
  /** Which kernels, register tile and threads were chosen, and why, line by line. */
  readonly chosen: readonly string[];

  private constructor(engine: Engine, info: ModelInfo) {
    if (!(engine instanceof Client)) {
      throw new UsageError("Sam2", "Sam2.fromPretrained", "new Sam2", "await Sam2.fromPretrained(…)");
    }
    const { config, digest, canTrack, threads, chosen } = info;
    setEngine(this, engine);
    this.config = config;
    this.digest = digest;
    this.canTrack = canTrack;
    this.threads = threads;
    this.chosen = chosen;
  }

  /**
   * Load a model by its name, from the cache or else from the network: "nano", "tiny", "2.0:large", "sam2.1_hiera_tiny",
   * "facebook/sam2.1-hiera-tiny" …; what exists as a path counts more. Or load Meta's `.pt`, or `.safetensors` with Meta's
   * or transformers' names: a path, a URL, or bytes. Without a source it is nano, the demo model of the package, and the
   * console says so once.
   *
   * In Node the cache is the command line's, and SAM2_CACHE, SAM2_OFFLINE, SAM2_DOWNLOAD_URL and HTTPS_PROXY are heeded; in
   * a page it is the private file system, else the Cache API.
   *
   * @throws CheckpointError if it is no complete SAM 2 checkpoint, or cannot be downloaded; the signal's reason if aborted
   */
  static async fromPretrained(source?: CheckpointSource, options: LoadOptions = {}): Promise<Sam2> {
    expectOptions(options, LOAD_KINDS, "fromPretrained");
    const calls = rpcOptions(options, [source], "fromPretrained");
    const from = source === undefined ? unnamedModel() : expectSource(source);
    const engine: Engine = new Client((events) => platform.startWorker("engine", events));
    const { signal: _, onProgress: __, transfer: ___, ...others } = options;
    const sent = from instanceof URL ? { href: addressOf(from) } : from;
    try {
      return new Sam2(engine, await engine.call("load", [sent, others], calls));
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  /** End the worker at once and give all its memory back. Calls under way are rejected with EngineError. */
  async dispose(): Promise<void> {
    await engineOf(this, "dispose").stop();
  }

  /** `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Turbopack's URLs of files in the bundle lack the origin. */
function addressOf({ href }: URL): string {
  return href.startsWith("/") ? platform.locate(href) : href;
}

/** @throws CheckpointError that names what is taken */
function expectSource(source: CheckpointSource): CheckpointSource {
  const isBytes = source instanceof Uint8Array || ["ArrayBuffer", "Blob", "File"].includes(tagOf(source));
  if (typeof source === "string" || source instanceof URL || isBytes) return source;
  const expected = "a name, a path, a URL or the bytes of a checkpoint (Uint8Array, ArrayBuffer, Blob)";
  throw new CheckpointError("fromPretrained", expected, kindOf(source), "see the documentation of Sam2.fromPretrained");
}
