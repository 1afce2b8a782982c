import { CheckpointError } from "../errors.ts";
import type { Shape } from "../tensor/shape.ts";
import type { DType } from "./dtypes.ts";

/** Bytes that are read piece by piece, so that a large file is never held twice. */
export interface ByteSource {
  /** File name or address, for messages. */
  readonly name: string;
  readonly size: number;
  /** `length` bytes from `offset`, as a Uint8Array that the caller may keep until the next read. */
  read(offset: number, length: number): Uint8Array;
}

/** A tensor that lies in a file. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Write all elements, row-major and converted to f32, into `into`. */
  read(into: Float32Array): void;
}

/** What every reader of a checkpoint format returns. */
export interface TensorFile {
  readonly format: "safetensors" | "torch";
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors of dicts inside the file, by the dict's path: "state_dict", "ema/model". Only `torch.save` has them. */
  readonly nested: ReadonlyMap<string, ReadonlyMap<string, StoredTensor>>;
  /** Free-form texts of the file: safetensors' `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Read whatever was not read yet and compare it with its checksums, where the format has any.
   *
   * @throws CheckpointError naming the record that is damaged
   */
  verify(): void;
}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array, name = "bytes"): ByteSource {
  return { name, size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** @throws CheckpointError if the file ends before `offset + length` */
export function readExactly(source: ByteSource, what: string, offset: number, length: number): Uint8Array {
  const bytes = offset + length <= source.size ? source.read(offset, length) : undefined;
  if (bytes?.length === length) return bytes;
  const wanted = `${length} bytes from offset ${offset}`;
  throw new CheckpointError(`${source.name}: ${what}`, wanted, `a file of ${source.size} bytes`, "copy the file again");
}

const PIECE = 2 ** 20; // stays in the second-level cache; a multiple of every item size

/** Hand `length` bytes from `offset` to `take`, a megabyte at a time; `at` counts from the first of them. */
export function readPieces(
  source: ByteSource,
  what: string,
  offset: number,
  length: number,
  take: (piece: Uint8Array, at: number) => void,
): void {
  for (let at = 0; at < length; at += PIECE) {
    take(readExactly(source, what, offset + at, Math.min(PIECE, length - at)), at);
  }
}

/** A little-endian u64; above 2⁵³ it is rounded, which every check against a file's size refuses all the same. */
export function uint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
