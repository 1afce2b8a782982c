/** The models that can be had by name: what a visitor is told of them before choosing. */
import type { Document } from "../state/document.ts";

export interface NamedModel {
  /** as `Sam2.fromPretrained` takes it */
  name: string;
  label: string;
  about: string;
  megabytes: number;
  /** about how long a picture takes, in pictures of nano: from one model's time here follow the others' */
  work: number;
  /** what a tracked frame takes more, for the memory's part */
  tracking: number;
}

export const NANO = "nano";

export const MODELS: readonly NamedModel[] = [
  { name: NANO, label: "nano", about: "At once; has seen drawings only", megabytes: 8, work: 1, tracking: 1 },
  { name: "edgetam", label: "EdgeTAM", about: "Small and quick", megabytes: 56, work: 12, tracking: 30 },
  { name: "tiny", label: "Tiny", about: "A good start for photos", megabytes: 156, work: 50, tracking: 105 },
  { name: "small", label: "Small", about: "A little better", megabytes: 184, work: 59, tracking: 105 },
  { name: "base_plus", label: "Base+", about: "Finer outlines", megabytes: 324, work: 108, tracking: 105 },
  { name: "large", label: "Large", about: "The best, and slow", megabytes: 898, work: 247, tracking: 105 },
];

/** Sides at which a published model can look at a picture, with the share of the work that is left: the encoder's, the memory's. */
export const SIZES = [
  { side: 1024, about: "as trained", work: 1, tracking: 1 },
  { side: 768, about: "less fine", work: 0.51, tracking: 0.32 },
  { side: 512, about: "coarse", work: 0.22, tracking: 0.09 },
] as const;

/** What a picture took here. */
export interface Measured {
  name: string;
  /** `config.imageSize`, pixels */
  side: number;
  ms: number;
}

export function namedModel(name: string): NamedModel | undefined {
  return MODELS.find((model) => model.name === name);
}

/** About what a picture, or a tracked frame, takes, from what one took; undefined if the two cannot be compared. @units ms */
export function expectedMs(
  name: string,
  side: number,
  measured: Measured | undefined,
  tracks = false,
): number | undefined {
  if (!measured) return undefined;
  const unit = namedModel(measured.name);
  const model = namedModel(name) ?? (name === measured.name ? { work: 1, tracking: 2 } : undefined);
  if (!model || (!unit && name !== measured.name)) return undefined;
  const share = sizeOf(side);
  const work = model.work * share.work + (tracks ? model.tracking * share.tracking : 0);
  return (measured.ms * work) / ((unit?.work ?? 1) * sizeOf(measured.side).work);
}

/** Of a model that has no choice, all. */
function sizeOf(side: number): { work: number; tracking: number } {
  return SIZES.find((one) => one.side === side) ?? SIZES[0];
}

/** What times are said for. */
export function timed({ source }: Document): "picture" | "frame" {
  return source && source.kind !== "photo" ? "frame" : "picture";
}

/** "about 2 s a picture", from what was measured here. */
export function expectedTime(
  name: string,
  side: number,
  measured: Measured | undefined,
  what: "picture" | "frame",
): string {
  const ms = expectedMs(name, side, measured, what === "frame");
  if (ms === undefined) return "";
  const seconds = ms / 1000;
  if (seconds < 0.15) return "at once";
  return `about ${seconds < 1 ? seconds.toFixed(1) : seconds < 10 ? Math.round(seconds) : Math.round(seconds / 5) * 5} s a ${what}`;
}
