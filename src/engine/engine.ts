import { UsageError } from "../errors.ts";
import { kindOf } from "../io/kind_of.ts";
import type { Followed } from "../predict/progress.ts";
import { buffersOf } from "./rpc.ts";
import type { Client, CallOptions as RpcOptions } from "./rpc_client.ts";
import type { EngineService } from "./service.ts";

/** Options of calls that take long. */
export interface CallOptions extends Followed {
  /** Give the bytes that are passed in away instead of copying them: their buffers are empty afterwards. */
  transfer?: boolean;
}

export type Engine = Client<EngineService>;

/** The engine of a model; kept from users. */
const engines = new WeakMap<object, Engine>();

export function setEngine(sam2: object, engine: Engine): void {
  engines.set(sam2, engine);
}

/** @throws UsageError unless it is a model */
export function engineOf(sam2: object, where: string): Engine {
  const engine = typeof sam2 === "object" && sam2 !== null ? engines.get(sam2) : undefined;
  if (engine) return engine;
  throw new UsageError(where, "a Sam2", kindOf(sam2), "await Sam2.fromPretrained(…) first");
}

/** @throws UsageError unless it is an object */
export function expectOptions(options: unknown, where: string): void {
  if (typeof options === "object" && options !== null && !Array.isArray(options)) return;
  throw new UsageError(where, "an object with options", kindOf(options), "see the method's documentation");
}

/** @throws UsageError */
export function rpcOptions(options: CallOptions = {}, inputs: readonly unknown[], where: string): RpcOptions {
  expectOptions(options, where);
  const { signal, onProgress, transfer } = options;
  if (signal && !(signal instanceof AbortSignal)) {
    throw new UsageError(`${where}.signal`, "an AbortSignal", kindOf(signal), "pass new AbortController().signal");
  }
  if (onProgress && typeof onProgress !== "function") {
    throw new UsageError(`${where}.onProgress`, "a function", kindOf(onProgress), "pass a function of the progress");
  }
  return {
    signal: signal ?? undefined,
    onProgress: onProgress as RpcOptions["onProgress"],
    transfer: transfer ? buffersOf(inputs) : [],
  };
}
