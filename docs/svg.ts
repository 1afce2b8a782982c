/** Drawing: what the figures are put together from. Everything is rounded, so that the same data give the same file. */
import { outline } from "../models/nano/report/draw.ts";
import { escaped } from "../models/nano/report/html.ts";
import { encodePng } from "../src/io/png.ts";

export const INK = "#22262b";
export const PALE = "#5f6872";
export const RULE = "#d3d1c9";
export const ACCENT = "#b4451f";
const PAPER = "#f7f6f2"; // readable on a light page and on a dark one
const FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
const MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, monospace";

/** RGB bytes. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array;
}

export interface TextStyle {
  size?: number;
  fill?: string;
  anchor?: "start" | "middle" | "end";
  bold?: boolean;
  mono?: boolean;
}

/** One SVG file on a ground of its own. */
export class Figure {
  readonly #parts: string[] = [];
  readonly #images = new Map<string, string>();
  readonly #width: number;
  readonly #height: number;

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
  }

  text(x: number, y: number, text: string, { size = 14, fill = INK, anchor = "start", bold, mono }: TextStyle = {}) {
    const style = `font-size="${size}" fill="${fill}"${anchor === "start" ? "" : ` text-anchor="${anchor}"`}`;
    const weight = bold ? ' font-weight="600"' : "";
    const family = mono ? ` font-family="${MONO}"` : "";
    this.#parts.push(`<text x="${r(x)}" y="${r(y)}" ${style}${weight}${family}>${escaped(text)}</text>`);
  }

  rect(x: number, y: number, width: number, height: number, style: string) {
    this.#parts.push(`<rect x="${r(x)}" y="${r(y)}" width="${r(width)}" height="${r(height)}" ${style}/>`);
  }

  line(x0: number, y0: number, x1: number, y1: number, style = `stroke="${RULE}"`) {
    this.#parts.push(`<line x1="${r(x0)}" y1="${r(y0)}" x2="${r(x1)}" y2="${r(y1)}" ${style}/>`);
  }

  arrow(x0: number, y0: number, x1: number, y1: number) {
    this.line(x0, y0, x1, y1, `stroke="${PALE}" stroke-width="1.5" marker-end="url(#tip)"`);
  }

  /** Pixels as squares, or smooth for photos; the same picture is stored once. */
  image(x: number, y: number, size: number, pixels: Pixels, look: "squares" | "smooth" = "squares") {
    const png = Buffer.from(encodePng({ ...pixels, channels: 3 })).toString("base64");
    const id = this.#images.get(png) ?? `i${this.#images.size}`;
    if (!this.#images.has(png)) this.#images.set(png, id);
    const style = look === "squares" ? ' style="image-rendering:pixelated"' : "";
    const scale = r(size / pixels.width);
    this.#parts.push(`<use href="#${id}"${style} transform="translate(${r(x)} ${r(y)}) scale(${scale})"/>`);
    this.rect(x, y, size, size, `fill="none" stroke="${RULE}"`);
    this.#sizes.set(id, pixels);
  }
  readonly #sizes = new Map<string, Pixels>();

  /** What was found keeps its colours, all else is dimmed, as in the demo's report. @param mask [size, size] of 0 and 1 */
  found(x: number, y: number, size: number, mask: Uint8Array) {
    const side = Math.sqrt(mask.length);
    const edge = outline(mask, side);
    const place = `transform="translate(${r(x)} ${r(y)}) scale(${r(size / side, 1e4)})" fill-rule="evenodd"`;
    this.#parts.push(
      `<path ${place} d="M0 0H${side}V${side}H0z${edge}" fill="#0b0d12" fill-opacity="0.62"/>`,
      `<path ${place} d="${edge}" fill="none" stroke="#ffffff" stroke-width="${r((1.2 * side) / size)}"/>`,
    );
  }

  /** A box with a heading and lines, along whose foot a bar shows a share of the work. */
  box(x: number, y: number, width: number, height: number, title: string, lines: readonly string[], share?: number) {
    this.rect(x, y, width, height, `rx="5" fill="#ffffff" stroke="${PALE}"`);
    this.text(x + 9, y + 19, title, { size: 13, bold: true });
    for (const [i, line] of lines.entries())
      this.text(x + 9, y + 36 + 15 * i, line, { size: 11, mono: /\[/.test(line) });
    if (share === undefined) return;
    this.text(x + width - 9, y + height - 11, `${(100 * share).toFixed(1)} %`, {
      size: 12,
      fill: ACCENT,
      bold: true,
      anchor: "end",
    });
    this.rect(x + 9, y + height - 17, width - 66, 7, `fill="${RULE}"`);
    this.rect(x + 9, y + height - 17, (width - 66) * share, 7, `fill="${ACCENT}"`);
  }

  /** A line through points that ends in a tip. */
  path(points: readonly (readonly [number, number])[]) {
    const d = points.map(([x, y], i) => `${i ? "L" : "M"}${r(x)} ${r(y)}`).join("");
    this.#parts.push(`<path d="${d}" fill="none" stroke="${PALE}" stroke-width="1.5" marker-end="url(#tip)"/>`);
  }

  /** A click: a ring in two colours, seen on any ground. */
  click(x: number, y: number) {
    for (const [radius, colour, width] of [
      [5, "#ffffff", 4],
      [5, ACCENT, 2],
    ] as const) {
      this.#parts.push(
        `<circle cx="${r(x)}" cy="${r(y)}" r="${radius}" fill="none" stroke="${colour}" stroke-width="${width}"/>`,
      );
    }
  }

  /** @param model which weights it shows */
  toString(title: string, model: string): string {
    const images = [...this.#images].map(([png, id]) => {
      const { width, height } = this.#sizes.get(id)!;
      return `<image id="${id}" width="${width}" height="${height}" href="data:image/png;base64,${png}"/>`;
    });
    return `${[
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.#width} ${this.#height}" width="${this.#width}" height="${this.#height}" font-family="${FONT}">`,
      `<title>${escaped(title)}</title>`,
      `<metadata>${model}</metadata>`,
      "<defs>",
      `<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="${PALE}"/></marker>`,
      ...images,
      "</defs>",
      `<rect width="${this.#width}" height="${this.#height}" rx="8" fill="${PAPER}"/>`,
      ...this.#parts,
      "</svg>",
    ].join("\n")}\n`;
  }
}

function r(value: number, steps = 100): string {
  return `${Math.round(value * steps) / steps}`;
}

/** One digit below 10 %, none above. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

/** Fewer levels a channel: small files, and a photo still looks like one. */
export function posterised({ width, height, data }: Pixels, bits: number): Pixels {
  const step = 256 / 2 ** bits;
  return { width, height, data: data.map((value) => Math.floor(value / step) * step + step / 2) };
}
