/** The class of a value as JavaScript itself names it, whatever minifiers or other windows do: "Blob", "Uint8Array", … */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** What a value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null || typeof value === "undefined" || typeof value === "boolean") return `${value}`;
  if (typeof value === "number" || typeof value === "bigint") return `the number ${value}`;
  if (typeof value === "string") return value.length > 60 ? `"${value.slice(0, 60)}…"` : `"${value}"`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (tagOf(value) !== "Object") return `a ${tagOf(value)}`;
  const names = Object.keys(value as object);
  return names.length === 0 ? "an object without fields" : `an object of ${names.slice(0, 5).join(", ")}`;
}
