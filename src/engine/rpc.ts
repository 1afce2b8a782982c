/**
 * Calls from one thread to another: methods of a service in a worker, awaited by a client.
 *
 * Calls run one after the other, in the order in which they were made. What a worker cannot hear while it computes goes
 * through shared memory: every call has a word that its abort sets, and the worker looks at it wherever it looks at its
 * signal. Without shared memory the client still hears of the abort at once, but the worker finishes what it is at, until
 * it next waits for something. Results are transferred, not copied.
 */
import * as errors from "../errors.ts";
import type { WorkerEvents, WorkerHandle } from "../platform/types.ts";

const { EngineError, QueueError } = errors;

/** What a method of the service may ask of its caller. */
export interface Call {
  /** sees an abort even while the worker computes */
  readonly signal: AbortSignal;
  progress(value: unknown): void;
  /** items of an async iterable that stayed with the caller */
  stream<T>(handle: StreamHandle<T>): AsyncIterable<T>;
}

export type Service = Record<string, (call: Call, ...args: never[]) => unknown>;
type Arguments<F> = F extends (call: Call, ...args: infer A) => unknown ? A : never;

export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (value: unknown) => void;
  /** buffers to give away instead of copying them */
  transfer?: ArrayBuffer[];
}

/** Stands for an async iterable on the other side. */
export interface StreamHandle<T> {
  stream: number;
  item?: T;
}

/** Anything that sends messages to the other thread. */
interface Port {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
}

type ToService =
  | { type: "start"; aborted: SharedArrayBuffer | undefined }
  | { type: "call"; id: number; slot: number; method: string; args: unknown[] }
  | { type: "abort"; id: number }
  | { type: "item"; pull: number; next?: IteratorResult<unknown>; error?: PackedError };

type ToClient =
  | { type: "result"; id: number; value: unknown }
  | { type: "error"; id: number; error: PackedError; fatal: boolean }
  | { type: "progress"; id: number; value: unknown }
  | { type: "pull"; pull: number; stream: number };

interface Pending {
  slot: number;
  onProgress?: (value: unknown) => void;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Calls that may wait at once. */
export const QUEUE_LIMIT = 64;

/** The caller's side. */
export class Client<S extends Service> {
  readonly #worker: WorkerHandle;
  readonly #aborted: Int32Array | undefined;
  readonly #slots = Array.from({ length: QUEUE_LIMIT }, (_, slot) => slot);
  /** sent, and not answered yet */
  readonly #sent = new Map<number, Pending>();
  readonly #streams = new Map<number, AsyncIterator<unknown>>();
  #unsettled = 0;
  #ids = 0;
  #failure: errors.EngineError | undefined;

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
    { signal, onProgress, transfer = [] }: CallOptions = {},
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
        this.#post({ type: "call", id, slot, method, args }, transfer);
        signal?.addEventListener("abort", onAbort);
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "DataCloneError") this.#answered(id); // it was never sent
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#hold(-1);
    }
  }

  /** Keep an async iterable here, and let the service pull its items, as `sendable` makes them. */
  stream<T>(items: AsyncIterable<T>, sendable: (item: T) => T): StreamHandle<T> {
    const stream = this.#ids++;
    this.#streams.set(stream, mapped(items, sendable));
    return { stream };
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
      this.#streams.delete(stream);
      this.#post({ type: "item", pull, error: packError(error) });
    }
  }

  /** A process may not end while a call is unsettled. */
  #hold(change: 1 | -1): void {
    this.#unsettled += change;
    this.#worker.hold(this.#unsettled > 0);
  }

  #fail(got: string): void {
    this.#failure ??= new EngineError("engine", "a worker that answers", got, "load the model anew");
    for (const id of [...this.#sent.keys()]) this.#answered(id)!.reject(this.#failure);
  }
}

