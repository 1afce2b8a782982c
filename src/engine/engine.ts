import { UsageError } from "../errors.ts";
import { kindOf } from "../io/kind_of.ts";
import { CALLBACK, expectKind, expectObject, FLAG, type Kinds, OPTIONAL, SIGNAL } from "../io/options.ts";
import type { Followed } from "../predict/progress.ts";
import { buffersOf } from "./rpc.ts";
import type { Client, CallOptions as RpcOptions } from "./rpc_client.ts";
import type { EngineService } from "./service.ts";

/** Options of calls that take long. */
export interface CallOptions extends Followed {
  /** Give the bytes that are passed in away instead of copying them: their buffers are empty afterwards. */
  transfer?: boolean;
}

export const CALL_KINDS: Kinds<CallOptions> = { signal: SIGNAL, onProgress: CALLBACK, transfer: FLAG };

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

/** @throws UsageError */
export function rpcOptions(options: CallOptions = {}, inputs: readonly unknown[], where: string): RpcOptions {
  expectObject(options, where);
  const { signal, onProgress, transfer } = options;
  for (const [name, value] of Object.entries({ signal, onProgress, transfer })) {
    if (value === undefined) continue;
    expectKind(value, CALL_KINDS[name as keyof CallOptions], `${where}.${name}`, OPTIONAL);
  }
  return {
    signal: signal ?? undefined,
    onProgress: onProgress as RpcOptions["onProgress"],
    transfer: transfer ? buffersOf(inputs) : [],
  };
}
