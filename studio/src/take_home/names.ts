/** Names of files that every system takes. */

/** The name of a picture or video without its extension. */
export function stemOf(name: string): string {
  return safeName(name.replace(/(?<=.)\.\w+$/, "")) || "picture";
}

/** Without what some system does not allow in a file's name. */
export function safeName(name: string): string {
  return name
    .replaceAll(/[\u0000-\u001f<>:"/\\|?*]/g, "_")
    .replace(/^\.+|[. ]+$/g, "")
    .slice(0, 120);
}

/** The name, or one with a number where it is taken already; it is taken then. */
export function unique(taken: Set<string>, name: string): string {
  const [, stem, extension] = name.match(/^(.*?)(\.[^./]*)?$/s)!;
  let free = name;
  for (let k = 2; taken.has(free.toLowerCase()); k++) free = `${stem} (${k})${extension ?? ""}`;
  taken.add(free.toLowerCase());
  return free;
}

/** The file of a frame: as it was opened, or by its number, as `sam2 track` names them. */
export function frameName(frame: number, names: readonly string[] | undefined): string {
  return names?.[frame] ?? `${numbered(frame)}.jpg`;
}

export function numbered(frame: number): string {
  return String(frame).padStart(5, "0");
}
