import { CheckpointError } from "../errors.ts";
import { formatShape, numel, type Shape } from "../tensor/shape.ts";
import { type DType, ITEM_SIZE, MAX_NUMEL, toFloat32 } from "./dtypes.ts";
import { type Callable, describe, type Fail, unpickle } from "./pickle.ts";
import { opaqueClass } from "./pickle_classes.ts";
import { type ByteSource, readExactly, readPieces, type StoredTensor, type TensorFile } from "./tensor_file.ts";
import { readZip, type ZipRecord } from "./zip.ts";

// NAME/data.pkl: the pickle · NAME/data/0, 1, …: one storage each · NAME/byteorder, version, .data/…: notes
const MAX_PICKLE = 2 ** 26; // the largest official checkpoint has 0.1 MB
const MAX_DEPTH = 8; // dicts in dicts

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
  ["torch.storage.UntypedStorage", "U8"],
]);

const DTYPES = new Map<string, DType>([
  ["torch.float64", "F64"],
  ["torch.float32", "F32"],
  ["torch.float16", "F16"],
  ["torch.bfloat16", "BF16"],
  ["torch.int64", "I64"],
  ["torch.int32", "I32"],
  ["torch.int16", "I16"],
  ["torch.int8", "I8"],
  ["torch.uint8", "U8"],
  ["torch.bool", "BOOL"],
]);

/** The class of a storage, as the pickle passes it to its persistent ids. */
class StorageType {
  readonly dtype: DType;
  constructor(dtype: DType) {
    this.dtype = dtype;
  }
}

/** Where the bytes of a storage are: a record of a zip archive, or a part of the file. */
interface Place {
  stream(start: number, end: number, take: (piece: Uint8Array, at: number) => void): void;
}

/** Elements in the file; several tensors may look into them. */
class Storage {
  readonly dtype: DType;
  readonly length: number;
  /** In the oldest format, known only when the pickle has been read. */
  place: Place;
  constructor(dtype: DType, length: number, place: Place) {
    this.dtype = dtype;
    this.length = length;
    this.place = place;
  }
}

