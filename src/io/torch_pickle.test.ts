import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import { crc32 } from "./crc32.ts";
import { bytesSource, type TensorFile } from "./tensor_file.ts";
import { isLegacyTorch, readLegacyTorch, readTorch } from "./torch_pickle.ts";

// ---- a small archiver: what it writes is valid, and says where each part lies, so that a test can spoil it -----------

interface Archive {
  bytes: Uint8Array;
  view: DataView;
  /** Offsets of the local headers, the data and the directory entries, by record name. */
  local: Record<string, number>;
  data: Record<string, number>;
  central: Record<string, number>;
  end: number;
}

const latin1 = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** A stored zip; `wide` writes every number of the directory as zip64. */
function archive(records: Record<string, Uint8Array>, wide = false): Archive {
  const local: Record<string, number> = {};
  const data: Record<string, number> = {};
  const central: Record<string, number> = {};
  const parts: number[] = [];
  const u16 = (...values: number[]) => parts.push(...values.flatMap((v) => [v & 255, v >>> 8]));
  const u32 = (...values: number[]) =>
    parts.push(...values.flatMap((v) => [v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24]));
  const u64 = (...values: number[]) => u32(...values.flatMap((v) => [v, 0]));
  for (const [name, content] of Object.entries(records)) {
    local[name] = parts.length;
    u32(0x04034b50);
    u16(0, 0, 0, 0, 0);
    u32(crc32(content), content.length, content.length);
    u16(name.length, 0);
    parts.push(...latin1(name));
    data[name] = parts.length;
    for (const byte of content) parts.push(byte);
  }
  const start = parts.length;
  for (const [name, content] of Object.entries(records)) {
    central[name] = parts.length;
    const { length } = content;
    u32(0x02014b50);
    u16(0, 0, 0, 0, 0, 0);
    u32(crc32(content), ...(wide ? [0xffffffff, 0xffffffff] : [length, length]));
    u16(name.length, wide ? 28 : 0, 0, 0, 0);
    u32(0, wide ? 0xffffffff : local[name]);
    parts.push(...latin1(name));
    if (wide) {
      u16(1, 24);
      u64(length, length, local[name]);
    }
  }
  const size = parts.length - start;
  const count = Object.keys(records).length;
  if (wide) {
    const end64 = parts.length;
    u32(0x06064b50);
    u64(44);
    u16(45, 45);
    u32(0, 0);
    u64(count, count, size, start);
    u32(0x07064b50, 0);
    u64(end64);
    u32(1);
  }
  const end = parts.length;
  u32(0x06054b50);
  u16(0, 0, ...(wide ? [0xffff, 0xffff] : [count, count]));
  u32(...(wide ? [0xffffffff, 0xffffffff] : [size, start]));
  u16(0);
  const bytes = Uint8Array.from(parts);
  return { bytes, view: new DataView(bytes.buffer), local, data, central, end };
}

// ---- a small pickler: protocol 2, as strings of bytes -----------------------------------------------------------------

const le32 = (n: number) => String.fromCharCode(n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24);
const str = (text: string) => `X${le32(text.length)}${text}`;
const int = (n: number) => `J${le32(n)}`;
const tuple = (...items: string[]) => `(${items.join("")}t`;
const list = (...items: string[]) => `](${items.join("")}e`;
const dict = (...items: string[]) => `}(${items.join("")}u`;
const global = (name: string) => `c${name.slice(0, name.lastIndexOf("."))}\n${name.slice(name.lastIndexOf(".") + 1)}\n`;
const call = (name: string, ...args: string[]) => `${global(name)}${tuple(...args)}R`;
const ints = (values: readonly number[]) => tuple(...values.map(int));
const storage = (type: string, key: string, length: number) =>
  `${tuple(str("storage"), global(`torch.${type}Storage`), str(key), str("cpu"), int(length))}Q`;
const hooks = call("collections.OrderedDict");
const view = (of: string, offset: number, size: readonly number[], stride: readonly number[]) =>
  call("torch._utils._rebuild_tensor_v2", of, int(offset), ints(size), ints(stride), "\x89", hooks);
