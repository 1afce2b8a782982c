/** A file under its name. */
export interface Taken {
  blob: Blob;
  name: string;
  /** a sentence on it that the visitor must know */
  note?: string;
}

/** Hand a file to the visitor, where the browser puts downloads. */
export function save(blob: Blob, name: string): void {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** To the clipboard. A picture that is still being made goes as a promise: right after a key alone may a page copy. */
export function copy(png: Promise<Blob>): Promise<void> {
  return navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
}
