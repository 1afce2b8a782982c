import { CheckpointError } from "../errors.ts";
import { formatShape, numel, type Shape } from "../tensor/shape.ts";
import { type DType, ITEM_SIZE, MAX_NUMEL, toFloat32 } from "./dtypes.ts";
import { type Callable, describe, type Fail, unpickle } from "./pickle.ts";
import type { ByteSource, StoredTensor, TensorFile } from "./tensor_file.ts";
import { readZip, type ZipRecord } from "./zip.ts";

// NAME/data.pkl: the pickle · NAME/data/0, 1, …: one storage each · NAME/byteorder, version, .data/…: notes
const MAX_PICKLE = 2 ** 26; // the largest official checkpoint has 0.1 MB

const STORAGES = new Map<string, DType>([
  ["torch.DoubleStorage", "F64"],
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
]);

/** The class of a storage, as the pickle passes it to its persistent ids. */
class StorageType {
  readonly dtype: DType;
  constructor(dtype: DType) {
    this.dtype = dtype;
  }
}

/** A record that holds elements; several tensors may look into it. */
class Storage {
  readonly record: ZipRecord;
  readonly dtype: DType;
  constructor(record: ZipRecord, dtype: DType) {
    this.record = record;
    this.dtype = dtype;
  }
  get length(): number {
    return this.record.size / ITEM_SIZE[this.dtype];
  }
}

/** A view into a storage, counted in elements. */
class TorchTensor implements StoredTensor {
  readonly shape: Shape;
  readonly #storage: Storage;
  readonly #offset: number;
  readonly #stride: Shape;

  constructor(storage: Storage, offset: number, shape: Shape, stride: Shape) {
    this.shape = shape;
    this.#storage = storage;
    this.#offset = offset;
    this.#stride = stride;
  }

  get dtype(): DType {
    return this.#storage.dtype;
  }

  read(into: Float32Array): void {
    if (isRowMajor(this.shape, this.#stride)) {
      this.#readRun(into);
      return;
    }
    const run = new Float32Array(span(this.shape, this.#stride));
    this.#readRun(run);
    gather(run, this.shape, this.#stride, into);
  }

  /** Consecutive elements of the storage. */
  #readRun(into: Float32Array): void {
    const { record, dtype } = this.#storage;
    const size = ITEM_SIZE[dtype];
    const start = this.#offset * size;
    record.stream(start, start + into.length * size, (piece, at) => {
      toFloat32(dtype, piece, into.subarray(at / size, (at + piece.length) / size));
    });
  }
}

/** Number of storage elements from the first to the last one of a view. */
function span(shape: Shape, stride: Shape): number {
  if (numel(shape) === 0) return 0;
  return 1 + shape.reduce((last, size, axis) => last + (size - 1) * stride[axis], 0);
}

function isRowMajor(shape: Shape, stride: Shape): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== step) return false;
    step *= shape[axis];
  }
  return true;
}

/** into = the elements of a strided view, row-major */
function gather(run: Float32Array, shape: Shape, stride: Shape, into: Float32Array): void {
  let at = 0;
  const visit = (axis: number, from: number) => {
    if (axis === shape.length) {
      into[at++] = run[from];
      return;
    }
    for (let i = 0; i < shape[axis]; i++) visit(axis + 1, from + i * stride[axis]);
  };
  visit(0, 0);
}

/**
 * The tensors of a file that `torch.save` wrote: a state_dict, or a dict that holds one under "model". Nothing is
 * executed; a foreign class in the pickle is an error.
 *
 * @throws CheckpointError naming the record, and the byte inside the pickle
 * @source torch/serialization.py, _save and _load; torch/_utils.py, _rebuild_tensor_v2
 */
export function readTorch(source: ByteSource): TensorFile {
  const records = readZip(source);
  const folder = archiveFolder(source, records);
  const byteorder = records.get(`${folder}/byteorder`);
  if (byteorder && (byteorder.size > 16 || new TextDecoder().decode(byteorder.bytes()) !== "little")) {
    const where = `${source.name}: record ${byteorder.name}`;
    throw new CheckpointError(where, "little", "another byte order", "save the file on a little-endian machine");
  }
  const pickle = records.get(`${folder}/data.pkl`)!;
  const where = `${source.name}: record ${pickle.name}`;
  if (pickle.size > MAX_PICKLE) {
    throw new CheckpointError(where, `at most ${MAX_PICKLE} bytes`, `${pickle.size}`, "save only the state_dict");
  }
  const storages = new Map<string, Storage>();
  const payload = unpickle(pickle.bytes(), where, {
    global: (name, fail) => {
      const dtype = STORAGES.get(name);
      if (dtype) return new StorageType(dtype);
      return CALLABLES.get(name) ?? fail("a global that a state_dict needs", name, "save only the state_dict");
    },
    persistent: (id, fail) => openStorage(records, folder, storages, id, fail),
  });
  const verify = () => {
    for (const record of records.values()) record.verify();
  };
  return { format: "torch", tensors: stateDict(payload, where), metadata: {}, verify };
}

