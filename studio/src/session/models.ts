/** The models that can be had by name: what a visitor is told of them before choosing. */
export interface NamedModel {
  /** as `Sam2.fromPretrained` takes it */
  name: string;
  label: string;
  about: string;
  megabytes: number;
  /** about how long a picture takes, in pictures of nano: from one model's time here follow the others' */
  work: number;
}

export const NANO = "nano";

export const MODELS: readonly NamedModel[] = [
  { name: NANO, label: "nano", about: "At once; has seen drawings only", megabytes: 8, work: 1 },
  { name: "edgetam", label: "EdgeTAM", about: "Small and quick", megabytes: 56, work: 12 },
  { name: "tiny", label: "Tiny", about: "A good start for photos", megabytes: 156, work: 50 },
  { name: "small", label: "Small", about: "A little better", megabytes: 184, work: 59 },
  { name: "base_plus", label: "Base+", about: "Finer outlines", megabytes: 324, work: 108 },
  { name: "large", label: "Large", about: "The best, and slow", megabytes: 898, work: 247 },
];

export function namedModel(name: string): NamedModel | undefined {
  return MODELS.find((model) => model.name === name);
}

/** "about 2 s a picture", from what `measured` took here. */
export function expectedTime({ work }: NamedModel, measured: { work: number; ms: number } | undefined): string {
  if (!measured || !work) return "";
  const seconds = (measured.ms / measured.work / 1000) * work;
  if (seconds < 0.15) return "at once";
  return `about ${seconds < 1 ? seconds.toFixed(1) : seconds < 10 ? Math.round(seconds) : Math.round(seconds / 5) * 5} s a picture`;
}
