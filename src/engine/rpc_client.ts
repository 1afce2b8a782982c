import { EngineError, QueueError, UsageError } from "../errors.ts";
import type { WorkerEvents, WorkerHandle } from "../platform/types.ts";
import { packError, unpackError } from "./packed_error.ts";
import {
  type Call,
  type IndexedHandle,
  QUEUE_LIMIT,
  type Service,
  type StreamHandle,
  type ToClient,
  type ToService,
} from "./rpc.ts";

type Arguments<F> = F extends (call: Call, ...args: infer A) => unknown ? A : never;

export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (value: unknown) => void;
  /** buffers to give away instead of copying them */
  transfer?: ArrayBuffer[];
  /** It changes nothing and returns at once, so it need not wait for what is running. */
  aside?: boolean;
}

interface Pending {
  slot: number;
  onProgress?: (value: unknown) => void;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** The caller's side. */
export class Client<S extends Service> {
  readonly #worker: WorkerHandle;
  readonly #aborted: Int32Array | undefined;
  readonly #slots = Array.from({ length: QUEUE_LIMIT }, (_, slot) => slot);
  /** sent, and not answered yet */
  readonly #sent = new Map<number, Pending>();
  readonly #streams = new Map<number, AsyncIterator<unknown>>();
  readonly #indexed = new Map<number, { read(index: number): Promise<unknown>; close(): void }>();
  #unsettled = 0;
  #ids = 0;
  #failure: EngineError | undefined;

  constructor(start: (events: WorkerEvents) => WorkerHandle) {
    this.#aborted = sharedWords(QUEUE_LIMIT);
    this.#worker = start({
      onMessage: (message) => this.#receive(message as ToClient),
      onDeath: (why) => this.#fail(`one that died (${why})`),
    });
    this.#post({ type: "start", aborted: this.#aborted?.buffer as SharedArrayBuffer | undefined });
  }

  /**
   * Call a method of the service.
   *
   * @throws the signal's reason as soon as it is aborted; QueueError if too many calls wait; EngineError if the worker died
   */
  async call<K extends keyof S & string>(
    method: K,
    args: Arguments<S[K]>,
    { signal, onProgress, transfer = [], aside = false }: CallOptions = {},
  ): Promise<Awaited<ReturnType<S[K]>>> {
    if (this.#failure) throw this.#failure;
    signal?.throwIfAborted();
    const slot = this.#slots.pop();
    if (slot === undefined) {
      throw new QueueError(
        method,
        `at most ${QUEUE_LIMIT} calls that wait`,
        "one more",
        "await results before you ask on",
      );
    }
    const id = this.#ids++;
    if (this.#aborted) Atomics.store(this.#aborted, slot, 0);
    const onAbort = () => {
      if (this.#aborted) Atomics.store(this.#aborted, slot, 1);
      this.#post({ type: "abort", id });
      this.#sent.get(id)?.reject(signal!.reason);
    };
    this.#hold(1);
    try {
      return await new Promise((resolve, reject) => {
        this.#sent.set(id, { slot, onProgress, resolve: resolve as (value: unknown) => void, reject });
        this.#post({ type: "call", id, slot, method, args, aside }, transfer);
        signal?.addEventListener("abort", onAbort);
      });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "DataCloneError")) throw error;
      this.#answered(id); // it was never sent
      const todo = "pass plain objects, arrays and numbers";
      throw new UsageError(method, "arguments that can be sent to a worker", error.message, todo, { cause: error });
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#hold(-1);
    }
  }

  /** Keep an async iterable here, and let the service pull its items, as `sendable` makes them. */
  stream<T, S>(items: AsyncIterable<T>, sendable: (item: T) => S | Promise<S>): StreamHandle<S> {
    const stream = this.#ids++;
    this.#streams.set(stream, mapped(items, sendable));
    return { stream };
  }

  /** Keep items here, and let the service ask for them by number, again after an error too. */
  indexed<T>(read: (index: number) => Promise<T>, close: () => void): IndexedHandle<T> {
    const indexed = this.#ids++;
    this.#indexed.set(indexed, { read, close });
    return { indexed };
  }

  /** End the worker, whatever it does. Calls under way are rejected. */
  async stop(): Promise<void> {
    this.#fail("one that was disposed of");
    await this.#worker.stop();
  }

  #post(message: ToService, transfer?: ArrayBuffer[]): void {
    this.#worker.post(message, transfer);
  }

  #receive(message: ToClient): void {
    if (message.type === "pull") {
      this.#pull(message);
      return;
    }
    if (message.type === "endStream") {
      this.#endStream(message.stream);
      return;
    }
    if (message.type === "pick") {
      this.#pick(message);
      return;
    }
    if (message.type === "closeIndexed") {
      this.#closeIndexed(message.indexed);
      return;
    }
    if (message.type === "progress") {
      this.#sent.get(message.id)?.onProgress?.(message.value);
      return;
    }
    const pending = this.#answered(message.id);
    if (message.type === "result") {
      pending?.resolve(message.value);
      return;
    }
    const error = unpackError(message.error);
    if (message.fatal) {
      this.#fail(`one that failed (${error.message})`);
      void this.#worker.stop();
    }
    pending?.reject(error);
  }

  #answered(id: number): Pending | undefined {
    const pending = this.#sent.get(id);
    this.#sent.delete(id);
    if (pending) this.#slots.push(pending.slot);
    return pending;
  }

  async #pull({ pull, stream }: { pull: number; stream: number }): Promise<void> {
    const iterator = this.#streams.get(stream)!;
    try {
      const next = await iterator.next();
      if (next.done) this.#streams.delete(stream);
      this.#post({ type: "item", pull, next });
    } catch (error) {
      this.#endStream(stream);
      this.#post({ type: "item", pull, error: packError(error) });
    }
  }

  async #pick({ pull, indexed, index }: { pull: number; indexed: number; index: number }): Promise<void> {
    try {
      const value = await this.#indexed.get(indexed)!.read(index);
      this.#post({ type: "item", pull, next: { done: false, value } });
    } catch (error) {
      this.#post({ type: "item", pull, error: packError(error) });
    }
  }

  #closeIndexed(indexed: number): void {
    this.#indexed.get(indexed)?.close();
    this.#indexed.delete(indexed);
  }

  /** Tell its source that no item is wanted any more. */
  #endStream(stream: number): void {
    const iterator = this.#streams.get(stream);
    this.#streams.delete(stream);
    iterator?.return?.().catch(() => {}); // nobody waits for it
  }

  /** A process may not end while a call is unsettled. */
  #hold(change: 1 | -1): void {
    this.#unsettled += change;
    this.#worker.hold(this.#unsettled > 0);
  }

  #fail(got: string): void {
    this.#failure ??= new EngineError("engine", "a worker that answers", got, "load the model anew");
    for (const id of [...this.#sent.keys()]) this.#answered(id)!.reject(this.#failure);
    for (const stream of [...this.#streams.keys()]) this.#endStream(stream);
    for (const indexed of [...this.#indexed.keys()]) this.#closeIndexed(indexed);
  }
}

function sharedWords(count: number): Int32Array | undefined {
  const shared = typeof SharedArrayBuffer !== "undefined";
  return shared ? new Int32Array(new SharedArrayBuffer(4 * count)) : undefined;
}

function mapped<T, S>(items: AsyncIterable<T>, change: (item: T) => S | Promise<S>): AsyncIterator<S> {
  const iterator = items[Symbol.asyncIterator]();
  return {
    async next() {
      const next = await iterator.next();
      return next.done ? next : { done: false, value: await change(next.value) };
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}
