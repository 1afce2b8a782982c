import { CheckpointError } from "../errors.ts";

const MAX_LONG = 2 ** 12; // reading one takes the square of its length

/** Stop with an error that names the byte reached. */
export type Fail = (expected: string, got: string, todo?: string) => never;

/** What a global stands for, where it may be called: nothing but the arguments reaches it. */
export type Callable = (args: readonly unknown[], fail: Fail) => unknown;

/** The world outside the pickle: what its globals and persistent ids stand for. */
export interface Surroundings {
  /** A `Callable`, or any value that is only passed on. */
  global(name: string, fail: Fail): unknown;
  persistent(id: unknown, fail: Fail): unknown;
}

/** A value that is of no use here: an object of a class that is known to be harmless, or bytes. Nothing of it is kept. */
export class Opaque {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/**
 * The value of a pickle of protocol 2 to 5 that begins at byte `from`, and the byte behind it. Knows the opcodes that
 * `torch.save` emits and runs no code: a global is whatever `surroundings` make of its name.
 *
 * None → null · dict → Map · list → array · tuple → frozen array · int beyond 2⁵³ → bigint · bytes and sets → Opaque.
 *
 * @throws CheckpointError naming the byte at which the pickle is malformed or wants more than it may
 * @source CPython, Lib/pickletools.py
 */
export function unpickle(
  bytes: Uint8Array,
  where: string,
  surroundings: Surroundings,
  from = 0,
): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const memo = new Map<number, unknown>();
  const marked: unknown[][] = [];
  let stack: unknown[] = [];
  let at = from;
  let start = from; // of the opcode that runs