/** The worker's side: answer calls of `service`. Returns what to do with each message. */
export function serve(service: Service, port: Port): (message: unknown) => void {
  const controllers = new Map<number, AbortController>();
  const pulls = new Map<number, (item: Extract<ToService, { type: "item" }>) => void>();
  let aborted: Int32Array | undefined;
  let running: AbortSignal;
  let queue = Promise.resolve();
  let ids = 0;

  const post = (message: ToClient) => {
    port.post(message, message.type === "result" ? buffersOf(message.value) : []);
  };

  const pull = (stream: number) =>
    new Promise<IteratorResult<unknown>>((resolve, reject) => {
      const pull = ids++;
      pulls.set(pull, ({ next, error }) => {
        pulls.delete(pull);
        if (error) reject(unpackError(error));
        else resolve(next!);
      });
      post({ type: "pull", pull, stream });
    });

  /** An item that an aborted call has asked for is kept for the next one. */
  const stream = <T>({ stream }: StreamHandle<T>): AsyncIterable<T> => {
    let asked: ReturnType<typeof pull> | undefined;
    const next = async () => {
      const signal = running;
      asked ??= pull(stream);
      try {
        return (await Promise.race([asked, abortOf(signal)])) as IteratorResult<T>;
      } finally {
        if (!signal.aborted) asked = undefined;
      }
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  };

  const run = async ({ id, method, args }: Extract<ToService, { type: "call" }>, signal: AbortSignal) => {
    const call: Call = { signal, stream, progress: (value) => post({ type: "progress", id, value }) };
    running = signal;
    try {
      signal.throwIfAborted();
      post({ type: "result", id, value: await service[method](call, ...(args as never[])) });
    } catch (error) {
      // After a trap, an instance is in no state to go on; after the death of a helper, results are missing.
      const fatal = error instanceof WebAssembly.RuntimeError || error instanceof EngineError;
      const told =
        error instanceof WebAssembly.RuntimeError
          ? new EngineError("engine", "kernels that return", `a trap (${error.message})`, "load the model anew")
          : error;
      post({ type: "error", id, error: packError(told), fatal });
    } finally {
      controllers.delete(id);
    }
  };

  return (received) => {
    const message = received as ToService;
    switch (message.type) {
      case "start":
        aborted = message.aborted && new Int32Array(message.aborted);
        break;
      case "abort":
        controllers.get(message.id)?.abort();
        break;
      case "item":
        pulls.get(message.pull)!(message);
        break;
      case "call": {
        const controller = watchedController(aborted, message.slot);
        controllers.set(message.id, controller);
        queue = queue.then(() => run(message, controller.signal));
      }
    }
  };
}

/** Its signal looks at the call's word before it answers `throwIfAborted`. */
function watchedController(aborted: Int32Array | undefined, slot: number): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  signal.throwIfAborted = () => {
    if (aborted && Atomics.load(aborted, slot) === 1) controller.abort();
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  return controller;
}

/** Rejects when the signal is aborted. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function sharedWords(count: number): Int32Array | undefined {
  const shared = typeof SharedArrayBuffer !== "undefined";
  return shared ? new Int32Array(new SharedArrayBuffer(4 * count)) : undefined;
}

async function* mapped<T>(items: AsyncIterable<T>, change: (item: T) => T): AsyncGenerator<T> {
  for await (const item of items) yield change(item);
}

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

/** Errors lose their class on the way: structured cloning knows the language's own alone. */
interface PackedError {
  name: string;
  message: string;
  stack?: string;
  cause?: PackedError;
}

function packError(error: unknown): PackedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause } = error;
  return { name, message, stack, cause: cause === undefined ? undefined : packError(cause) };
}

function unpackError({ name, message, stack, cause }: PackedError): Error {
  const error = new Error(message, cause && { cause: unpackError(cause) });
  const known = (errors as Record<string, { prototype: Error } | undefined>)[name];
  if (known) Object.setPrototypeOf(error, known.prototype);
  return Object.assign(error, { name, stack });
}
