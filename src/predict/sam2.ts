import { type Checkpoint, type CheckpointSource, readCheckpoint } from "../io/checkpoint.ts";
import { unnamedModel } from "../io/demo_model.ts";
import { Weights } from "../io/weights.ts";
import type { Sam2Config } from "../model/config.ts";
import { type ConfigOptions, checkpointConfig } from "../model/load.ts";
import { type Sam2Graph, sam2 } from "../model/sam2.ts";
import { type Tracker, tracker } from "../model/tracker.ts";
import { platform } from "../platform/platform.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { type Machine, withMachine } from "../runtime/machine.ts";

export interface LoadOptions extends ConfigOptions {
  /** "auto" (default) takes the fastest kernels of the machine; "portable" gives the same bits on every CPU */
  kernels?: KernelChoice;
  /** all cores by default, but at most 16 */
  threads?: number;
  /** false leaves out what video alone needs, which saves memory; the digest leaves it out too. True by default */
  video?: boolean;
  signal?: AbortSignal;
  /** bytes downloaded so far */
  onProgress?: (loaded: number, total: number | undefined) => void;
}

/** More are of little use unless asked for: memory is the limit. */
const MOST_THREADS = 16;

export function defaultThreads(): number {
  return Math.min(platform.cores(), MOST_THREADS);
}

/** The graph for images; with `tracker`, which an image-only checkpoint lacks, for video too. */
export type Graph = Sam2Graph & { readonly tracker?: Tracker };

/** A model that is loaded and ready: the graph, and the machine that it runs on. */
export class Sam2 {
  readonly config: Sam2Config;
  readonly machine: Machine;
  /** tells checkpoints apart, whatever the file's format */
  readonly digest: string;
  readonly #graph: Graph;
  #macsOfImage?: number;

  constructor(machine: Machine, weights: Weights, config: Sam2Config, video = true) {
    this.config = config;
    this.machine = machine;
    this.#graph = withMachine(machine, () => {
      const image = sam2(weights, config);
      const tracks = video && weights.has("maskmem_tpos_enc");
      return { ...image, tracker: tracks ? tracker(weights, image) : undefined };
    });
    this.digest = weights.digest();
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
    const checkpoint = await readCheckpoint(source ?? unnamedModel(), options);
    try {
      return await Sam2.fromCheckpoint(checkpoint, options);
    } finally {
      checkpoint.close();
    }
  }

  /** Build the graph of an open checkpoint, which may be closed afterwards. */
  static async fromCheckpoint(checkpoint: Checkpoint, options: LoadOptions = {}): Promise<Sam2> {
    const config = checkpointConfig(checkpoint, options);
    const { kernels = "auto", threads = defaultThreads(), video } = options;
    const machine = await createMachine({ kernels, threads });
    try {
      return new Sam2(machine, new Weights(checkpoint.tensors, machine.heap), config, video);
    } catch (error) {
      machine.dispose();
      throw error;
    }
  }

  /** Has the model what video needs? */
  get canTrack(): boolean {
    return this.#graph.tracker !== undefined;
  }

  /** Run part of the graph; what it allocates and does not return is freed. */
  run<R>(forward: (graph: Graph) => R, signal?: AbortSignal): R {
    return withMachine(this.machine, () => {
      this.machine.signal = signal;
      try {
        return this.machine.heap.scope(() => forward(this.#graph));
      } finally {
        this.machine.signal = undefined;
      }
    });
  }

  /** Run something between two layers of what is running, which finds the machine as it left it. */
  aside<R>(run: () => R): R {
    const { machine } = this;
    const { signal, onLayer, macs } = machine;
    machine.onLayer = undefined;
    try {
      return run();
    } finally {
      Object.assign(machine, { signal, onLayer, macs });
    }
  }

  /** Multiply-adds of an image's features: the graph is walked once with kernels that do nothing. */
  get macsOfImage(): number {
    if (this.#macsOfImage === undefined) {
      const { machine, config } = this;
      const idle = Object.fromEntries(Object.keys(machine.kernels).map((name) => [name, () => {}]));
      const dry: Machine = { ...machine, kernels: idle as unknown as Machine["kernels"], macs: 0, onLayer: undefined };
      machine.heap.scope(() => {
        withMachine(dry, () => this.#graph.forwardImage(dry.heap.alloc([1, config.imageSize, config.imageSize, 3])));
      });
      this.#macsOfImage = dry.macs;
    }
    return this.#macsOfImage;
  }

  /** End the helper threads. The model cannot be used any more. */
  dispose(): void {
    this.machine.dispose();
  }
}
