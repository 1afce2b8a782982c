import { type Callable, Opaque } from "./pickle.ts";

/**
 * Classes and functions of Python's library, NumPy, PyTorch, Lightning and OmegaConf whose values people keep beside their
 * weights. Nothing of them is needed, so all that counts is that they can be passed over without running anything.
 */
const HARMLESS = [
  /^(builtins|__builtin__)\.(bool|bytearray|bytes|complex|dict|float|frozenset|int|list|long|object|range|set|slice|str|tuple|unicode|xrange)$/,
  /^_codecs\.encode$/, // bytes, before protocol 3
  /^argparse\.Namespace$/,
  /^types\.SimpleNamespace$/,
  /^collections\.(Counter|deque)$/,
  /^datetime\.(date|datetime|time|timedelta|timezone)$/,
  /^decimal\.Decimal$/,
  /^fractions\.Fraction$/,
  /^uuid\.(SafeUUID|UUID)$/,
  /^pathlib(\._local)?\.(Pure)?(Path|PosixPath|WindowsPath)$/,
  /^re\._compile$/,
  /^typing\.Any$/,
  /^numpy\.(core|_core)\.multiarray\.(_reconstruct|scalar)$/,
  /^numpy\.(core|_core)\.numeric\._frombuffer$/,
  /^numpy\.(dtype|ndarray|bool_?|bytes_|str_|datetime64|timedelta64|u?int\d+|float\d+|complex\d+|longlong|ulonglong)$/,
  /^numpy\.dtypes\.\w+DType$/,
  /^numpy\.random\._pickle\.__\w+_ctor$/,
  /^numpy\.random\.(_mt19937\.MT19937|_pcg64\.PCG64|_philox\.Philox|_sfc64\.SFC64)$/,
  /^torch\.(device|Size|Generator|Tensor|nn\.parameter\.(Parameter|Buffer))$/,
  /^torch\.(strided|contiguous_format|channels_last|preserve_format)$/,
  /^torch\.(complex\d+|u?int\d+|float8_\w+)$/,
  /^torch\.serialization\._get_layout$/,
  /^(lightning\.fabric\.utilities\.data|(pytorch_lightning|lightning\.pytorch)\.utilities\.parsing)\.AttributeDict$/,
  /^omegaconf\.(base\.(ContainerMetadata|Metadata)|dictconfig\.DictConfig|listconfig\.ListConfig|nodes\.\w+Node)$/,
];

/** Makes `Opaque` values of the class or function `name`; undefined unless that is known to be harmless. */
export function opaqueClass(name: string): Callable | undefined {
  return HARMLESS.some((pattern) => pattern.test(name)) ? () => new Opaque(name) : undefined;
}
