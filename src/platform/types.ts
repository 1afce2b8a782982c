import type { Sam2Error } from "../errors.ts";

/** `kernels` rounds products and sums apart; `kernels_fma` needs relaxed SIMD. */
export type KernelBuild = "kernels" | "kernels_fma";

/** A file that is read piece by piece. */
export interface OpenFile {
  readonly name: string;
  readonly size: number;
  /** `length` bytes from `offset`, fewer at the end of the file; valid until the next call. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** A file of the network that is kept from one run to the next. */
export interface RemoteFile {
  /** how people ask for it */
  readonly name: string;
  /** under which it is kept */
  readonly file: string;
  readonly url: string;
  /** for pages, which servers must allow to read */
  readonly pageUrl: string;
}

export interface DownloadOptions {
  signal?: AbortSignal;
  /** what is thrown if it cannot be had; CheckpointError by default */
  Failure?: typeof Sam2Error;
  /** bytes received so far; `total` is undefined if the server does not tell */
  onProgress?(received: number, total: number | undefined): void;
}

export interface CacheOptions extends DownloadOptions {
  /** @throws if the file is not what was wanted, or damaged: then it is not kept */
  check(file: OpenFile): void;
}

/** Programs that run in workers of their own: engine/worker.*.ts and runtime/helper.*.ts. */
export type WorkerProgram = "engine" | "helper";

export interface WorkerEvents {
  onMessage?(message: unknown): void;
  /** It ended, but not by `stop`. */
  onDeath(why: string): void;
}

/** A worker, as its maker sees it. */
export interface WorkerHandle {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Must the process go on as long as the worker lives? Not at first. */
  hold(on: boolean): void;
  /** Kill it, whatever it does. */
  stop(): Promise<void>;
}

/** A program that runs beside this process, without a terminal, and ends with it. */
export interface Program {
  /**
   * The next bytes that it writes, fewer at the end; it waits while nobody reads. In Node another thread reads them.
   *
   * @param room so many bytes that nobody needs any more: they are given away, to be filled
   */
  read(length: number, room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /** how it ended, when all that it wrote has been told: "exit code 0", "signal SIGSEGV" */
  readonly ended: Promise<string>;
  /** Kill it, and what it has started. */
  stop(): void;
}

/** What Node and a browser do differently. */
export interface Platform {
  /** A path or address as every thread finds it: a page's are relative to the document, Node's file: is a path. */
  locate(address: string): string;
  readFile(path: string): Promise<Uint8Array>;
  /** Write a file whole or not at all: beside its place first, as `.NAME.tmp`, which a later attempt overwrites. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  openFile(path: string): Promise<OpenFile>;
  /** Is there a file or a folder at this path? */
  exists(path: string): Promise<boolean>;
  /** From the cache, else downloaded into it; what an earlier attempt has received is continued. */
  openCached(remote: RemoteFile, options: CacheOptions): Promise<OpenFile>;
  /** Bytes of the file in the cache, whole or not yet; undefined if there is none. */
  cachedBytes(remote: RemoteFile): Promise<number | undefined>;
  /** Remove the file from the cache, and what an interrupted attempt has left of it. */
  removeCached(remote: RemoteFile): Promise<void>;
  /** Download to a file that is removed when it is closed. */
  download(url: string, options: DownloadOptions): Promise<OpenFile>;
  /** Without holding it in memory where the platform can: Node, and a browser's workers. */
  openBlob(blob: Blob, name: string): Promise<OpenFile>;
  /** Names of the files in a folder; undefined if `path` is none. */
  listFolder(path: string): Promise<string[] | undefined>;
  /** A dependency's wasm file, compiled. */
  dependencyWasm(specifier: string): Promise<WebAssembly.Module>;
  /** A package that is not installed with this one, where it is installed; undefined where it is not, and in browsers. */
  optional(specifier: string): Promise<unknown>;
  /** `inflate` of zlib.ts, where the platform has a zlib. */
  inflate?(stream: Uint8Array, limit: number): Uint8Array;
  /** `deflate` of zlib.ts, where the platform has a zlib. */
  deflate?(bytes: Uint8Array, runs?: boolean): Uint8Array;
  /** `deflate` by another thread, where the platform has one for that. */
  deflateAside?(bytes: Uint8Array, runs?: boolean): Promise<Uint8Array>;
  /** `io/crc32.ts` by the platform's zlib, where it has one: four times as fast. */
  crc32?(bytes: Uint8Array, crc: number): number;
  /** The bytes of one build of the kernels. */
  kernels(build: KernelBuild): Promise<Uint8Array<ArrayBuffer>>;
  /** Set the engine's flags that the kernels profit from; they hold for what is compiled afterwards. Returns them. */
  prepareWasm(): string[];
  /** Let this thread, and those that it starts, have what others leave of the cores, where the system can do so. */
  giveWay?(): void;
  /** How many threads can run at once. */
  cores(): number;
  /** Why threads cannot share memory or sleep, where they cannot. */
  noThreads(): string;
  startWorker(program: WorkerProgram, events: WorkerEvents): WorkerHandle;
  /**
   * Start a program of the PATH; what it writes to stderr is told as it comes.
   *
   * @throws Error with the system's `code` if it cannot be started, `ENOENT` if there is none
   */
  startProgram(name: string, args: readonly string[], onStderr: (text: string) => void): Promise<Program>;
}
