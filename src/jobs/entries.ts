// Prompts and jobs as people write them: JSON, one object or a list, whose fields are checked by name and type.
import { PromptError } from "../errors.ts";
import type { Kind } from "../io/options.ts";
import { expectFields } from "../predict/fields.ts";

/** The bytes of a file that is named in JSON; `what` was expected there. @throws Sam2Error naming the file */
export type ReadFile = (path: string, what: string) => Promise<Uint8Array>;

export type Fields = Readonly<Record<string, Kind>>;

/** One prompt of a file, checked. */
export interface Entry {
  fields: Record<string, unknown>;
  /** what to call it in an error, e.g. `prompts.json[1]` */
  where: string;
}

const isNumber = (value: unknown) => Number.isFinite(value);
const isList = (value: unknown, length?: number) =>
  Array.isArray(value) && value.every(isNumber) && value.length === (length ?? value.length);

/** What every prompt may hold. Its meaning is checked with the image at hand. */
export const PLACES: Fields = {
  points: ["a list of [x, y]", (value) => Array.isArray(value) && value.every((point) => isList(point, 2))],
  labels: ["a list of 0 and 1", (value) => isList(value)],
  box: ["[x0, y0, x1, y1]", (value) => isList(value, 4)],
  name: ["a text", (value) => typeof value === "string"],
};

/** @throws PromptError naming the file and the entry */
export async function readEntries(path: string, fields: Fields, read: ReadFile): Promise<Entry[]> {
  return checkEntries(parseJson(await read(path, "a JSON file of prompts"), path), fields, path);
}

/** @throws PromptError naming the file */
export function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PromptError(where, "JSON in UTF-8", (cause as Error).message, "correct the file", { cause });
  }
}

/** One object, or a list of at least one. @throws PromptError naming the entry */
export function checkEntries(parsed: unknown, fields: Fields, where: string): Entry[] {
  if (Array.isArray(parsed) && parsed.length > 0) {
    return parsed.map((entry, i) => checkEntry(entry, fields, `${where}[${i}]`));
  }
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
    return [checkEntry(parsed, fields, where)];
  throw new PromptError(where, "a prompt or a list of prompts", shown(parsed), 'e.g. [{"points": [[500, 375]]}]');
}

/** The prompts of a job that was checked. */
export function entriesOf(prompts: readonly object[], where: string): Entry[] {
  return prompts.map((fields, i) => ({ fields: { ...fields }, where: `${where}.prompts[${i}]` }));
}

/** @throws PromptError naming the field */
function checkEntry(entry: unknown, known: Fields, where: string): Entry {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    throw new PromptError(where, "an object", shown(entry), 'e.g. {"points": [[500, 375]]}');
  }
  expectFields(entry, Object.keys(known), where);
  const fields = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null && value !== undefined));
  for (const [name, value] of Object.entries(fields)) {
    const [expected, fits] = known[name];
    if (!fits(value)) throw new PromptError(`${where}.${name}`, expected, shown(value), "correct this entry");
  }
  return { fields, where };
}

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
