import { type Checkpoint, type CheckpointSource, readCheckpoint } from "../io/checkpoint.ts";
import type { Weights } from "../io/weights.ts";
import { type Sam2Config, type VariantName, variantHyperparameters } from "../model/config.ts";
import { deriveConfig } from "../model/derive_config.ts";
import { loadWeights } from "../model/load.ts";
import { type Sam2Graph, sam2 } from "../model/sam2.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { type Machine, withMachine } from "../runtime/machine.ts";

export interface LoadOptions {
  /** published variant that the model has its windows, heads and global blocks from, if neither shapes nor file tell */
  config?: VariantName;
  /** side of the square that images are resized to, a multiple of 32; smaller is faster and coarser */
  imageSize?: number;
  /** "auto" (default) takes the fastest kernels of the machine; "portable" gives the same bits on every CPU */
  kernels?: KernelChoice;
  signal?: AbortSignal;
  /** bytes downloaded so far */
  onProgress?: (loaded: number, total: number | undefined) => void;
}

/** A model that is loaded and ready: the graph, and the machine that it runs on. */
export class Sam2 {
  readonly config: Sam2Config;
  readonly machine: Machine;
  readonly #graph: Sam2Graph;

  constructor(machine: Machine, weights: Weights, config: Sam2Config) {
    this.config = config;
    this.machine = machine;
    this.#graph = withMachine(machine, () => sam2(weights, config));
  }

  /**
   * Load Meta's `.pt`, or `.safetensors` with Meta's or transformers' names: a path, a URL, or bytes.
   *
   * @throws CheckpointError if it is no complete SAM 2 checkpoint; the signal's reason if aborted
   */
  static async fromPretrained(source: CheckpointSource, options: LoadOptions = {}): Promise<Sam2> {
    const checkpoint = await readCheckpoint(source, options);
    try {
      return await Sam2.fromCheckpoint(checkpoint, options);
    } finally {
      checkpoint.close();
    }
  }

  /** Build the graph of an open checkpoint, which may be closed afterwards. */
  static async fromCheckpoint(checkpoint: Checkpoint, options: LoadOptions = {}): Promise<Sam2> {
    const { config: variant, imageSize, kernels = "auto" } = options;
    const config = deriveConfig(checkpoint.tensors, {
      ...checkpoint.hyperparameters,
      ...(variant && variantHyperparameters(variant)),
      ...(imageSize && { imageSize }),
    });
    const machine = await createMachine({ kernels });
    return new Sam2(machine, loadWeights(checkpoint, config, machine.heap, "image"), config);
  }

  /** Run part of the graph; what it allocates and does not return is freed. */
  run<R>(forward: (graph: Sam2Graph) => R, signal?: AbortSignal): R {
    return withMachine(this.machine, () => {
      this.machine.signal = signal;
      try {
        return this.machine.heap.scope(() => forward(this.#graph));
      } finally {
        this.machine.signal = undefined;
      }
    });
  }
}
