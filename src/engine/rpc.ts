/**
 * Calls from one thread to another: methods of a service in a worker, awaited by a client.
 *
 * Calls run one after the other, in the order in which they were made. What a worker cannot hear while it computes goes
 * through shared memory: every call has a word that its abort sets, and the worker looks at it wherever it looks at its
 * signal. Without shared memory the client still hears of the abort at once, but the worker finishes what it is at, until
 * it next waits for something. Results are transferred, not copied.
 *
 * A call that changes nothing may go aside: wherever a worker that computes looks at its signal, it runs first what has come
 * of these, one at a time, and then goes on. That needs a port that can be read meanwhile, as Node's can; elsewhere such a
 * call waits until the worker next waits for something.
 *
 * Here is what both sides speak; rpc_client.ts is the caller's side, rpc_service.ts the worker's.
 */
import type { PackedError } from "./packed_error.ts";

/** Calls that may wait at once; each has a word of the shared memory. */
export const QUEUE_LIMIT = 64;

/** What a method of the service may ask of its caller. */
export interface Call {
  /** sees an abort even while the worker computes */
  readonly signal: AbortSignal;
  progress(value: unknown): void;
  /** items of an async iterable that stayed with the caller */
  stream<T>(handle: StreamHandle<T>): AsyncIterable<T>;
  /** items by number, of what stayed with the caller */
  indexed<T>(handle: IndexedHandle<T>): Indexed<T>;
}

export type Service = Record<string, (call: Call, ...args: never[]) => unknown>;

/** Stands for an async iterable on the other side. */
export interface StreamHandle<T> {
  stream: number;
  item?: T;
}

/** Stands for items by number on the other side. */
export interface IndexedHandle<T> {
  indexed: number;
  item?: T;
}

/** Items by number. */
export interface Indexed<T> {
  read(index: number): Promise<T>;
  /** no item is wanted any more */
  close(): void;
}

/** What the caller's side sends. */
export type ToService =
  | { type: "start"; aborted: SharedArrayBuffer | undefined }
  | { type: "call"; id: number; slot: number; method: string; args: unknown[]; aside: boolean }
  | { type: "abort"; id: number }
  | { type: "item"; pull: number; next?: IteratorResult<unknown>; error?: PackedError };

/** What the worker's side sends. */
export type ToClient =
  | { type: "result"; id: number; value: unknown }
  | { type: "error"; id: number; error: PackedError; fatal: boolean }
  | { type: "progress"; id: number; value: unknown }
  | { type: "pull"; pull: number; stream: number }
  | { type: "pick"; pull: number; indexed: number; index: number }
  | { type: "closeIndexed"; indexed: number }
  | { type: "endStream"; stream: number };

/** Every buffer in a value. */
export function buffersOf(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const walk = (value: unknown) => {
    if (typeof value !== "object" || value === null) return;
    if (value instanceof ArrayBuffer) found.add(value);
    else if (!ArrayBuffer.isView(value)) Object.values(value).forEach(walk);
    else if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
  };
  walk(value);
  return [...found];
}
