/** The models that can be had by name: what a visitor is told of them before choosing. */
export interface NamedModel {
  /** as `Sam2.fromPretrained` takes it */
  name: string;
  label: string;
  about: string;
  megabytes: number;
  /** multiply-adds of one picture, in 10⁹: how long it takes here follows from nano's time */
  gmac: number;
}

export const NANO = "nano";

export const MODELS: readonly NamedModel[] = [
  { name: NANO, label: "nano", about: "At once; has seen drawings only", megabytes: 8, gmac: 0.36 },
  { name: "edgetam", label: "EdgeTAM", about: "Small and quick", megabytes: 56, gmac: 21 },
  { name: "tiny", label: "Tiny", about: "A good start for photos", megabytes: 156, gmac: 53 },
  { name: "small", label: "Small", about: "A little better", megabytes: 184, gmac: 70 },
  { name: "base_plus", label: "Base+", about: "Finer outlines", megabytes: 324, gmac: 150 },
  { name: "large", label: "Large", about: "The best, and slow", megabytes: 898, gmac: 420 },
];

export function namedModel(name: string): NamedModel | undefined {
  return MODELS.find((model) => model.name === name);
}

/** "about 2 s a picture", from what `measured` took here. */
export function expectedTime({ gmac }: NamedModel, measured: { gmac: number; ms: number } | undefined): string {
  if (!measured) return "";
  const seconds = (measured.ms / measured.gmac / 1000) * gmac;
  if (seconds < 0.15) return "at once";
  return `about ${seconds < 1 ? seconds.toFixed(1) : seconds < 10 ? Math.round(seconds) : Math.round(seconds / 5) * 5} s a picture`;
}
