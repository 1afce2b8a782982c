/** Outlines as shapes, for drawing programs: a group an object with its name and its colour. */
import { decodeRle, maskToPolygons } from "sam2-ts";
import { colourOf, type Document } from "../state/document.ts";
import { seenOn } from "./shown.ts";

/** Along the edges of pixels; holes are cut out by the rule of even and odd. The first object comes last, on top. */
export function svgOf(doc: Document, frame: number): string {
  const { width, height } = doc.source!;
  const groups = seenOn(doc, frame)
    .reverse()
    .map(({ object, rle }) => {
      const path = maskToPolygons(decodeRle(rle), width, height).map(pathOf).join("");
      return [
        `  <g id="object-${object.id}" fill="${colourOf(object)}" fill-rule="evenodd">`,
        `    <title>${escaped(object.name)}</title>`,
        `    <path d="${path}"/>`,
        "  </g>",
      ].join("\n");
    });
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n${groups.join("\n")}\n</svg>\n`;
}

/** [x0, y0, x1, y1, …] as a closed path, by steps to the side and down. */
function pathOf(ring: readonly number[]): string {
  let path = `M${ring[0]} ${ring[1]}`;
  for (let i = 2; i < ring.length; i += 2) {
    const [dx, dy] = [ring[i] - ring[i - 2], ring[i + 1] - ring[i - 1]];
    path += dy === 0 ? `h${dx}` : dx === 0 ? `v${dy}` : `l${dx} ${dy}`;
  }
  return `${path}z`;
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "");
}
