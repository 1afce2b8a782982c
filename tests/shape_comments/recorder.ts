// What the instrumented graph tells while it runs, and whether its comments agree with it.
import type { Declared, Group, Spec } from "./instrument.ts";

type Shape = readonly number[];
type Scope = Readonly<Record<string, () => unknown>>;

/** The tensors of one item of a spec, as seen in one call of a function. */
interface Seen {
  readonly call: number;
  readonly spec: string;
  readonly item: number;
  readonly shape: Shape;
  /** letters that are variables in sight of the comment, and their values */
  readonly scope: ReadonlyMap<string, number>;
}

/** Shapes as the comments of a run saw them. */
export class Recorder {
  readonly seen: Seen[] = [];
  readonly wrong = new Set<string>();
  #calls = 0;
  readonly #specs: ReadonlyMap<string, Spec>;
  readonly #types: ReadonlyMap<string, Declared>;

  constructor(specs: Iterable<Spec>, types: ReadonlyMap<string, Declared>) {
    this.#specs = new Map([...specs].map((spec) => [spec.id, spec]));
    this.#types = types;
  }

  enter(): number {
    return this.#calls++;
  }

  /** A value and the comment at the end of its line. */
  see<T>(id: string, call: number, value: T, scope: Scope): T {
    const { items } = this.#specs.get(id)!;
    const shapes = shapesOf(value);
    const [{ times }] = items[0];
    if (times) this.#add(call, id, [shapes.length], scope, -1);
    shapes.forEach((shape, i) => this.#add(call, id, shape, scope, items.length === shapes.length ? i : 0));
    return value;
  }

  /** Operands by their names; those without a name in the comment are the remaining tensors. */
  given(id: string, call: number, operands: Readonly<Record<string, unknown>>, scope: Scope): void {
    const { items } = this.#specs.get(id)!;
    const named = new Set(items.flatMap(([{ names }]) => names));
    const rest = Object.entries(operands).filter(([name]) => !named.has(name));
    const unnamed = rest.flatMap(([, value]) => shapesOf(value));
    for (const [i, [{ names, text }]] of items.entries()) {
      if (names.length === 0 && unnamed.length > 0) this.#add(call, id, unnamed.shift()!, scope, i);
      for (const name of names) {
        if (!(name in operands)) this.wrong.add(`${place(id)}: ${text}: no operand is called ${name}`);
        for (const shape of operandShapes(operands[name])) this.#add(call, id, shape, scope, i);
      }
    }
  }

  /** The result of a function: a tensor for each item, or for each of an item's names. */
  made(id: string, call: number, value: unknown, scope: Scope): void {
    const { items } = this.#specs.get(id)!;
    const shapes = shapesOf(value);
    const wanted = items.flatMap(([{ names }], i) => Array<number>(Math.max(1, names.length)).fill(i));
    if (wanted.length !== shapes.length) {
      this.wrong.add(`${place(id)}: ${wanted.length} results by the comment, ${shapes.length} in truth`);
    }
    wanted.slice(0, shapes.length).forEach((item, i) => this.#add(call, id, shapes[i], scope, item));
  }

  /** An operand or a result that is declared to be of a type. */
  typed(type: string, call: number, value: unknown): void {
    if (value === undefined || value === null || typeof value !== "object") return;
    if (value instanceof Map || Array.isArray(value)) {
      for (const one of value.values()) this.typed(type, call, one);
      return;
    }
    const declared = this.#types.get(type);
    if (!declared) return;
    for (const inside of declared.inside) this.typed(inside, call, value);
    const fields = value as Record<string, unknown>;
    const own = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, () => field]));
    for (const [name, { spec, types }] of declared.members) {
      const field = fields[name];
      if (field === undefined) continue;
      const shapes = spec ? shapesOf(field) : [];
      const isList = spec !== undefined && spec.items.length > 1;
      shapes.forEach((shape, i) => this.#add(call, spec!.id, shape, own, isList ? i : 0));
      for (const inside of types) this.typed(inside, call, field);
    }
  }

  #add(call: number, spec: string, shape: Shape, scope: Scope, item = 0): void {
    this.seen.push({ call, spec, item, shape, scope: valuesOf(scope) });
  }
}

/** Shapes of the tensors in a value, in order; a typed array has one size. */
function shapesOf(value: unknown): Shape[] {
  if (typeof value !== "object" || value === null) return [];
  if (ArrayBuffer.isView(value)) return [[(value as Float32Array).length]];
  if ("stride" in value && "shape" in value) return [[...(value.shape as number[])]];
  return Object.values(value).flatMap(shapesOf);
}

/** The same of an operand that a comment names: a list of numbers has one size. */
function operandShapes(value: unknown): Shape[] {
  const isList = Array.isArray(value) && value.every((one) => typeof one === "number");
  return isList ? [[value.length]] : shapesOf(value);
}

