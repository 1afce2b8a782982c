import { CheckpointError } from "../errors.ts";
import { notify } from "../platform/notices.ts";
import { platform } from "../platform/platform.ts";
import type { OpenFile } from "../platform/types.ts";
import { DEMO_MODEL } from "./demo_model.ts";
import { hyperparametersOf, isTransformers, metaNames } from "./hf_keys.ts";
import { isObject, parseJsonObject } from "./json.ts";
import { MODEL_NAMES, officialCheckpoint } from "./official.ts";
import { readSafetensors } from "./safetensors.ts";
import { type ByteSource, bytesSource, readExactly, type StoredTensor, type TensorFile } from "./tensor_file.ts";
import { isLegacyTorch, readLegacyTorch, readTorch } from "./torch_pickle.ts";
import { placeText, type Unwrapped, unwrap } from "./unwrap.ts";

/**
 * The name of a model ("tiny", "2.0:large", "sam2.1_hiera_tiny", "facebook/sam2.1-hiera-tiny"), a path (Node), an address,
 * or the bytes themselves. A string that begins with http:// or https:// is an address; what exists as a path is a path.
 */
export type CheckpointSource = string | URL | Uint8Array | ArrayBuffer | Blob;

export interface ReadOptions {
  signal?: AbortSignal;
  /** Bytes downloaded so far; `total` is undefined if the server does not tell. */
  onProgress?: (loaded: number, total: number | undefined) => void;
  /** Told when the file holds several sets of weights, which one is taken. By default the console is. */
  onNotice?: (text: string) => void;
}

/** The tensors of a model under Meta's names, wherever they come from; they are read from the file one at a time. */
export interface Checkpoint extends Omit<TensorFile, "nested"> {
  /** Path or address. */
  readonly name: string;
  /** Whose names the file uses. */
  readonly names: "meta" | "transformers";
  /** Where in the file they were found; undefined if no SAM 2 was. */
  readonly unwrapped: Unwrapped | undefined;
  /**
   * `Hyperparameters` that the file states, unchecked: the entry `config` of the safetensors metadata, or transformers'
   * config.json.
   */
  readonly hyperparameters: Readonly<Record<string, unknown>>;
  /** Close the file. Tensors cannot be read any more. */
  close(): void;
}

const INDEX = "model.safetensors.index.json";
const MAX_JSON = 2 ** 24;

/**
 * Read a checkpoint in any of its forms: Meta's `.pt`; safetensors with Meta's or transformers' names, in one file or in
 * shards; a folder with one of these. A file is not read into memory: its tensors are, when asked for.
 *
 * NB transformers' config.json is read beside a path, not beside an address.
 *
 * @throws CheckpointError naming the file and the place in it; the signal's reason if aborted
 */
