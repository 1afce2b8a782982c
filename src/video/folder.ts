import { ImageError } from "../errors.ts";
import type { NamedImage } from "./list.ts";

const PICTURE = /\.(jpe?g|png|webp)$/i;
const NUMBER = /^[-+]?\d+(\.\d+)?$/;

/**
 * The pictures of a folder, of which `files` are the names: in the order of their numbers where all are named by number,
 * else in natural order. Other files are passed over.
 *
 * @throws ImageError if there is none, or two would share a name without extension, or a number
 */
export function framesOfFolder(folder: string, files: readonly string[]): NamedImage[] {
  const names = files.filter((name) => PICTURE.test(name) && !name.startsWith("."));
  if (names.length === 0) {
    throw new ImageError(folder, "frames such as 00000.jpg", "no JPEG, PNG or WebP file", "check the folder");
  }
  const numbered = names.every((name) => NUMBER.test(stemOf(name)));
  names.sort((a, b) => (numbered && Number(stemOf(a)) - Number(stemOf(b))) || naturalOrder(a, b));
  const taken = new Map<string, string>();
  for (const name of names) {
    const key = numbered ? stemOf(name).replace(/^(-?)\+?0+(?=\d)/, "$1") : stemOf(name);
    const twin = taken.get(key);
    if (twin !== undefined) {
      const todo = `rename one of them, e.g. ${stemOf(name)}b.jpg`;
      throw new ImageError(folder, "frames named differently, whatever their ending", `${twin} and ${name}`, todo);
    }
    taken.set(key, name);
  }
  return names.map((name) => ({ where: `${folder}/${name}`, image: `${folder}/${name}`, name }));
}

/** The name without its ending. */
export function stemOf(name: string): string {
  return name.replace(/\.\w+$/, "");
}

/** Numbers within names count as numbers: frame_2 before frame_10. Case decides last. */
export function naturalOrder(a: string, b: string): number {
  const [x, y] = [a, b].map((name) => name.toLowerCase().match(/\d+|\D+/g) ?? []);
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const [p, q] = [x[i], y[i]];
    if (p === q) continue;
    const numbers = /\d/.test(p) && /\d/.test(q);
    const order = numbers ? compareDigits(p, q) : compareText(p, q);
    if (order !== 0) return order;
  }
  return x.length - y.length || compareText(a, b);
}

function compareDigits(a: string, b: string): number {
  const [p, q] = [a, b].map((digits) => digits.replace(/^0+(?=\d)/, ""));
  return p.length - q.length || compareText(p, q);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