const pickle = (value: string) => latin1(`\x80\x02${value}.`);

const SIX = new Uint8Array(Float32Array.from([0, 1, 2, 3, 4, 5]).buffer);
const six = storage("Float", "0", 6);
const w = view(six, 0, [2, 3], [3, 1]);

/** The records of a file whose pickle is `value`, with six floats as storage 0. */
function records(value: string, more: Record<string, Uint8Array> = {}): Record<string, Uint8Array> {
  return { "a/data.pkl": pickle(value), "a/byteorder": latin1("little"), "a/data/0": SIX, ...more };
}
const good = () => archive(records(dict(str("w"), w)));

function open(bytes: Uint8Array): TensorFile {
  const source = bytesSource(bytes, "x.pt");
  return isLegacyTorch(new TextDecoder("latin1").decode(bytes.subarray(0, 64)))
    ? readLegacyTorch(source)
    : readTorch(source);
}
function read(file: Pick<TensorFile, "tensors">, name: string): number[] {
  const stored = file.tensors.get(name)!;
  const values = new Float32Array(numel(stored.shape));
  stored.read(values);
  return [...values];
}
function refusal(bytes: Uint8Array): string {
  try {
    open(bytes).verify();
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
  return "accepted";
}

// ---- files that PyTorch wrote -----------------------------------------------------------------------------------------

const Written = suite("torch_pickle: files written by PyTorch 2.13");
const fixtureBytes = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../golden/cases/checkpoints/${name}`, import.meta.url)));
const fixture = (name: string) => open(fixtureBytes(name));
const ramp = (n: number) => Array.from({ length: n }, (_, i) => i / 8);

Written("a state_dict with _metadata, beside numbers, text and None, gives its tensors exactly", () => {
  const outer = fixture("state_dict.pt");
  assert.equal([outer.tensors.size, [...outer.nested.keys()]], [0, ["model"]]);
  const file = { ...outer, tensors: outer.nested.get("model")! };
  assert.equal([...file.tensors.keys()], ["0.weight", "0.bias", "1.weight", "1.bias"]);
  assert.equal(file.tensors.get("0.weight")!.shape, [2, 3]);
  assert.equal(read(file, "0.weight"), ramp(6));
  assert.equal(read(file, "1.bias"), ramp(2));
  file.verify();
});
Written("every element type is converted exactly", () => {
  const file = fixture("dtypes.pt");
  for (const name of ["f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8"]) {
    assert.equal(read(file, name), [0, 1, 2, 3, 4, 127], name);
  }
  assert.equal(read(file, "bool"), [0, 1, 1, 1, 1, 1]);
});
Written("halves at their limits are exact: subnormals, the largest, ±∞, NaN, −0", () => {
  const file = fixture("dtypes.pt");
  assert.equal(read(file, "f16_limits"), [2 ** -24, -1023 * 2 ** -24, 65504, Infinity, -Infinity, NaN, -0]);
  assert.ok(Object.is(read(file, "f16_limits")[6], -0));
  const bf16 = read(file, "bf16_limits");
  assert.equal(bf16.slice(3), [Infinity, -Infinity, NaN, -0]);
  assert.is(bf16[2], 65536);
});
Written("views are read in row-major order: transposed, shifted, narrowed, repeated, scalar, empty", () => {
  const file = fixture("views.pt");
  const whole = ramp(12);
  assert.equal(read(file, "whole"), whole);
  assert.equal(
    read(file, "transposed"),
    [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map((i) => whole[i]),
  );
  assert.equal(file.tensors.get("transposed")!.shape, [4, 3]);
  assert.equal(read(file, "rows"), whole.slice(4));
  assert.equal(
    read(file, "columns"),
    [1, 2, 5, 6, 9, 10].map((i) => whole[i]),
  );
  assert.equal(read(file, "parameter"), whole);
  assert.equal(read(file, "expanded"), Array(6).fill(1 / 8));
  assert.equal(read(file, "scalar"), [11 / 8]);
  assert.equal(file.tensors.get("scalar")!.shape, []);
  assert.equal(read(file, "empty"), []);
  assert.equal(read(file, "channels_last"), whole);
});
for (const protocol of [2, 3, 4, 5]) {
  Written(`protocol ${protocol}: weights are read from among all that trainers keep beside them`, () => {
    expectTrainerState(fixture(`trainer_${protocol}.pt`));
  });
}
for (const protocol of [2, 5]) {
  Written(`the format before PyTorch 1.6, protocol ${protocol}: the same weights`, () => {
    expectTrainerState(fixture(`trainer_legacy_${protocol}.pt`));
  });
}
for (const name of ["rebuilt.pt", "rebuilt_legacy.pt"]) {
  Written(`${name}: Parameters, with attributes too, buffers, subclasses, halves and doubles, views`, () => {
    const file = fixture(name);
    const whole = ramp(12);
    for (const key of ["parameter", "tagged", "own", "buffer", "half"]) assert.equal(read(file, key), whole, key);
    const transposed = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map((i) => whole[i]);
    for (const key of ["transposed", "double"]) assert.equal(read(file, key), transposed, key);
    assert.equal(read(file, "bfloat"), whole.slice(4));
    file.verify();
  });
}
Written("a class of one's own beside the weights is refused by name, and so is a whole module", () => {
  assert.throws(() => fixture("foreign.pt"), /expected a global that a state_dict needs, got __main__\.Own; save only/);
  assert.throws(() => fixture("module.pt"), /got torch\.nn\.modules\.linear\.Linear; save only the state_dict/);
});
Written("a legacy file that was cut off, or has bytes behind it or other sizes, is refused by place", () => {
  const bytes = fixtureBytes("trainer_legacy_2.pt");
  const cases: [Uint8Array, RegExp][] = [
    [bytes.subarray(0, -1), /expected \d+ bytes, as its storages say, got \d+/],
    [Uint8Array.from([...bytes, 0]), /expected \d+ bytes, as its storages say, got \d+/],
    [bytes.subarray(0, 200), /byte \d+: expected \d+ more bytes/],
    [bytes.with(13, bytes[13] ^ 1), /expected a torch\.save file of version 1001/],
  ];
  for (const [spoiled, message] of cases) assert.throws(() => readLegacyTorch(bytesSource(spoiled, "x.pt")), message);
});
for (const name of ["trainer_legacy_2.pt", "trainer_legacy_5.pt", "trainer_4.pt"]) {
  Written(`${name}: any byte changed is read all the same or refused with a CheckpointError`, () => {
    const bytes = fixtureBytes(name);
    for (let i = 0; i < bytes.length; i++) refusal(bytes.with(i, bytes[i] ^ [0x01, 0x80, 0xff, 0x10][i % 4]));
  });
}
Written.run();

function expectTrainerState(file: TensorFile): void {
  const model = file.nested.get("model")!;
  const ema = file.nested.get("ema")!;
  const name = "module.image_encoder.trunk.patch_embed.proj.weight";
  assert.equal([...model.keys()], [name, "module.maskmem_tpos_enc"]);
  assert.equal(read({ tensors: model }, name), ramp(6));
  assert.equal(
    read({ tensors: ema }, name),
    ramp(6).map((value) => value + 1),
  );
  assert.equal(read(file, "rng"), [0, 1, 2, 3, 4, 5, 6, 7]);
  file.verify();
}

// ---- files that are valid but unusual ---------------------------------------------------------------------------------

const Valid = suite("torch_pickle: valid files");
Valid("the archiver and pickler of this test write what is accepted", () => {
  assert.equal(read(open(good().bytes), "w"), [0, 1, 2, 3, 4, 5]);
});
Valid("zip64 directories are read", () => {
  const { bytes } = archive(records(dict(str("w"), w)), true);
  assert.equal(read(open(bytes), "w"), [0, 1, 2, 3, 4, 5]);
});
Valid("a tensor may be called __proto__ and changes nothing", () => {
  const file = open(archive(records(dict(str("__proto__"), w))).bytes);
  assert.equal([...file.tensors.keys()], ["__proto__"]);
  assert.is(({} as Record<string, unknown>).w, undefined);
});
Valid("lists, tuples, numbers of any size and nested dicts beside the model are ignored", () => {
  const rest = [
    list(int(1), "N"),
    tuple("\x88", "G?\xf0\0\0\0\0\0\0"),
    "\x8a\x09\0\0\0\0\0\0\0\0\x01",
    dict(int(1), "]"),
  ];
  const value = dict(str("model"), dict(str("w"), w), ...rest.flatMap((item, i) => [int(i), item]));
  assert.equal(
    [
      ...open(archive(records(value)).bytes)
        .nested.get("model")!
        .keys(),
    ],
    ["w"],
  );
});
Valid("what Lightning and NumPy before 2 keep is passed over, under each of their names", () => {
  const attributes = (name: string) => `${global(name)})\x81(${str("lr")}${int(1)}u}b`; // made, filled, given a state
  const rest = [
    attributes("pytorch_lightning.utilities.parsing.AttributeDict"),
    attributes("lightning.pytorch.utilities.parsing.AttributeDict"),
    attributes("lightning.fabric.utilities.data.AttributeDict"),
    call("numpy.core.multiarray.scalar", call("numpy.dtype", str("f8")), call("_codecs.encode", str("x"))),
    call("numpy.core.multiarray._reconstruct", global("numpy.ndarray"), tuple(int(0)), str("b")),
    call("pathlib._local.PosixPath", str("a"), str("b")),
    call("__builtin__.set", list(int(1))),
  ];
  const value = dict(str("state_dict"), dict(str("w"), w), ...rest.flatMap((item, i) => [int(i), item]));
  assert.equal(
    [
      ...open(archive(records(value)).bytes)
        .nested.get("state_dict")!
        .keys(),
    ],
    ["w"],
  );
});
Valid("_rebuild_tensor_v3 takes its type beside a storage of bytes", () => {
  const bytes = storage("Untyped", "0", 24).replace("torch\nUntyped", "torch.storage\nUntyped");
  const v3 = (type: string) =>
    call("torch._utils._rebuild_tensor_v3", bytes, int(0), ints([2, 3]), ints([3, 1]), "\x89", hooks, global(type));
  assert.equal(read(open(archive(records(dict(str("w"), v3("torch.float32")))).bytes), "w"), [0, 1, 2, 3, 4, 5]);
  const message = refusal(archive(records(dict(str("w"), v3("torch.float8_e4m3fn")))).bytes);
  assert.match(message, /expected a type that a weight may have, got a function; save the weights as float32/);
});
Valid("a record that no tensor uses is checked by verify alone", () => {
  const { bytes, data } = archive(records(dict(str("w"), w), { "a/data/1": SIX }));
  bytes[data["a/data/1"]] ^= 1;
  const file = open(bytes);
  assert.equal(read(file, "w"), [0, 1, 2, 3, 4, 5]);
  assert.throws(() => file.verify(), /data\/1: expected CRC/);
});
Valid.run();

// ---- damaged and hostile files ----------------------------------------------------------------------------------------

const Archives = suite("torch_pickle: damaged archives are refused by place");
const PKL = "a/data.pkl";
const spoiled = (spoil: (a: Archive) => void, from = good()) => {
  spoil(from);
  return from.bytes;
};
const wide = () => archive(records(dict(str("w"), w)), true);
const twoNames = () => {
  const a = archive(records(dict(str("w"), w), { "a/data/1": SIX }));
  for (const at of [a.local["a/data/1"] + 30, a.central["a/data/1"] + 46]) a.bytes[at + 7] = "0".charCodeAt(0);
  return a.bytes;
};
const archives: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ["an empty file", new Uint8Array(0), /x\.pt: expected the end record of a zip archive, got none/],
  [
    "a file cut off at its end",
    good().bytes.subarray(0, -10),
    /end record of a zip archive, got none: the file is cut off/,
  ],
  ["a file cut off at its start", good().bytes.subarray(16), /end record: expected a central directory that ends at/],
  ["bytes behind the end", Uint8Array.from([...good().bytes, 0]), /end record/],
  ["a wrong CRC of the pickle", spoiled((a) => (a.bytes[a.data[PKL] + 5] ^= 1)), /record a\/data\.pkl: expected CRC/],
  ["a wrong CRC of a storage", spoiled((a) => (a.bytes[a.data["a/data/0"]] ^= 1)), /record a\/data\/0: expected CRC/],
  [
    "a compressed pickle",
    spoiled((a) => {
      a.view.setUint16(a.central[PKL] + 10, 8, true);
      a.view.setUint16(a.local[PKL] + 8, 8, true);
    }),
    /data\.pkl: expected a stored record \(method 0\), got compression method 8/,
  ],
  [
    "two sizes of one record",
    spoiled((a) => a.view.setUint32(a.central[PKL] + 20, 3, true)),
    /data\.pkl: expected a stored record of \d+ bytes, got 3/,
  ],
  ["an encrypted record", spoiled((a) => a.view.setUint16(a.central[PKL] + 8, 1, true)), /data\.pkl: .* encrypted/],
  ["two records of one name", twoNames(), /record a\/data\/0: expected every name once/],
  [
    "another name in the local header",
    spoiled((a) => (a.bytes[a.local[PKL] + 30] = 98)),
    /data\.pkl: expected a local header/,
  ],
  [
    "another CRC in the local header",
    spoiled((a) => (a.bytes[a.local[PKL] + 14] ^= 1)),
    /data\.pkl: expected a local header/,
  ],
  [
    "another method in the local header",
    spoiled((a) => (a.bytes[a.local[PKL] + 8] = 8)),
    /data\.pkl: expected a local header/,
  ],
  [
    "another size in the local header",
    spoiled((a) => (a.bytes[a.local[PKL] + 22] ^= 1)),
    /data\.pkl: expected a local header/,
  ],
  ["no local header at the offset", spoiled((a) => (a.bytes[a.local[PKL]] = 0)), /data\.pkl: expected a local header/],
  [
    "an offset behind the end of the file",
    spoiled((a) => a.view.setUint32(a.central[PKL] + 42, 0x7fffffff, true)),
    /local header: expected 40 bytes from offset 2147483647/,
  ],
  [
    "a record that reaches into the next one",
    spoiled((a) => {
      for (const at of [a.local[PKL] + 18, a.local[PKL] + 22, a.central[PKL] + 20, a.central[PKL] + 24]) {
        a.view.setUint32(at, a.view.getUint32(at, true) + 1, true);
      }
    }),
    /record a\/byteorder: expected a start from \d+, behind the record before it/,
  ],
  [
    "a record that reaches into the directory",
    spoiled((a) => {
      for (const at of [a.local["a/data/0"] + 18, a.central["a/data/0"] + 20]) {
        a.view.setUint32(at, 0x7ffffff0, true);
        a.view.setUint32(at + 4, 0x7ffffff0, true);
      }
    }),
    /record a\/data\/0: expected an end before the directory/,
  ],
  [
    "more entries than the directory has",
    spoiled((a) => a.view.setUint32(a.end + 8, 0x40004, true)),
    /directory, entry 3: expected an entry/,
  ],
  [
    "fewer entries than the directory has",
    spoiled((a) => a.view.setUint32(a.end + 8, 0x20002, true)),
    /bytes of central directory, got entries in/,
  ],
  [
    "a directory of 4 GB",
    spoiled((a) => a.view.setUint32(a.end + 12, 0xfffffff0, true)),
    /at most 67108864 bytes of central directory/,
  ],
  [
    "a directory elsewhere",
    spoiled((a) => a.view.setUint32(a.end + 16, 0, true)),
    /expected a central directory that ends at/,
  ],
  [
    "a broken directory entry",
    spoiled((a) => (a.bytes[a.central["a/byteorder"]] = 0)),
    /directory, entry 1: expected an entry at byte 56/,
  ],
  [
    "a name longer than the directory",
    spoiled((a) => (a.bytes[a.central["a/data/0"] + 28] = 255)),
    /directory, entry 2: expected an entry inside/,
  ],
  [
    "a name that is not UTF-8",
    spoiled((a) => (a.bytes[a.central[PKL] + 46] = 0xff)),
    /directory, entry 0: expected a name in UTF-8/,
  ],
  ["one disk of several", spoiled((a) => (a.bytes[a.end + 4] = 1)), /end record: expected an archive in one file/],
  [
    "a record on another disk",
    spoiled((a) => (a.bytes[a.central[PKL] + 34] = 1)),
    /data\.pkl: expected an archive in one file/,
  ],
  [
    "zip64 on two disks",
    spoiled((a) => (a.bytes[a.end - 4] = 2), wide()),
    /end record: expected an archive in one file/,
  ],
  [
    "zip64 without its field",
    spoiled((a) => (a.bytes[a.central[PKL] + 46 + 10] = 2), wide()),
    /entry 0: expected a zip64 field with size/,
  ],
  [
    "a zip64 field that is too short",
    spoiled((a) => (a.bytes[a.central[PKL] + 46 + 12] = 8), wide()),
    /entry 0: expected a zip64 field with size/,
  ],
  [
    "a zip64 offset of 2⁶³",
    spoiled((a) => (a.bytes[a.central[PKL] + 46 + 10 + 27] = 0x80), wide()),
    /local header: expected 40 bytes from offset 9223372/,
  ],
  [
    "a zip64 end record elsewhere",
    spoiled((a) => (a.bytes[a.end - 12] ^= 1), wide()),
    /end record: expected a zip64 end record/,
  ],
  [
    "a zip64 end record behind the file",
    spoiled((a) => (a.bytes[a.end - 6] = 1), wide()),
    /zip64 end record: expected 56 bytes/,
  ],
  [
    "two counts of records",
    spoiled((a) => a.view.setUint16(a.end + 10, 2, true), wide()),
    /expected the numbers of the zip64 end record/,
  ],
  ["no data.pkl", archive({ "a/data/0": SIX }).bytes, /expected a record NAME\/data\.pkl, got a\/data\/0/],
  [
    "records in two folders",
    archive(records(dict(str("w"), w), { "b/data/0": SIX })).bytes,
    /expected records in a\/, got b\/data\/0/,
  ],
  [
    "a TorchScript archive",
    archive(records("N", { "a/constants.pkl": SIX })).bytes,
    /got a TorchScript archive; save model\.state_dict/,
  ],
  ["big-endian data", archive(records("N", { "a/byteorder": latin1("big") })).bytes, /byteorder: expected little/],
];
for (const [what, bytes, message] of archives) Archives(what, () => assert.match(refusal(bytes), message));
Archives.run();

const Pickles = suite("torch_pickle: hostile pickles are refused by byte");
const holding = (value: string) => archive(records(value)).bytes;
const marks = "(".repeat(1_000_000);
const pickles: [what: string, bytes: Uint8Array, message: RegExp][] = [
  [
    "os.system",
    holding(call("os.system", str("true"))),
    /data\.pkl: byte 2: expected a global that a state_dict needs, got os\.system/,
  ],
  ["builtins.eval", holding(call("builtins.eval", str("1"))), /got builtins\.eval/],
  ["a global without a second line", holding("ctorch\n"), /byte 2: expected a line/],
  ["a global named like a method of Object", holding(global("x.constructor")), /got x\.constructor/],
  ["a global named like a method of Map", holding(global("x.__proto__")), /got x\.__proto__/],
  [
    "eval as a value that nobody calls",
    holding(dict(str("w"), w, str("f"), global("builtins.eval"))),
    /expected a global that a state_dict needs, got builtins\.eval/,
  ],
  [
    "getattr, by which pickles reach what they may not name",
    holding(call("builtins.getattr", global("builtins.dict"), str("get"))),
    /got builtins\.getattr/,
  ],
  [
    "os.system as the way to rebuild a tensor",
    holding(call("torch._tensor._rebuild_from_type_v2", global("os.system"), global("x.T"), tuple(str("true")), "N")),
    /got os\.system/,
  ],
  [
    "os.system as a type of a tensor, and called as well",
    holding(
      tuple(
        call(
          "torch._tensor._rebuild_from_type_v2",
          global("torch._utils._rebuild_tensor"),
          `${global("os.system")}q\x01`,
          tuple(six, int(0), ints([6]), ints([1])),
          "N",
        ),
        `h\x01${tuple(str("true"))}R`,
      ),
    ),
    /got os\.system/,
  ],
  ["an integer of a megabyte", holding(`\x8b${le32(2 ** 20)}${"\0".repeat(2 ** 20)}`), /integer of at most 4096 bytes/],
  ["a frame longer than the file", holding("\x95\xff\0\0\0\0\0\0\0N"), /expected a frame of 255 bytes/],
  ["a global by numbers", holding(`${int(1)}${int(2)}\x93`), /expected the name of a global, got 2/],
  [
    "a storage class that is called",
    holding(call("torch.FloatStorage", int(1))),
    /expected something to call, got a StorageType/,
  ],
  ["a text that is called", holding(`${str("f")})R`), /byte 9: expected something to call, got "f"/],
  [
    "arguments that are a list",
    holding(`${global("collections.OrderedDict")}]R`),
    /expected a tuple of arguments, got a list/,
  ],
  ["an OrderedDict with arguments", holding(call("collections.OrderedDict", "]")), /expected an empty OrderedDict/],
  [
    "a Parameter of a number",
    holding(call("torch._utils._rebuild_parameter", int(1))),
    /expected a tensor in a Parameter, got 1/,
  ],
  ["attributes for a tensor", holding(`${w}}b`), /expected an object to give attributes, got a TorchTensor/],
  [
    "attributes for a function",
    holding(`${global("collections.OrderedDict")}}b`),
    /expected an object to give attributes, got a function/,
  ],
  ...["i", "o", "P", "\x82", "\x83", "\x97", "\x98", "I", "S", "U", "d", "l"].map(
    (opcode): [string, Uint8Array, RegExp] => {
      const hex = opcode.charCodeAt(0).toString(16);
      return [
        `opcode 0x${hex}`,
        holding(`N${opcode}`),
        RegExp(`byte 3: expected an opcode that torch\\.save emits, got 0x${hex};`),
      ];
    },
  ),
  [
    "protocol 6",
    archive({ [PKL]: latin1("\x80\x06N.") }).bytes,
    /expected a pickle of protocol 2 to 5, got bytes 128, 6/,
  ],
  ["protocol 1", archive({ [PKL]: latin1("N.") }).bytes, /expected a pickle of protocol 2 to 5, got bytes 78, 46/],
  ["an empty pickle", archive({ [PKL]: new Uint8Array(0) }).bytes, /expected a pickle of protocol 2 to 5/],
  ["a pickle without its end", archive({ [PKL]: latin1("\x80\x02N") }).bytes, /byte 3: expected 1 more bytes/],
  ["bytes behind the end", holding("N.N"), /byte 4: expected the end of the pickle, got 2 more bytes/],
  ["several values at the end", holding("NN"), /expected one value at the end/],
  ["no value at the end", holding(""), /byte 2: expected a value on the stack/],
  ["a mark left open", holding("(N"), /expected one value at the end/],
  ["a million marks", holding(marks), /byte 1000002: expected a value on the stack/],
  ["no mark", holding("Nt"), /byte 3: expected a mark on the stack/],
  ["a call without anything", holding("R"), /byte 2: expected a value on the stack/],
  ["a pair of one", holding("N\x86"), /byte 3: expected 2 values, got fewer/],
  ["a memo entry that is not there", holding("h\x05"), /byte 2: expected a memo entry, got none of 5/],
  ["a text of 4 GB", holding("X\xff\xff\xff\xff"), /byte 2: expected 4294967295 more bytes/],
  ["a text that is not UTF-8", holding(str("\xff")), /byte 2: expected text in UTF-8/],
  ["an item for a tuple", holding(")Na"), /expected a list to append to, got a tuple/],
  ["an item for a dict", holding("}Na"), /expected a list to append to, got a dict/],
  ["a key for a list", holding("]NNs"), /expected a dict to put items in, got a list/],
  ["a key without value", holding(dict(str("w"))), /expected keys and values/],
  ["a key twice", holding(dict(str("w"), w, str("w"), w)), /expected every key once, got "w" again/],
  [
    "a persistent id that is a text",
    holding(`${str("storage")}Q`),
    /expected \("storage", type, key, location, numel\)/,
  ],
  ["a persistent id of another kind", holding(`${tuple(str("file"), "N", str("0"))}Q`), /expected \("storage", type/],
  ["a storage that is missing", holding(storage("Float", "7", 6)), /expected a record data\/7, got none/],
  [
    "a storage outside data/",
    holding(storage("Float", "../data.pkl", 6)),
    /expected a record data\/\.\.\/data\.pkl, got none/,
  ],
  ["a storage of another length", holding(storage("Float", "0", 7)), /expected 6 elements in storage 0, got 7/],
  ["a storage of half an element", holding(storage("Double", "0", 6)), /expected 3 elements in storage 0, got 6/],
  [
    "a storage of two types",
    holding(tuple(six, storage("Int", "0", 6))),
    /expected storage 0 as F32, as before, got I32/,
  ],
  ["a tensor without storage", holding(view("N", 0, [1], [1])), /expected a tensor's storage, got None/],
  [
    "a view beyond its storage",
    holding(view(six, 1, [2, 3], [3, 1])),
    /expected a view into 6 elements, got one that ends at 7/,
  ],
  [
    "a stride beyond the storage",
    holding(view(six, 0, [2, 3], [4, 1])),
    /expected a view into 6 elements, got one that ends at 7/,
  ],
  ["a negative offset", holding(view(six, -1, [1], [1])), /expected a storage offset, got -1/],
  ["a negative size", holding(view(six, 0, [-1], [1])), /expected a tensor's size, got a tuple/],
  ["a negative stride", holding(view(six, 5, [6], [-1])), /expected 1 strides, got a tuple/],
  ["fewer strides than sizes", holding(view(six, 0, [2, 3], [1])), /expected 2 strides/],
  ["nine axes", holding(view(six, 0, Array(9).fill(1), Array(9).fill(1))), /expected a tensor's size/],
  ["2⁶⁰ elements of one", holding(view(six, 0, [2 ** 30, 2 ** 30], [0, 0])), /expected at most 1073741824 elements/],
  [
    "a size that is a text",
    holding(call("torch._utils._rebuild_tensor_v2", six, int(0), str("a"), ints([]), "\x89", hooks)),
    /tensor's size, got "a"/,
  ],
  [
    "a tensor with too few arguments",
    holding(call("torch._utils._rebuild_tensor_v2", six, int(0), ints([6]), ints([1]), "\x89")),
    /expected the arguments of _rebuild_tensor_v2, got 5/,
  ],
  ["a dict as a key", holding(dict("}", w)), /expected a key that can be hashed, got a dict/],
  [
    "no state_dict",
    holding(dict(str("lr"), int(1))),
    /data\.pkl: expected a state_dict, alone or in a dict, got keys "lr"/,
  ],
  ["a tensor alone", holding(w), /expected a state_dict, alone or in a dict, got a TorchTensor/],
];
for (const [what, bytes, message] of pickles) {
  Pickles(what, () => {
    const text = refusal(bytes);
    assert.match(text, message);
    assert.not.match(text, /\n/);
  });
}
Pickles("any byte of a file changed is read all the same or refused with a CheckpointError", () => {
  const { bytes } = good();
  for (let i = 0; i < bytes.length; i++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      bytes[i] ^= flip;
      refusal(bytes); // throws what is no CheckpointError
      bytes[i] ^= flip;
    }
  }
  assert.is(refusal(bytes), "accepted");
});
Pickles(
  "any byte of a pickle changed, under a CRC that fits, is read all the same or refused with a CheckpointError",
  () => {
    const value = pickle(dict(str("w"), w, str("v"), tuple(list(int(1)), "\x8a\x01\x05", "N")));
    let accepted = 0;
    for (let i = 0; i < value.length; i++) {
      for (const flip of [0x01, 0x02, 0x10, 0x80, 0xff]) {
        const changed = value.with(i, value[i] ^ flip);
        if (refusal(archive({ [PKL]: changed, "a/data/0": SIX }).bytes) === "accepted") accepted++;
      }
    }
    assert.ok(accepted > 0 && accepted < value.length, `${accepted} accepted`);
  },
);
Pickles.run();