  /** Of the opcode that runs now, also when it is called later. */
  const failHere = (): Fail => {
    const byte = start;
    return (expected, got, todo = "copy or download the file again") => {
      throw new CheckpointError(`${where}: byte ${byte}`, expected, got, todo);
    };
  };
  const fail: Fail = (...problem) => failHere()(...problem);
  const take = (length: number) => {
    if (at + length > bytes.length) fail(`${length} more bytes`, `the end after ${bytes.length - at}`);
    at += length;
    return at - length;
  };
  const text = (from: number, length: number) => {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from, from + length));
    } catch {
      return fail("text in UTF-8", "other bytes");
    }
  };
  const line = () => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) fail("a line", "no end of it");
    const length = end - at;
    return text(take(length + 1), length);
  };
  const pop = () => (stack.length > 0 ? stack.pop() : fail("a value on the stack", "none"));
  const top = () => (stack.length > 0 ? stack[stack.length - 1] : fail("a value on the stack", "none"));
  const popMark = () => {
    const items = stack;
    stack = marked.pop() ?? fail("a mark on the stack", "none");
    return items;
  };
  const popN = (n: number) => (stack.length >= n ? stack.splice(stack.length - n) : fail(`${n} values`, "fewer"));
  const tuple = (items: unknown[]) => stack.push(Object.freeze(items));
  const append = (items: unknown[]) => {
    const list = top();
    if (list instanceof Opaque) return;
    if (!Array.isArray(list) || Object.isFrozen(list)) return fail("a list to append to", describe(list));
    for (const item of items) list.push(item);
  };
  const setItems = (items: unknown[]) => {
    const dict = top();
    if (dict instanceof Opaque) return;
    if (!(dict instanceof Map)) return fail("a dict to put items in", describe(dict));
    if (items.length % 2) fail("keys and values", "a key without value");
    for (let i = 0; i < items.length; i += 2) {
      if (items[i] instanceof Map || (Array.isArray(items[i]) && !Object.isFrozen(items[i]))) {
        fail("a key that can be hashed", describe(items[i]));
      }
      if (dict.has(items[i])) fail("every key once", `${describe(items[i])} again`);
      dict.set(items[i], items[i + 1]);
    }
  };
  const recall = (key: number) => stack.push(memo.has(key) ? memo.get(key) : fail("a memo entry", `none of ${key}`));
  const long = (length: number) => {
    if (length > MAX_LONG) fail(`an integer of at most ${MAX_LONG} bytes`, `${length}`);
    let value = 0n;
    for (const byte of bytes.subarray(take(length), at).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  };

  const call = (callee: unknown, args: unknown) => {
    if (typeof callee !== "function") return fail("something to call", describe(callee));
    if (!Array.isArray(args) || !Object.isFrozen(args)) return fail("a tuple of arguments", describe(args));
    stack.push((callee as Callable)(args, failHere()));
  };
  const length64 = () => Number(view.getBigUint64(take(8), true));
  const pushText = (length: number) => stack.push(text(take(length), length));
  const skip = (length: number, what: string) => {
    take(length);
    stack.push(new Opaque(what));
  };

  if (bytes[from] !== 0x80 || !(bytes[from + 1] >= 2 && bytes[from + 1] <= 5)) {
    const todo = "save it with torch.save's default protocol";
    fail("a pickle of protocol 2 to 5", `bytes ${bytes[from]}, ${bytes[from + 1]}`, todo);
  }
  at = from + 2;
  for (;;) {
    start = at;
    const opcode = String.fromCharCode(bytes[take(1)]);
    switch (opcode) {
      case ".": {
        const value = pop();
        if (stack.length + marked.length > 0) fail("one value at the end", "more of them");
        return { value, end: at };
      }
      case "\x95": {
        const frame = length64();
        if (at + frame > bytes.length) fail(`a frame of ${frame} bytes`, `the end after ${bytes.length - at}`);
        break;
      }
      case "(":
        marked.push(stack);
        stack = [];
        break;
      case "N":
        stack.push(null);
        break;
      case "\x88":
        stack.push(true);
        break;
      case "\x89":
        stack.push(false);
        break;
      case "J":
        stack.push(view.getInt32(take(4), true));
        break;
      case "K":
        stack.push(bytes[take(1)]);
        break;
      case "M":
        stack.push(view.getUint16(take(2), true));
        break;
      case "\x8a":
        stack.push(long(bytes[take(1)]));
        break;
      case "\x8b":
        stack.push(long(view.getUint32(take(4), true)));
        break;
      case "G":
        stack.push(view.getFloat64(take(8)));
        break;
      case "X":
        pushText(view.getUint32(take(4), true));
        break;
      case "\x8c":
        pushText(bytes[take(1)]);
        break;
      case "\x8d":
        pushText(length64());
        break;
      case "B":
        skip(view.getUint32(take(4), true), "bytes");
        break;
      case "C":
        skip(bytes[take(1)], "bytes");
        break;
      case "\x8e":
      case "\x96":
        skip(length64(), "bytes");
        break;
      case ")":
        tuple([]);
        break;
      case "\x85":
      case "\x86":
      case "\x87":
        tuple(popN(opcode.charCodeAt(0) - 0x84));
        break;
      case "t":
        tuple(popMark());
        break;
      case "]":
        stack.push([]);
        break;
      case "a":
        append([pop()]);
        break;
      case "e":
        append(popMark());
        break;
      case "}":
        stack.push(new Map());
        break;
      case "s":
        setItems(popN(2));
        break;
      case "u":
        setItems(popMark());
        break;
      case "\x8f":
        stack.push(new Opaque("set"));
        break;
      case "\x90": {
        popMark();
        const set = top();
        if (!(set instanceof Opaque)) fail("a set to add to", describe(set));
        break;
      }
      case "\x91":
        popMark();
        stack.push(new Opaque("frozenset"));
        break;
      case "0":
        pop();
        break;
      case "1":
        popMark();
        break;
      case "2":
        stack.push(top());
        break;
      case "\x94":
        memo.set(memo.size, top());
        break;
      case "q":
        memo.set(bytes[take(1)], top());
        break;
      case "r":
        memo.set(view.getUint32(take(4), true), top());
        break;
      case "h":
        recall(bytes[take(1)]);
        break;
      case "j":
        recall(view.getUint32(take(4), true));
        break;
      case "c": {
        const module = line();
        stack.push(surroundings.global(`${module}.${line()}`, failHere()));
        break;
      }
      case "\x93": {
        const [module, name] = popN(2);
        if (typeof module !== "string" || typeof name !== "string") return fail("the name of a global", describe(name));
        stack.push(surroundings.global(`${module}.${name}`, failHere()));
        break;
      }
      case "R":
      case "\x81": {
        const args = pop();
        call(pop(), args);
        break;
      }
      case "\x92": {
        pop(); // arguments by name
        const args = pop();
        call(pop(), args);
        break;
      }
      case "b": {
        pop(); // attributes, such as the _metadata of a state_dict: of no use here
        const owner = top();
        if (!(owner instanceof Map || owner instanceof Opaque)) fail("an object to give attributes", describe(owner));
        break;
      }
      case "Q":
        stack.push(surroundings.persistent(pop(), fail));
        break;
      default:
        fail("an opcode that torch.save emits", `0x${opcode.charCodeAt(0).toString(16)}`);
    }
  }
}

/** A value as it stands in a message. */
export function describe(value: unknown): string {
  if (value instanceof Map) return "a dict";
  if (value instanceof Opaque) return `a value of ${value.name}`;
  if (Array.isArray(value)) return Object.isFrozen(value) ? "a tuple" : "a list";
  if (value === null) return "None";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "function") return "a function";
  return typeof value === "object" ? `a ${value.constructor.name}` : `${value}`;
}
