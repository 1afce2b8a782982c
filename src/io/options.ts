// Options as callers write them: every one is of its kind, and none has a name that is not known.
import { type PromptError, UsageError } from "../errors.ts";
import { kindOf } from "./kind_of.ts";

/** What an option or field holds, in words, and the test of it. */
export type Kind = readonly [expected: string, fits: (value: unknown) => boolean];

/** A kind for every option of O: one that is added to the type and not here does not compile. */
export type Kinds<O> = { readonly [K in keyof O]-?: Kind };

const isNumber = (value: unknown): value is number => typeof value === "number";

export const FLAG: Kind = ["true or false", (value) => typeof value === "boolean"];
export const TEXT: Kind = ["a text", (value) => typeof value === "string"];
export const FINITE: Kind = ["a finite number", Number.isFinite];
/** An infinite one is none too large. */
export const NUMBER: Kind = ["a number", (value) => isNumber(value) && !Number.isNaN(value)];
/** Infinity: all there are. */
export const COUNT: Kind = [
  "a whole number of at least 0, or Infinity",
  (value) => isNumber(value) && value >= 0 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY),
];
export const CALLBACK: Kind = ["a function", (value) => typeof value === "function"];
export const SIGNAL: Kind = ["an AbortSignal", (value) => value === null || value instanceof AbortSignal];

export function atLeast(least: number): Kind {
  return [`a number of at least ${least}`, (value) => isNumber(value) && value >= least];
}

export function whole(least: number, most = Number.MAX_SAFE_INTEGER): Kind {
  const range = most === Number.MAX_SAFE_INTEGER ? ` of at least ${least}` : `, ${least}…${most}`;
  const fits = (value: unknown) => isNumber(value) && Number.isInteger(value) && value >= least && value <= most;
  return [`a whole number${range}`, fits];
}

export function oneOf(names: readonly string[]): Kind {
  return [`one of ${names.map((name) => `"${name}"`).join(", ")}`, (value) => names.includes(value as string)];
}

/**
 * A misspelt option, or one of another kind, would otherwise be passed over, and something else come out. Options that are
 * undefined count as left out.
 *
 * @throws UsageError naming the first option that is not known, and the nearest one that is, or is of another kind
 */
export function expectOptions<O extends object>(options: O, kinds: Kinds<O>, where: string): void {
  expectObject(options, where);
  const known = Object.keys(kinds) as (keyof O & string)[];
  expectNames(
    Object.keys(options).filter((name) => options[name as keyof O] !== undefined),
    known,
    `options named ${known.join(", ")}`,
    where,
    UsageError,
  );
  for (const name of known) {
    if (options[name] !== undefined) expectKind(options[name], kinds[name], `${where}.${name}`, OPTIONAL);
  }
}

/** @throws UsageError */
export function expectObject(options: unknown, where: string): void {
  if (typeof options === "object" && options !== null && !Array.isArray(options)) return;
  throw new UsageError(where, "an object with options", kindOf(options), "see the method's documentation");
}

export const OPTIONAL = "leave it out for the default";

/** @throws UsageError unless it is of its kind */
export function expectKind(value: unknown, [expected, fits]: Kind, where: string, todo: string): void {
  if (!fits(value)) throw new UsageError(where, expected, kindOf(value), todo);
}

/** @throws the error for the first name that is not known */
export function expectNames(
  given: readonly string[],
  known: readonly string[],
  expected: string,
  where: string,
  Thrown: typeof UsageError | typeof PromptError,
): void {
  const name = given.find((name) => !known.includes(name));
  if (name === undefined) return;
  const near = nearest(name, known);
  const todo = near === undefined ? "leave it out" : `write "${near}"`;
  throw new Thrown(where, expected, JSON.stringify(name), todo);
}

/** What upstream and other tools call the same things. */
const ELSEWHERE: Record<string, string[]> = {
  points: ["pointcoords", "coords", "coordinates", "clicks", "inputpoints"],
  labels: ["pointlabels", "inputlabels"],
  box: ["boxes", "bbox", "xyxy", "rectangle", "inputboxes"],
  multimask: ["multimaskoutput"],
  object: ["obj", "objid", "objectid", "id"],
  frame: ["frameidx", "frameindex", "frameid"],
  mask: ["segmentation", "maskimage", "maskinput", "maskinputs"],
  maskInput: ["mask", "maskinputs", "masklogits", "lowresmasks"],
  name: ["title"],
  maxFrames: ["maxframenumtotrack"],
};

function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replace(/[^a-z]/g, "");
  const alias = known.find((field) => ELSEWHERE[field]?.some((other) => other === plain || `${other}s` === plain));
  if (alias !== undefined) return alias;
  const [best] = known
    .map((field) => ({ field, distance: edits(plain, field.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return best.distance <= Math.max(1, best.field.length / 2) ? best.field : undefined;
}

/** Letters to insert, remove or replace. */
export function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
  }
  return row[b.length];
}
