import { CheckpointError } from "../errors.ts";

/**
 * The JSON object that `bytes` hold as UTF-8.
 *
 * @throws CheckpointError for anything else, and for an object that has a key twice, which JSON.parse would lose
 */
export function parseJsonObject(bytes: Uint8Array, where: string): Record<string, unknown> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    const got = (cause as Error).message.replace(/\s+/g, " ");
    throw new CheckpointError(where, "JSON in UTF-8", got, "copy the file again", { cause });
  }
  if (!isObject(value)) throw new CheckpointError(where, "a JSON object", typeof value, "check the file");
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    throw new CheckpointError(where, "every key once", `"${twice}" again`, "do not use this file: it is ambiguous");
  }
  return value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first key that stands twice in one object of a valid JSON text. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = []; // one set of keys for each object or array around the place reached
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{" || c === "[") open.push(new Set());
    else if (c === "}" || c === "]") open.pop();
    else if (c === '"') {
      const start = i;
      while (text[++i] !== '"') if (text[i] === "\\") i++;
      const end = i + 1;
      while (" \t\r\n".includes(text[i + 1] ?? "?")) i++;
      if (text[i + 1] !== ":") continue; // a value
      const key = JSON.parse(text.slice(start, end)) as string;
      const keys = open[open.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