/** A view into a storage, counted in elements. */
class TorchTensor implements StoredTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly #storage: Storage;
  readonly #offset: number;
  readonly #stride: Shape;

  constructor(storage: Storage, dtype: DType, offset: number, shape: Shape, stride: Shape) {
    this.dtype = dtype;
    this.shape = shape;
    this.#storage = storage;
    this.#offset = offset;
    this.#stride = stride;
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
    const size = ITEM_SIZE[this.dtype];
    const start = this.#offset * size;
    this.#storage.place.stream(start, start + into.length * size, (piece, at) => {
      toFloat32(this.dtype, piece, into.subarray(at / size, (at + piece.length) / size));
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
 * The tensors of a file that `torch.save` wrote, whatever else it holds: those of its outermost dict, and those of each
 * dict inside. Nothing is executed; a class that is not known to be harmless is an error.
 *
 * @throws CheckpointError naming the record, and the byte inside the pickle
 * @source torch/serialization.py, _save and _load; torch/_utils.py, _rebuild_tensor_v2
 */
export function readTorch(source: ByteSource): TensorFile {
  const records = readZip(source);
  const folder = archiveFolder(source, records);
  const byteorder = records.get(`${folder}/byteorder`);
  if (byteorder && (byteorder.size > 16 || new TextDecoder().decode(byteorder.bytes()) !== "little")) {
    throw new CheckpointError(
      `${source.name}: record ${byteorder.name}`,
      "little",
      "another byte order",
      LITTLE_ENDIAN,
    );
  }
  const pickle = records.get(`${folder}/data.pkl`)!;
  const where = `${source.name}: record ${pickle.name}`;
  if (pickle.size > MAX_PICKLE) {
    throw new CheckpointError(where, `at most ${MAX_PICKLE} bytes`, `${pickle.size}`, "save only the state_dict");
  }
  const bytes = pickle.bytes();
  const { value, end } = unpickleTorch(bytes, where, (key, dtype, _length, fail) => {
    const record = records.get(`${folder}/data/${key}`) ?? fail(`a record data/${key}`, "none");
    return new Storage(dtype, record.size / ITEM_SIZE[dtype], record);
  });
  if (end !== bytes.length) throw behindThePickle(where, end, bytes.length);
  const verify = () => {
    for (const record of records.values()) record.verify();
  };
  return { format: "torch", ...tensorsOf(value, where), metadata: {}, verify };
}

const LITTLE_ENDIAN = "save the file on a little-endian machine";

function behindThePickle(where: string, end: number, length: number): CheckpointError {
  const got = `${length - end} more bytes`;
  return new CheckpointError(`${where}: byte ${end}`, "the end of the pickle", got, "copy or download the file again");
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const MAGIC_BYTES = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"; // as a pickled integer

/** Does a file begin so that PyTorch before 1.6 wrote, and later versions if told to? */
export function isLegacyTorch(head: string): boolean {
  return head.startsWith("\x80") && head.slice(0, 32).includes(MAGIC_BYTES);
}

/**
 * `readTorch` for the format before PyTorch 1.6, `_use_new_zipfile_serialization=False`: five pickles (magic number,
 * version, machine, the value, keys of its storages), then the storages in the order of their keys, each as the number of
 * its elements (i64) and the elements. It has no checksums.
 *
 * @throws CheckpointError naming the byte
 * @source torch/serialization.py, _legacy_save and _legacy_load
 */
export function readLegacyTorch(source: ByteSource): TensorFile {
  const where = source.name;
  const head = readExactly(source, "pickles", 0, Math.min(source.size, MAX_PICKLE)).slice();
  const storages = new Map<string, Storage>();
  let reached = 0;
  const next = () => {
    const { value, end } = unpickleTorch(head, where, newStorage, reached);
    reached = end;
    return value;
  };
  const newStorage: OpenStorage = (key, dtype, length) => {
    const storage = new Storage(dtype, length, NOWHERE);
    storages.set(key, storage);
    return storage;
  };
  const [magic, version, machine] = [next(), next(), next()];
  if (magic !== MAGIC || version !== 1001 || !(machine instanceof Map)) {
    const todo = "load it in PyTorch and save it again";
    throw new CheckpointError(where, "a torch.save file of version 1001", describe(version), todo);
  }
  if (machine.get("little_endian") !== true) {
    throw new CheckpointError(where, "little-endian data", "another byte order", LITTLE_ENDIAN);
  }
  const payload = next();
  const keys = next();
  const isKnown = (key: unknown): key is string => typeof key === "string" && storages.has(key);
  if (
    !Array.isArray(keys) ||
    !keys.every(isKnown) ||
    keys.length !== storages.size ||
    new Set(keys).size !== keys.length
  ) {
    throw new CheckpointError(`${where}: keys of the storages`, [...storages.keys()].join(", "), "others", COPY_AGAIN);
  }
  for (const key of keys) {
    const storage = storages.get(key)!;
    const at = reached + 8;
    const count = readExactly(source, `storage ${key}`, reached, 8);
    const length = Number(new DataView(count.buffer, count.byteOffset, 8).getBigInt64(0, true));
    if (length !== storage.length) {
      throw new CheckpointError(`${where}: storage ${key}`, `${storage.length} elements`, `${length}`, COPY_AGAIN);
    }
    storage.place = {
      stream: (start, end, take) => readPieces(source, `storage ${key}`, at + start, end - start, take),
    };
    reached = at + length * ITEM_SIZE[storage.dtype];
  }
  if (reached !== source.size) {
    throw new CheckpointError(where, `${reached} bytes, as its storages say`, `${source.size}`, COPY_AGAIN);
  }
  return { format: "torch", ...tensorsOf(payload, where), metadata: {}, verify: () => {} };
}

const COPY_AGAIN = "copy or download the file again";
const NOWHERE: Place = { stream: () => {} };

/** Makes the storage of a key when it is met first. */
type OpenStorage = (key: string, dtype: DType, length: number, fail: Fail) => Storage;

function unpickleTorch(bytes: Uint8Array, where: string, open: OpenStorage, from = 0): { value: unknown; end: number } {
  const storages = new Map<string, Storage>();
  const strangers = new Map<unknown, () => never>();
  const callables: Record<string, Callable> = {
    // A class of one's own may stand as the type of a tensor, which is read as a plain one; anywhere else it is refused.
    "torch._tensor._rebuild_from_type_v2"([rebuild, type, parts], fail) {
      if (typeof rebuild !== "function" || !Array.isArray(parts)) return fail("a tensor's parts", describe(rebuild));
      strangers.delete(type);
      return (rebuild as Callable)(parts, fail);
    },
  };
  const result = unpickle(
    bytes,
    where,
    {
      global(name, fail) {
        const dtype = STORAGES.get(name);
        if (dtype) return new StorageType(dtype);
        if (Object.hasOwn(callables, name)) return callables[name];
        const known = CALLABLES.get(name) ?? DTYPES.get(name) ?? opaqueClass(name);
        if (known) return known;
        const refuse = () => fail("a global that a state_dict needs", name, "save only the state_dict");
        strangers.set(refuse, refuse);
        return refuse;
      },
      persistent: (id, fail) => storageOf(id, storages, open, fail),
    },
    from,
  );
  for (const refuse of strangers.values()) refuse();
  return result;
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

/** ("storage", type, key, location, numel); in the oldest format also None, for a storage that is no view of another */
function storageOf(id: unknown, storages: Map<string, Storage>, open: OpenStorage, fail: Fail): Storage {
  const [kind, type, key, location, length, whole = null, ...more] = Array.isArray(id) ? id : [];
  const isText = typeof key === "string" && typeof location === "string";
  const fits = kind === "storage" && isText && isCount(length) && whole === null && more.length === 0;
  if (!fits || !(type instanceof StorageType)) return fail('("storage", type, key, location, numel)', describe(id));
  const opened = storages.get(key) ?? open(key, type.dtype, length, fail);
  storages.set(key, opened);
  if (opened.dtype !== type.dtype) fail(`storage ${key} as ${opened.dtype}, as before`, type.dtype);
  if (opened.length !== length) fail(`${opened.length} elements in storage ${key}`, describe(length));
  return opened;
}

const parameter: Callable = ([data], fail) =>
  data instanceof TorchTensor ? data : fail("a tensor in a Parameter", describe(data));

/** What the globals of a state_dict do. */
const CALLABLES = new Map<string, Callable>([
  [
    "collections.OrderedDict",
    (args, fail) => (args.length === 0 ? new Map() : fail("an empty OrderedDict", `${args.length} arguments`)),
  ],
  ["collections.defaultdict", () => new Map()],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  [
    "torch._utils._rebuild_tensor_v3", // … and a dtype, of a storage that is counted in bytes
    ([storage, offset, size, stride, , , dtype], fail) => {
      if (!isDType(dtype)) return fail("a type that a weight may have", describe(dtype), "save the weights as float32");
      return viewOf(storage, offset, size, stride, dtype, fail);
    },
  ],
  ["torch._utils._rebuild_parameter", parameter],
  ["torch._utils._rebuild_parameter_with_state", parameter],
]);

/** (storage, offset, size, stride), and perhaps requires_grad, backward_hooks, metadata */
function rebuildTensor([storage, offset, size, stride, ...more]: readonly unknown[], fail: Fail): TorchTensor {
  if (more.length > 3 || more.length === 1) fail("the arguments of _rebuild_tensor_v2", `${4 + more.length}`);
  return viewOf(storage, offset, size, stride, storage instanceof Storage ? storage.dtype : "F32", fail);
}

function viewOf(
  storage: unknown,
  offset: unknown,
  size: unknown,
  stride: unknown,
  dtype: DType,
  fail: Fail,
): TorchTensor {
  if (!(storage instanceof Storage)) return fail("a tensor's storage", describe(storage));
  if (!isCount(offset)) return fail("a storage offset", describe(offset));
  if (!isCounts(size)) return fail("a tensor's size", describe(size));
  if (!isCounts(stride) || stride.length !== size.length) return fail(`${size.length} strides`, describe(stride));
  if (numel(size) > MAX_NUMEL) fail(`at most ${MAX_NUMEL} elements`, formatShape(size));
  const length = (storage.length * ITEM_SIZE[storage.dtype]) / ITEM_SIZE[dtype];
  const end = offset + span(size, stride);
  if (end > length) fail(`a view into ${length} elements`, `one that ends at ${end}`);
  return new TorchTensor(storage, dtype, offset, size, stride);
}

function isDType(value: unknown): value is DType {
  return typeof value === "string" && Object.hasOwn(ITEM_SIZE, value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every(isCount);
}

/** The tensors of the outermost dict, and of the dicts in it by their path: "state_dict", "ema/model". */
function tensorsOf(payload: unknown, where: string): Pick<TensorFile, "tensors" | "nested"> {
  const dicts = new Map<string, Map<string, StoredTensor>>();
  const visited = new Set<unknown>();
  const visit = (dict: Map<unknown, unknown>, path: string[]) => {
    if (visited.has(dict) || path.length > MAX_DEPTH) return;
    visited.add(dict);
    const tensors = new Map<string, StoredTensor>();
    for (const [key, value] of dict) {
      if (typeof key === "string" && value instanceof TorchTensor) tensors.set(key, value);
      if (value instanceof Map) visit(value, [...path, typeof key === "string" ? key : describe(key)]);
    }
    if (tensors.size > 0) dicts.set(path.join("/"), tensors);
  };
  if (payload instanceof Map) visit(payload, []);
  if (dicts.size === 0) {
    const wanted = "a state_dict, alone or in a dict";
    const got =
      payload instanceof Map ? `keys ${[...payload.keys()].slice(0, 5).map(describe).join(", ")}` : describe(payload);
    throw new CheckpointError(where, wanted, got, "save {'model': model.state_dict()}");
  }
  const tensors = dicts.get("") ?? new Map();
  dicts.delete("");
  return { tensors, nested: dicts };
}
