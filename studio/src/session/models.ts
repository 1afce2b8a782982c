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

/** About what a picture, or a tracked frame, takes, from what was measured; undefined if that tells nothing of it. @units ms */
export function expectedMs(
  name: string,
  side: number,
  measured: readonly Measured[],
  tracks = false,
): number | undefined {
  const named = namedModel(name);
  const own = measured.find((one) => one.name === name);
  const known = own ?? (named && measured.find((one) => namedModel(one.name)));
  if (!known) return undefined;
  const { work, tracking } = named ?? OF_A_FILE;
  const share = sizeOf(side);
  const asked = work * share.work + (tracks ? tracking * share.tracking : 0);
  return (known.ms * asked) / ((namedModel(known.name) ?? OF_A_FILE).work * sizeOf(known.side).work);
}

/** As tiny's: its size is not known. */
const OF_A_FILE = { work: 50, tracking: 105 };

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
  measured: readonly Measured[],
  what: "picture" | "frame",
): string {
  const ms = expectedMs(name, side, measured, what === "frame");
  if (ms === undefined) return "";
  const seconds = ms / 1000;
  if (seconds < 0.15) return "at once";
  return `about ${seconds < 1 ? seconds.toFixed(1) : seconds < 10 ? Math.round(seconds) : Math.round(seconds / 5) * 5} s a ${what}`;
}