/** The one folder that all records of the archive lie in. */
function archiveFolder(source: ByteSource, records: ReadonlyMap<string, ZipRecord>): string {
  const names = [...records.keys()];
  const folder = names.find((name) => name.endsWith("/data.pkl"))?.slice(0, -"/data.pkl".length);
  const todo = "load a file that torch.save of PyTorch 1.6 or later wrote";
  if (folder === undefined) {
    throw new CheckpointError(source.name, "a record NAME/data.pkl", names.slice(0, 3).join(", ") || "none", todo);
  }
  if (records.has(`${folder}/constants.pkl`)) {
    throw new CheckpointError(source.name, "a state_dict", "a TorchScript archive", "save model.state_dict() instead");
  }
  const stray = names.find((name) => !name.startsWith(`${folder}/`));
  if (stray !== undefined) throw new CheckpointError(source.name, `records in ${folder}/`, stray, todo);
  return folder;
}

/** ("storage", type, key, location, numel) */
function openStorage(
  records: ReadonlyMap<string, ZipRecord>,
  folder: string,
  storages: Map<string, Storage>,
  id: unknown,
  fail: Fail,
): Storage {
  const [kind, type, key, location, length, ...more] = Array.isArray(id) ? id : [];
  const fits = kind === "storage" && typeof key === "string" && typeof location === "string" && more.length === 0;
  if (!fits || !(type instanceof StorageType)) return fail('("storage", type, key, location, numel)', describe(id));
  const record = records.get(`${folder}/data/${key}`) ?? fail(`a record data/${key}`, "none");
  const opened = storages.get(key) ?? new Storage(record, type.dtype);
  storages.set(key, opened);
  if (opened.dtype !== type.dtype) fail(`storage ${key} as ${opened.dtype}, as before`, type.dtype);
  if (opened.length !== length) fail(`${opened.length} elements in storage ${key}`, describe(length));
  return opened;
}

/** What the globals of a state_dict do. */
const CALLABLES = new Map<string, Callable>([
  [
    "collections.OrderedDict",
    (args, fail) => (args.length === 0 ? new Map() : fail("an empty OrderedDict", `${args.length} arguments`)),
  ],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  [
    "torch._utils._rebuild_parameter",
    ([data, ...more], fail) =>
      data instanceof TorchTensor && more.length === 2 ? data : fail("a tensor in a Parameter", describe(data)),
  ],
]);

/** (storage, offset, size, stride, requires_grad, backward_hooks), and perhaps metadata */
function rebuildTensor(args: readonly unknown[], fail: Fail): TorchTensor {
  const [storage, offset, size, stride, requiresGrad] = args;
  if (args.length < 6 || args.length > 7 || typeof requiresGrad !== "boolean") {
    return fail("the six arguments of _rebuild_tensor_v2", `${args.length}`);
  }
  if (!(storage instanceof Storage)) return fail("a tensor's storage", describe(storage));
  if (!isCount(offset)) return fail("a storage offset", describe(offset));
  if (!isCounts(size)) return fail("a tensor's size", describe(size));
  if (!isCounts(stride) || stride.length !== size.length) return fail(`${size.length} strides`, describe(stride));
  if (numel(size) > MAX_NUMEL) fail(`at most ${MAX_NUMEL} elements`, formatShape(size));
  const end = offset + span(size, stride);
  if (end > storage.length) fail(`a view into ${storage.length} elements`, `one that ends at ${end}`);
  return new TorchTensor(storage, offset, size, stride);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every(isCount);
}

/** The tensors of `payload`, or of its dict "model". */
function stateDict(payload: unknown, where: string): Map<string, StoredTensor> {
  const root = payload instanceof Map ? payload : new Map();
  const dict = root.get("model") instanceof Map ? (root.get("model") as Map<unknown, unknown>) : root;
  const tensors = new Map<string, StoredTensor>();
  for (const [key, value] of dict) {
    if (typeof key === "string" && value instanceof TorchTensor) tensors.set(key, value);
  }
  if (tensors.size === 0) {
    const wanted = 'a state_dict, alone or under "model"';
    const got =
      payload instanceof Map ? `keys ${[...payload.keys()].slice(0, 5).map(describe).join(", ")}` : describe(payload);
    throw new CheckpointError(where, wanted, got, "save {'model': model.state_dict()}");
  }
  return tensors;
}
