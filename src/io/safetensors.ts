import { CheckpointError } from "../errors.ts";
import { formatShape, numel, type Shape } from "../tensor/shape.ts";
import { type DType, ITEM_SIZE, MAX_NUMEL, toFloat32 } from "./dtypes.ts";
import { isObject, parseJsonObject } from "./json.ts";
import { type ByteSource, readExactly, readPieces, type StoredTensor, type TensorFile, uint64 } from "./tensor_file.ts";

// u64 length of the header · header: a JSON object, padded with spaces · data, without gaps
const MAX_HEADER = 100_000_000;

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly start: number;
  readonly end: number;
}

/**
 * The tensors of a safetensors file. Its header is checked as a whole, so that what is returned can be read; data is
 * read when a tensor is.
 *
 * @throws CheckpointError naming the tensor or the place
 * @source huggingface/safetensors, README.md, "Format"
 */
export function readSafetensors(source: ByteSource): TensorFile {
  const where = `${source.name}: header`;
  const head = readExactly(source, "header length", 0, 8);
  const headerSize = uint64(new DataView(head.buffer, head.byteOffset, 8), 0);
  if (headerSize > MAX_HEADER || headerSize < 2) {
    throw new CheckpointError(
      where,
      `2 … ${MAX_HEADER} bytes`,
      `${headerSize}`,
      "check that this is a safetensors file",
    );
  }
  const bytes = readExactly(source, "header", 8, headerSize);
  if (bytes[0] !== 0x7b) {
    const got = `byte 0x${bytes[0].toString(16)}`;
    throw new CheckpointError(where, "a first byte {", got, "check that this is a safetensors file");
  }
  const { __metadata__: metadata = {}, ...infos } = parseJsonObject(bytes, where);
  if (!isObject(metadata) || Object.values(metadata).some((text) => typeof text !== "string")) {
    throw new CheckpointError(
      `${where}: __metadata__`,
      "an object of strings",
      "another value",
      "write the file again",
    );
  }

  const entries = Object.entries(infos).map(([name, info]) => readEntry(source.name, name, info));
  expectNoGaps(source, entries, 8 + headerSize);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, start, end } of entries) {
    const offset = 8 + headerSize + start;
    const read = (into: Float32Array) =>
      readPieces(source, name, offset, end - start, (piece, at) => {
        const first = at / ITEM_SIZE[dtype];
        toFloat32(dtype, piece, into.subarray(first, first + piece.length / ITEM_SIZE[dtype]));
      });
    tensors.set(name, { dtype, shape, read });
  }
  return {
    format: "safetensors",
    tensors,
    nested: new Map(),
    metadata: metadata as Record<string, string>,
    verify: () => {},
  };
}

function readEntry(file: string, name: string, info: unknown): Entry {
  const fail = (field: string, expected: string, got: unknown): never => {
    const text = JSON.stringify(got) ?? "nothing";
    throw new CheckpointError(`${file}: ${name}: ${field}`, expected, text, "write the file again");
  };
  if (!isObject(info)) return fail("entry", "an object", info);
  const { dtype, shape, data_offsets: offsets, ...rest } = info;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) fail("entry", "dtype, shape and data_offsets alone", unknown);
  if (typeof dtype !== "string" || !Object.hasOwn(ITEM_SIZE, dtype)) {
    return fail("dtype", Object.keys(ITEM_SIZE).join(", "), dtype);
  }
  if (!isSizes(shape)) return fail("shape", "a list of sizes", shape);
  if (numel(shape) > MAX_NUMEL) fail("shape", `at most ${MAX_NUMEL} elements`, shape);
  if (!isSizes(offsets) || offsets.length !== 2) return fail("data_offsets", "[start, end]", offsets);
  const [start, end] = offsets;
  const size = numel(shape) * ITEM_SIZE[dtype as DType];
  if (end - start !== size) fail("data_offsets", `${size} bytes for ${dtype} ${formatShape(shape)}`, offsets);
  return { name, dtype: dtype as DType, shape, start, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** The tensors must lie one behind the other, from the end of the header to the end of the file. */
function expectNoGaps(source: ByteSource, entries: readonly Entry[], dataStart: number): void {
  let reached = 0;
  for (const { name, start, end } of entries.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== reached) {
      const wanted = `a start at ${reached}, where the tensor before it ends`;
      throw new CheckpointError(`${source.name}: ${name}: data_offsets`, wanted, `${start}`, "write the file again");
    }
    reached = end;
  }
  if (dataStart + reached !== source.size) {
    const wanted = `${dataStart + reached} bytes, as the header says`;
    throw new CheckpointError(source.name, wanted, `${source.size}`, "copy or download the file again");
  }
}

/** A tensor to be written: values in row-major order. */
export interface WrittenTensor {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** An F32 safetensors file. Tensors and texts are sorted by name, so equal contents give equal bytes. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, WrittenTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...tensors].sort(byName);
  const header: [string, unknown][] = [];
  const texts = Object.entries(metadata).sort(byName);
  if (texts.length > 0) header.push(["__metadata__", Object.fromEntries(texts)]);
  let reached = 0;
  for (const [name, { shape, data }] of sorted) {
    if (data.length !== numel(shape)) {
      const wanted = `${numel(shape)} values for ${formatShape(shape)}`;
      throw new CheckpointError(`writeSafetensors: ${name}`, wanted, `${data.length}`, "pass a contiguous tensor");
    }
    header.push([name, { dtype: "F32", shape, data_offsets: [reached, reached + data.byteLength] }]);
    reached += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerSize = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerSize + reached).fill(0x20, 8, 8 + headerSize);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerSize), true);
  bytes.set(text, 8);
  let at = 8 + headerSize;
  for (const [, { data }] of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
