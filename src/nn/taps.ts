/**
 * One axis of a resize as a table: out[i] = Σ_t weights[i·T + t] · in[starts[i] + t]. The tables are PyTorch's for
 * `align_corners=False`, f32 roundings included.
 */
export interface TapRows {
  readonly starts: Int32Array; // [nOut]
  readonly weights: Float32Array; // [nOut, T]
  readonly T: number;
}

/** What one output sums: `weights` of the inputs from `first` on, which may lie outside of the axis. */
interface Sum {
  first: number;
  weights: number[];
}

const { fround } = Math;

/** The input nearest below: in[⌊i·nIn/nOut⌋]. @source F.interpolate(mode="nearest") */
export function nearest(nIn: number, nOut: number): TapRows {
  const scale = fround(nIn / nOut);
  return tapRows(nIn, nOut, (i) => ({ first: Math.floor(fround(i * scale)), weights: [1] }));
}

/** The two inputs around the centre of output i, by distance. @source F.interpolate(mode="bilinear") */
export function bilinear(nIn: number, nOut: number): TapRows {
  const centre = sourceIndex(nIn, nOut);
  return tapRows(nIn, nOut, (i) => {
    const x = Math.max(0, centre(i));
    const first = Math.floor(x);
    return { first, weights: [fround(1 - fround(x - first)), fround(x - first)] };
  });
}

/** Cubic convolution of four inputs, a = −0.75. @source F.interpolate(mode="bicubic") */
export function bicubic(nIn: number, nOut: number): TapRows {
  const centre = sourceIndex(nIn, nOut);
  return tapRows(nIn, nOut, (i) => {
    const x = centre(i);
    const left = fround(x - Math.floor(x));
    const right = fround(1 - left);
    return { first: Math.floor(x) - 1, weights: [1 + left, left, right, 1 + right].map(cubic) };
  });
}

/**
 * A triangle as wide as the reduction, so that every input counts; plain bilinear when enlarging.
 * @source F.interpolate(mode="bilinear", antialias=True)
 */
export function antialias(nIn: number, nOut: number): TapRows {
  const scale = fround(nIn / nOut);
  const support = Math.max(1, scale);
  const inverse = fround(1 / support);
  return tapRows(nIn, nOut, (i) => {
    const centre = fround(scale * (i + 0.5));
    const first = Math.max(0, Math.trunc(fround(fround(centre - support) + 0.5)));
    const end = Math.min(nIn, Math.trunc(fround(fround(centre + support) + 0.5)));
    const weights = Array.from({ length: end - first }, (_, t) => {
      const distance = fround(fround(fround(first + t - centre) + 0.5) * inverse);
      return Math.max(0, fround(1 - Math.abs(distance)));
    });
    const total = weights.reduce((sum, weight) => fround(sum + weight), 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

/** Where the centre of output i lies among the inputs. */
function sourceIndex(nIn: number, nOut: number): (i: number) => number {
  const scale = fround(nIn / nOut);
  return (i) => fround(scale * (i + 0.5) - 0.5); // one rounding: PyTorch's build fuses
}

/** Keys' cubic convolution kernel at a distance of 0 … 2. */
function cubic(distance: number): number {
  const a = -0.75;
  const x = fround(distance);
  if (x <= 1) return fround(fround(fround((a + 2) * x - (a + 3)) * x) * x + 1);
  return fround(fround(fround(a * x - 5 * a) * x + 8 * a) * x - 4 * a);
}

/** All outputs with the same number of taps. An input outside of the axis is the one at its border: weights join. */
function tapRows(nIn: number, nOut: number, sum: (i: number) => Sum): TapRows {
  const sums = Array.from({ length: nOut }, (_, i) => sum(i));
  const T = sums.reduce((most, { weights }) => Math.max(most, Math.min(nIn, weights.length)), 1);
  const starts = new Int32Array(nOut);
  const weights = new Float32Array(nOut * T);
  sums.forEach((row, i) => {
    starts[i] = clamp(row.first, 0, nIn - T);
    row.weights.forEach((weight, t) => {
      weights[i * T + clamp(row.first + t, 0, nIn - 1) - starts[i]] += weight;
    });
  });
  return { starts, weights, T };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
