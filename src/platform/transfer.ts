/** Files of the network: what stalls is asked for again, and what was interrupted is continued. */
import { CheckpointError, type Sam2Error } from "../errors.ts";
import type { DownloadOptions } from "./types.ts";

/** A server that is silent for so long will not answer any more. */
const PATIENCE_MS = 30_000;
/** in a row without a byte */
const ATTEMPTS = 3;
const PAUSE_MS = 300;
/** Statuses that pass: too many requests, and those of gateways. */
const PASSING = [429, 502, 503, 504];

/** What is there of a file already. */
export interface Received {
  readonly bytes: number;
  /** tells one version of the file from the next; "" if the server does not */
  readonly validator: string;
}

export interface TransferOptions {
  fetch: typeof fetch;
  signal?: AbortSignal;
  /** what is thrown; CheckpointError by default */
  Failure?: typeof Sam2Error;
  /** milliseconds of silence before another attempt; 30 s by default */
  patience?: number;
}

export interface Transfer {
  /** where in the file the chunks begin: 0 unless the server still has the version of what was received */
  readonly start: number;
  /** size of the whole file; undefined if the server does not tell */
  readonly total: number | undefined;
  readonly validator: string;
  /** what `received` lacks of the file */
  readonly chunks: AsyncGenerator<Uint8Array>;
}

/**
 * Ask for a file, or for what `received` lacks of it. Silence, hang-ups and passing trouble are answered with another
 * attempt, which goes on where the one before stopped.
 *
 * @throws `Failure` naming the address; the signal's reason if aborted
 */
export async function transfer(url: string, options: TransferOptions, received?: Received): Promise<Transfer> {
  const answer = await ask(url, options, received);
  return { ...answer, chunks: steady(url, answer, options) };
}

interface Answer {
  body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  start: number;
  total: number | undefined;
  validator: string;
  /** ends this attempt */
  watch: Watch;
}

/** Ends an attempt that has been silent for too long. */
class Watch {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #patience: number;

  constructor({ signal, patience = PATIENCE_MS }: TransferOptions) {
    this.#patience = patience;
    this.signal = signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal;
  }

  async over<R>(wait: Promise<R>): Promise<R> {
    const silence = withCode(`silence for ${this.#patience / 1000} s`, "ETIMEDOUT");
    const timer = setTimeout(() => this.#controller.abort(silence), this.#patience);
    try {
      return await wait;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function ask(url: string, options: TransferOptions, received?: Received): Promise<Answer> {
  const { Failure = CheckpointError } = options;
  for (let attempt = 1; ; attempt++) {
    const watch = new Watch(options);
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (received) headers.range = `bytes=${received.bytes}-`;
    let response: Response | undefined;
    let cause: unknown;
    try {
      response = await watch.over(options.fetch(url, { signal: watch.signal, headers }));
    } catch (error) {
      options.signal?.throwIfAborted();
      cause = error;
    }
    if (response && !PASSING.includes(response.status)) return accept(url, options, response, watch, received);
    await response?.body?.cancel();
    if (attempt < ATTEMPTS) {
      await pause(attempt * PAUSE_MS, options.signal);
    } else if (response) {
      throw new Failure(url, "the file", `HTTP status ${response.status}`, "try again later", {
        httpStatus: response.status,
      });
    } else {
      const todo = "check the network, and the proxy if there is one";
      throw new Failure(url, "an answer", `none (${reasonOf(cause)})`, todo, { cause });
    }
  }
}

async function accept(
  url: string,
  options: TransferOptions,
  { status, headers, body }: Response,
  watch: Watch,
  received?: Received,
): Promise<Answer> {
  const { Failure = CheckpointError } = options;
  const validator = validatorOf(headers);
  const length = headers.get("content-encoding") ? null : headers.get("content-length");
  const size = length === null ? undefined : Number(length);
  if (received && (status === 206 || status === 416)) {
    // a page may not be shown Content-Range: then it is what was asked for
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "");
    const start = range ? Number(range[1]) : received.bytes;
    const total = range ? Number(range[2]) : size && size + received.bytes;
    if (status === 206 && start === received.bytes && validator === received.validator) {
      return { body: body?.getReader(), start, total, validator, watch };
    }
    await body?.cancel();
    return ask(url, options); // another version by now, or no more than what was received
  }
  if (status !== 200) {
    await body?.cancel();
    throw new Failure(url, "the file", `HTTP status ${status}`, "check the address", { httpStatus: status });
  }
  return { body: body?.getReader(), start: 0, total: size, validator, watch };
}

async function* steady(url: string, answer: Answer, options: TransferOptions): AsyncGenerator<Uint8Array> {
  let { body, start: at, watch } = answer;
  const { total, validator } = answer;
  const { Failure = CheckpointError } = options;
  try {
    for (let failures = 0; ;) {
      let cause: unknown = withCode("the end", "ECONNRESET");
      try {
        for (;;) {
          const { done, value } = (await (body && watch.over(body.read()))) ?? { done: true };
          if (done) break;
          at += value!.length;
          failures = 0;
          yield value!;
        }
        if (total === undefined || at === total) return;
      } catch (error) {
        options.signal?.throwIfAborted();
        cause = error;
      }
      const wanted = total === undefined ? "the whole file" : `${total} bytes`;
      const todo = "run it again: what has come is kept where that is possible";
      if (++failures >= ATTEMPTS || validator === "" || (total !== undefined && at > total)) {
        throw new Failure(url, wanted, `${at}, then ${reasonOf(cause)}`, todo, { cause });
      }
      await pause(failures * PAUSE_MS, options.signal);
      const next = await ask(url, options, { bytes: at, validator });
      if (next.start !== at) {
        await next.body?.cancel();
        throw new Failure(url, "the same file until its end", "another version of it", todo);
      }
      ({ body, watch } = next);
    }
  } finally {
    await body?.cancel().catch(() => {});
  }
}

/** The same chunks, while `onProgress` is told how far they are. */
export async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  total: number | undefined,
  onProgress: DownloadOptions["onProgress"],
): AsyncGenerator<Uint8Array> {
  let received = 0;
  for await (const chunk of chunks) {
    received += chunk.length;
    onProgress?.(received, total);
    yield chunk;
  }
}

/** What tells one version of the file from the next: the strong ETag, or else the date. Empty if there is neither. */
function validatorOf(headers: Headers): string {
  const etag = headers.get("etag");
  return etag && !etag.startsWith("W/") ? etag : (headers.get("last-modified") ?? "");
}

/** As the system's own errors, so that whoever may try again later can tell them from a wrong file. */
function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message;
}

/** @throws the signal's reason if aborted */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
