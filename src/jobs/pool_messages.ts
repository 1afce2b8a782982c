import type { PackedError } from "../engine/packed_error.ts";
import type { KernelChoice } from "../runtime/create.ts";
import type { JobResult } from "./process.ts";
import type { Progress } from "../predict/progress.ts";
import type { ModelIdentity, Task } from "./task.ts";

/** A model, and how a process computes with it. */
export interface ProcessOptions {
  /** as `Sam2.fromPretrained` takes it */
  model?: string;
  /** name of a variant, where its shapes do not tell */
  config?: string;
  /** side of what the model sees, in pixels; its own by default */
  imageSize?: number;
  /** "auto" by default; "portable" gives the same bits on every CPU */
  kernels?: KernelChoice;
  /** of each process; 1 by default */
  threads?: number;
  /** folder where videos keep how far they are */
  scratch?: string;
}

/** What a process is told. */
export type ToProcess = { load: ProcessOptions } | { run: number; task: Task } | { abort: number };

/** What a process says. */
export type FromProcess =
  | { ready: ModelIdentity }
  | { broken: PackedError }
  | { notice: string }
  | { of: number; progress: Progress }
  | { of: number; result: JobResult }
  | { of: number; error: PackedError; isAccident: boolean };