export async function readCheckpoint(source: CheckpointSource, options: ReadOptions = {}): Promise<Checkpoint> {
  const opened: OpenFile[] = [];
  const close = () => {
    for (const file of opened.splice(0)) file.close();
  };
  try {
    const place = await locate(source, options);
    const open = async (file: string) => {
      const bytes = await place.open(file);
      opened.push(bytes);
      return bytes;
    };
    const main = await open(place.main);
    const file = /\.json(\?|$)/.test(main.name) ? await readShards(main, open) : readTensorFile(main);
    const { tensors, unwrapped } = unwrap(main.name, file) ?? { tensors: allTensors(file), unwrapped: undefined };
    if (unwrapped && unwrapped.others.length > 0) {
      const { onNotice = notify } = options;
      onNotice(severalSets(main.name, unwrapped));
    }
    const foreign = isTransformers(tensors);
    return {
      format: file.format,
      metadata: file.metadata,
      verify: file.verify,
      name: main.name,
      names: foreign ? "transformers" : "meta",
      unwrapped,
      tensors: metaNames(main.name, tensors, foreign),
      hyperparameters: {
        ...(foreign && place.files.includes("config.json") && hyperparametersOf(readJson(await open("config.json")))),
        ...metadataConfig(main.name, file.metadata),
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Of a file without a SAM 2: for messages. */
function allTensors({ tensors, nested }: TensorFile): ReadonlyMap<string, StoredTensor> {
  return tensors.size > 0 ? tensors : ([...nested.values()][0] ?? tensors);
}

function severalSets(file: string, unwrapped: Unwrapped): string {
  const others = unwrapped.others.join(", ");
  return `${file}: of several sets of weights that in ${placeText(unwrapped)} is used; there are also: ${others}`;
}

/** Where the files of a checkpoint are. */
interface Place {
  /** The file to begin with. */
  readonly main: string;
  /** Those beside it, as far as known. */
  readonly files: readonly string[];
  open(file: string): Promise<OpenFile>;
}

async function locate(source: CheckpointSource, options: ReadOptions): Promise<Place> {
  if (source instanceof File) return single(await platform.openBlob(source, source.name));
  if (source instanceof Blob) return single(await platform.openBlob(source, "blob"));
  if (source instanceof Uint8Array) return single({ ...bytesSource(source), close: () => {} });
  if (source instanceof ArrayBuffer) return single({ ...bytesSource(new Uint8Array(source)), close: () => {} });
  if (source instanceof URL ? source.protocol !== "file:" : /^https?:\/\//.test(source)) {
    return { main: `${source}`, files: [], open: (file) => platform.download(`${new URL(file, source)}`, options) };
  }
  if (typeof source === "string" && !(await platform.exists(source))) {
    if (source === DEMO_MODEL.name) return locate(DEMO_MODEL.url, options);
    const official = officialCheckpoint(source);
    if (official) return single(await platform.openCached(official, { ...options, check: checkWhole }));
  }
  const path = source instanceof URL ? decodeURIComponent(source.pathname).replace(/^\/(?=[a-z]:)/i, "") : source;
  const inside = await platform.listFolder(path);
  const folder = inside ? path : path.replace(/[^/\\]*$/, "");
  const files = inside ?? (await platform.listFolder(folder || ".")) ?? [];
  const join = (file: string) => (inside ? `${folder.replace(/[/\\]$/, "")}/${file}` : `${folder}${file}`);
  const open = async (file: string) => {
    try {
      return await platform.openFile(join(file));
    } catch (cause) {
      const isName = typeof source === "string" && /^[^./\\]+$/.test(source);
      const todo = isName ? `check the path, or name a model: ${MODEL_NAMES}` : "check the path";
      throw new CheckpointError(join(file), "a file that can be read", (cause as Error).message, todo, { cause });
    }
  };
  return { main: inside ? mainFile(path, files) : path.slice(folder.length), files, open };
}

function single(file: OpenFile): Place {
  return { main: file.name, files: [], open: async () => file };
}

/** Which file of a folder to begin with. */
function mainFile(folder: string, files: readonly string[]): string {
  const weights = files.filter((file) => /\.(safetensors|pt|pth)$/.test(file));
  const main = [INDEX, "model.safetensors"].find((file) => files.includes(file)) ?? weights[0];
  if (main === undefined || (weights.length > 1 && !main.startsWith("model.safetensors"))) {
    const wanted = `${INDEX}, model.safetensors or a single .safetensors or .pt file`;
    throw new CheckpointError(folder, wanted, weights.join(", ") || "none", "name one of the files");
  }
  return main;
}

/** @throws CheckpointError if a file is no checkpoint, was cut off, or is damaged */
export function checkWhole(file: OpenFile): void {
  readTensorFile(file).verify();
}

/** Recognise the format by its first bytes. */
function readTensorFile(source: ByteSource): TensorFile {
  const head = readExactly(source, "first bytes", 0, Math.min(source.size, 64)).slice();
  const text = new TextDecoder("latin1").decode(head);
  if (text.startsWith("PK")) return readTorch(source);
  if (isLegacyTorch(text)) return readLegacyTorch(source);
  if (text[8] === "{") return readSafetensors(source);
  const [, got, todo] = WRONG_FILES.find(([recognise]) => recognise(text)) ?? [
    undefined,
    `a file that begins with ${JSON.stringify(text.slice(0, 8))}`,
    "check that this is the file that was meant",
  ];
  throw new CheckpointError(source.name, "a .pt or .safetensors file", got, todo);
}

/** What else is often found under such a name. */
const WRONG_FILES: readonly [recognise: (text: string) => boolean, got: string, todo: string][] = [
  [(text) => text === "", "an empty file", "download it again"],
  [(text) => text.startsWith("version https://git-lfs"), "a Git LFS pointer", "fetch the file with git lfs pull"],
  [(text) => text.trimStart().startsWith("<"), "a web page", "download the file itself, not the page about it"],
  [(text) => /^[{[]/.test(text.trimStart()), "JSON", "see whether it is an error message; for shards pass the folder"],
  [(text) => text.startsWith("\x80"), "a plain pickle", "save the state_dict with torch.save"],
];

function readJson(file: ByteSource): Record<string, unknown> {
  if (file.size > MAX_JSON) {
    throw new CheckpointError(file.name, `at most ${MAX_JSON} bytes`, `${file.size}`, "check that this is JSON");
  }
  return parseJsonObject(readExactly(file, "JSON", 0, file.size), file.name);
}

/** The union of the shards that an index names. Each tensor must lie where the index says. */
async function readShards(index: ByteSource, open: (file: string) => Promise<ByteSource>): Promise<TensorFile> {
  const { weight_map: map } = readJson(index);
  const files = isObject(map) ? [...new Set(Object.values(map))] : [];
  const isName = (file: unknown): file is string => typeof file === "string" && /^[\w.-]+\.safetensors$/.test(file);
  if (!isObject(map) || files.length === 0 || !files.every(isName)) {
    const wanted = "names of .safetensors files in the same folder";
    throw new CheckpointError(`${index.name}: weight_map`, wanted, "something else", "write the index again");
  }
  const todo = "download all files of one version";
  const tensors = new Map<string, StoredTensor>();
  for (const file of files) {
    const shard = readSafetensors(await open(file));
    for (const [name, stored] of shard.tensors) {
      if (map[name] !== file) {
        const wanted = "this file as its place in the index";
        const got = map[name] === undefined ? "none" : `${map[name]}`;
        throw new CheckpointError(`${file}: ${name}`, wanted, got, todo);
      }
      tensors.set(name, stored);
    }
  }
  const lost = Object.keys(map).find((name) => !tensors.has(name));
  if (lost !== undefined) {
    throw new CheckpointError(`${map[lost]}: ${lost}`, "a tensor, as the index says", "none", todo);
  }
  return { format: "safetensors", tensors, nested: new Map(), metadata: {}, verify: () => {} };
}

/** The entry `config` of safetensors' metadata. */
function metadataConfig(file: string, metadata: Readonly<Record<string, string>>): Record<string, unknown> {
  if (!Object.hasOwn(metadata, "config")) return {};
  return parseJsonObject(new TextEncoder().encode(metadata.config), `${file}: metadata: config`);
}
