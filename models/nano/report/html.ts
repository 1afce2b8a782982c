/** Text for people, with the exact value for programs; `name` says which figure it is. */
export function number(value: number, text: string, name: string): string {
  return `<data value="${value}" data-figure="${name}">${text}</data>`;
}

/** 3.0 × 10⁻⁶ */
export function scientific(x: number): string {
  if (x === 0) return "0";
  const [digits, exponent] = x.toExponential(1).split("e");
  return `${digits}×10<sup>${exponent.replace("-", "−").replace("+", "")}</sup>`;
}

/** Text as HTML or SVG, in elements and in attributes. */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** A value as JSON inside a script element. */
export function json(id: string, value: unknown): string {
  return `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll("<", "\\u003c")}</script>`;
}

export function dataUri(type: string, bytes: Uint8Array): string {
  return `data:${type};base64,${Buffer.from(bytes).toString("base64")}`;
}
