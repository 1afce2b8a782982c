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
export const engineOf = new WeakMap<object, Engine>();

export function rpcOptions({ signal, onProgress, transfer }: CallOptions = {}, inputs: readonly unknown[]): RpcOptions {
  return {
    signal,
    onProgress: onProgress as RpcOptions["onProgress"],
    transfer: transfer ? buffersOf(inputs) : [],
  };
}
