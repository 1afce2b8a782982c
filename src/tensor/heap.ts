import { HeapError } from "../errors.ts";
import { numel, type Shape } from "./shape.ts";
import { type Tensor, tensor } from "./view.ts";

const ALIGN = 64; // one cache line; also a whole 6×16 row of the gemm tile
const PAGE = 65536;
const GROWTH = 256; // pages: 16 MiB

/** A result of a scope: tensors, and arrays or plain objects of them. */
export type Tensors = Tensor | readonly Tensors[] | { readonly [name: string]: Tensors | undefined };

/**
 * One WebAssembly.Memory from which all tensors are cut, so that a kernel call copies nothing: a tensor's address
 * is `data.byteOffset`.
 *
 * The memory is shared. It may therefore grow while views live: growing a shared memory never detaches them.
 * Free blocks are kept in address order and joined with their neighbours; a scope frees what was cut inside it.
 */
export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly #limit: number;
  readonly #free: { address: number; size: number }[];
  readonly #sizes = new Map<number, number>();
  readonly #scopes: Set<number>[] = [];
  #inUse = 0;
  #peak = 0;

  /** @param base first free byte, above the kernels' constants @param maxBytes the memory never grows beyond this */
  constructor(memory: WebAssembly.Memory, base: number, maxBytes: number) {
    this.memory = memory;
    this.#limit = maxBytes;
    const address = Math.ceil(base / ALIGN) * ALIGN;
    this.#free = [{ address, size: memory.buffer.byteLength - address }];
  }

  /** Bytes that live tensors hold. */
  get bytesInUse(): number {
    return this.#inUse;
  }

  /** The most bytes in use since `resetPeak`. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Start a new high-water mark; `mark` raises it again when a measurement ends inside another. */
  resetPeak(mark = this.#inUse): void {
    this.#peak = Math.max(mark, this.#inUse);
  }

  /** Uninitialised values. Outside a scope they live until `free`. */
  alloc(shape: Shape): Tensor {
    const address = this.#cut(numel(shape) * 4); // first: it may replace `memory.buffer` by a longer one
    return tensor(new Float32Array(this.memory.buffer, address, numel(shape)), shape);
  }

  /** Uninitialised integers, for tables of row numbers. */
  allocInt32(length: number): Int32Array {
    const address = this.#cut(length * 4);
    return new Int32Array(this.memory.buffer, address, length);
  }

  /** Uninitialised bytes, for pixels. */
  allocUint8(length: number): Uint8Array {
    const address = this.#cut(length);
    return new Uint8Array(this.memory.buffer, address, length);
  }

  /** Copy values of any owner onto the heap. */
  from(source: Float32Array, shape: Shape): Tensor {
    const t = this.alloc(shape);
    t.data.set(source);
    return t;
  }

  /** Give back what was allocated outside a scope: a block, or all tensors of a result. */
  free(result: unknown): void {
    for (const address of new Set(addresses(result))) {
      for (const scope of this.#scopes) scope.delete(address);
      this.#release(address);
    }
  }

  /** Run `forward` and free all it allocated except the tensors that it returns; they pass to the scope around. */
  scope<R>(forward: () => R): R {
    const cut = new Set<number>();
    this.#scopes.push(cut);
    let kept: number[] = [];
    try {
      const result = forward();
      kept = addresses(result).filter((address) => cut.delete(address));
      return result;
    } finally {
      this.#scopes.pop();
      for (const address of cut) this.#release(address);
      const outer = this.#scopes.at(-1);
      if (outer) for (const address of kept) outer.add(address);
    }
  }

  #cut(bytes: number): number {
    const size = Math.max(ALIGN, Math.ceil(bytes / ALIGN) * ALIGN);
    const index = this.#fit(size);
    const block = this.#free[index];
    const address = block.address;
    block.address += size;
    block.size -= size;
    if (block.size === 0) this.#free.splice(index, 1);
    this.#sizes.set(address, size);
    this.#scopes.at(-1)?.add(address);
    this.#inUse += size;
    this.#peak = Math.max(this.#peak, this.#inUse);
    return address;
  }

  /** First free block of at least `size` bytes; the memory grows if there is none. */
  #fit(size: number): number {
    const index = this.#free.findIndex((block) => block.size >= size);
    if (index >= 0) return index;
    const end = this.memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const open = last && last.address + last.size === end ? last.size : 0;
    const room = Math.floor((this.#limit - end) / PAGE);
    const pages = Math.max(Math.ceil((size - open) / PAGE), Math.min(GROWTH, room));
    if (pages > room) this.#exhausted(size);
    try {
      this.memory.grow(pages);
    } catch (cause) {
      this.#exhausted(size, cause);
    }
    if (open) last!.size += pages * PAGE;
    else this.#free.push({ address: end, size: pages * PAGE });
    return this.#free.length - 1;
  }

  #exhausted(size: number, cause?: unknown): never {
    const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
    const got = `${mib(size)} wanted with ${mib(this.#inUse)} in use of at most ${mib(this.#limit)}`;
    throw new HeapError(
      "heap",
      "room for one more tensor",
      got,
      "take a smaller image size or model, or raise the limit",
      {
        cause,
      },
    );
  }

  #release(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) {
      throw new HeapError("heap.free", "a live tensor of this heap", `address ${address}`, "free each tensor once");
    }
    this.#sizes.delete(address);
    this.#inUse -= size;
    let at = this.#free.findIndex((block) => block.address > address);
    if (at < 0) at = this.#free.length;
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsBefore = before !== undefined && before.address + before.size === address;
    const joinsAfter = after !== undefined && address + size === after.address;
    if (joinsBefore && joinsAfter) {
      before.size += size + after.size;
      this.#free.splice(at, 1);
    } else if (joinsBefore) {
      before.size += size;
    } else if (joinsAfter) {
      after.address = address;
      after.size += size;
    } else {
      this.#free.splice(at, 0, { address, size });
    }
  }
}

/** Heap addresses of the tensors in a result. */
function addresses(result: unknown): number[] {
  if (typeof result !== "object" || result === null) return [];
  if ("data" in result && result.data instanceof Float32Array) return [result.data.byteOffset];
  if (ArrayBuffer.isView(result)) return [result.byteOffset];
  return Object.values(result).flatMap(addresses);
}