/** Variables that are numbers. A name that no variable has, or not yet, throws. */
function valuesOf(scope: Scope): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, get] of Object.entries(scope)) {
    try {
      const value = get();
      if (typeof value === "number") found.set(name, value);
    } catch {}
  }
  return found;
}

function place(id: string): string {
  return id.split(":").slice(0, 2).join(":");
}

const MOST = 5000; // the largest size that a letter may stand for

/** What a comment says that is not so, `file:line: [B, N, D] is …`; `fixed` letters have one value in all files. */
export function disagreements(
  specs: Iterable<Spec>,
  seen: readonly Seen[],
  fixed: ReadonlyMap<string, number>,
): string[] {
  const byId = new Map([...specs].map((spec) => [spec.id, spec]));
  const calls = new Map<number, Seen[]>();
  for (const one of seen) if (byId.has(one.spec)) calls.set(one.call, [...(calls.get(one.call) ?? []), one]);
  const wrong = new Set<string>();
  const solved = new Set<string>();
  for (const [, call] of calls) {
    const key = JSON.stringify(call.map(({ spec, item, shape, scope }) => [spec, item, shape, [...scope]]));
    if (solved.has(key)) continue;
    solved.add(key);
    for (const line of inCall(call, byId, fixed)) wrong.add(line);
  }
  return [...wrong];
}

/** A letter means one thing in a call of a function: the values that fit one shape must fit all. */
function inCall(call: readonly Seen[], specs: ReadonlyMap<string, Spec>, fixed: ReadonlyMap<string, number>): string[] {
  const wrong: string[] = [];
  const shared = new Map<string, number>();
  const differing = new Set<string>();
  for (const { spec, scope } of call) {
    for (const [letter, value] of scope) {
      if (fixed.has(letter) && fixed.get(letter) !== value) {
        wrong.push(`${place(spec)}: ${letter} is ${value} here, and ${fixed.get(letter)} in the rest of the graph`);
      }
      if (shared.has(letter) && shared.get(letter) !== value) differing.add(letter);
      shared.set(letter, value);
    }
  }
  for (const letter of differing) shared.delete(letter);

  let open = call.map((one) => ({ one, alternatives: alternativesOf(one, specs) }));
  for (let left = -1; open.length !== left && open.length > 0;) {
    left = open.length;
    open = open.filter(({ one, alternatives }) => {
      const of = (letter: string) => one.scope.get(letter) ?? fixed.get(letter) ?? shared.get(letter);
      const fits = alternatives.filter(
        (sizes) =>
          sizes.length === one.shape.length && sizes.every((size, axis) => fit(size, one.shape[axis], of) !== "no"),
      );
      if (fits.length === 0) {
        const texts = specs
          .get(one.spec)!
          .items[Math.max(0, one.item)].map(({ text }) => text)
          .join(" or ");
        wrong.push(`${place(one.spec)}: ${texts} is [${one.shape.join(", ")}]${letters(alternatives.flat(), of)}`);
        return false;
      }
      if (fits.length > 1) return true;
      let done = true;
      fits[0].forEach((size, axis) => {
        const result = fit(size, one.shape[axis], of);
        if (typeof result === "object") shared.set(result.letter, result.value);
        else if (result === "open") done = false;
        else if (result === "no") wrong.push(`${place(one.spec)}: a letter of ${size.text} has two values`);
      });
      return !done;
    });
  }
  return wrong;
}

type Size = Group["sizes"][number];

function alternativesOf({ spec, item }: Seen, specs: ReadonlyMap<string, Spec>): (readonly Size[])[] {
  const { items } = specs.get(spec)!;
  return item < 0 ? items[0].map(({ times }) => [times!]) : items[item].map(({ sizes }) => sizes);
}

/** Does a formula give the size? With one letter unknown: the value for which it does. */
function fit(
  size: Size,
  value: number,
  of: (letter: string) => number | undefined,
): "yes" | "no" | "open" | { letter: string; value: number } {
  const unknown = size.letters.filter((letter) => of(letter) === undefined);
  if (unknown.length > 1) return "open";
  const at = (x: number) => size.value((letter) => of(letter) ?? x);
  if (unknown.length === 0) return at(0) === value ? "yes" : "no";
  for (let x = 0; x <= MOST; x++) if (at(x) === value) return { letter: unknown[0], value: x };
  return "no";
}

function letters(sizes: readonly Size[], of: (letter: string) => number | undefined): string {
  const known = [...new Set(sizes.flatMap((size) => size.letters))].filter((letter) => of(letter) !== undefined);
  return known.length ? ` (${known.map((letter) => `${letter} = ${of(letter)}`).join(", ")})` : "";
}
