import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Build, builds } from "../../tests/tables.ts";
import { erf } from "./reference.ts";

/** eˣ and 2ˣ are no entries of the table; only their kernels can be called. */
type Kernel = "exp_f32" | "exp2_f32" | "gelu_f32" | "sigmoid_f32" | "sin_f32" | "cos_f32";

const POINTS = 1 << 17;
const MIN_NORMAL = 2 ** -126;

/** f over many points, by the kernel. */
function run({ heap, call }: Build, kernel: Kernel, points: readonly number[] | Float32Array): Float32Array {
  return heap.scope(() => {
    const x = heap.from(Float32Array.from(points), [points.length]).data;
    const y = heap.alloc([points.length]).data;
    call(kernel, [y.byteOffset, x.byteOffset, points.length, points.length]);
    return y.slice();
  });
}

/** Evenly spaced points from low to high, and as many whose exponents are evenly spaced, of both signs where both lie inside. */
function sweep(low: number, high: number): Float32Array {
  const x = new Float32Array(2 * POINTS);
  const reach = Math.max(-low, high);
  for (let i = 0; i < POINTS; i++) {
    x[i] = low + ((high - low) * (i + 0.37)) / POINTS;
    const small = reach * 2 ** ((-30 * (i + 0.61)) / POINTS);
    x[POINTS + i] = low < 0 && (high <= 0 || i % 2) ? Math.max(low, -small) : Math.min(high, small);
  }
  return x;
}

/** Largest error in units of the last place that the exact result has in f32. */
function ulps(x: Float32Array, got: Float32Array, exact: (x: number) => number): number {
  return worst(x, (value, i) => {
    const want = exact(value);
    const exponent = Math.floor(Math.log2(Math.max(Math.abs(want), MIN_NORMAL)));
    return Math.abs(got[i] - want) / 2 ** (exponent - 23);
  });
}

function worst(x: Float32Array, error: (value: number, i: number) => number): number {
  let most = 0;
  for (let i = 0; i < x.length; i++) {
    const e = error(x[i], i);
    if (!(e <= most)) most = Number.isNaN(e) ? Infinity : e;
  }
  return most;
}

const exp2 = (x: number) => 2 ** x;
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const gelu = (x: number) => (x / 2) * (1 + erf(x * Math.SQRT1_2));

const CASES: [name: string, kernel: Kernel, exact: (x: number) => number, low: number, high: number, ulp: number][] = [
  ["eˣ", "exp_f32", Math.exp, -87.3, 88.37, 1.2],
  ["eˣ", "exp_f32", Math.exp, -0.5, 0.5, 1.1],
  ["2ˣ", "exp2_f32", exp2, -64, 126, 1.2],
  ["2ˣ", "exp2_f32", exp2, -1, 0, 1.1],
  ["1/(1 + e⁻ˣ)", "sigmoid_f32", sigmoid, -87, 200, 2.5],
  ["1/(1 + e⁻ˣ)", "sigmoid_f32", sigmoid, -10, 10, 2.5],
  ["sin x", "sin_f32", Math.sin, -1e4, 1e4, 0.51],
  ["sin x", "sin_f32", Math.sin, -10, 10, 0.51],
  ["cos x", "cos_f32", Math.cos, -1e4, 1e4, 0.51],
  ["cos x", "cos_f32", Math.cos, -10, 10, 0.51],
  ["gelu x", "gelu_f32", gelu, 0, 1, 5.6],
  ["gelu x", "gelu_f32", gelu, 0, 7, 5.6],
  ["gelu x", "gelu_f32", gelu, -1, 0, 8],
];

const Maths = suite("math");

for (const build of builds) {
  for (const [name, kernel, exact, low, high, bound] of CASES) {
    Maths(`${build.name}: ${name} is within ${bound} ULP for x in ${low} … ${high}`, () => {
      const x = sweep(low, high);
      const measured = ulps(x, run(build, kernel, x), exact);
      assert.ok(measured <= bound, `${measured} ULP`);
    });
  }

  Maths(`${build.name}: gelu x is within 2e-7·|x| for all x, and within 1e-20 of 0 below −5.59`, () => {
    const x = sweep(-6, 50);
    const y = run(build, "gelu_f32", x);
    const measured = worst(x, (value, i) => Math.abs(y[i] - gelu(value)) / Math.abs(value));
    assert.ok(measured <= 2e-7, `${measured}`);
    const far = sweep(-3e38, -5.6);
    const tail = run(build, "gelu_f32", far);
    assert.ok(worst(far, (_, i) => Math.abs(tail[i])) <= 1e-20);
  });

  Maths(`${build.name}: sin x is within 0.51 ULP at the floats next to n·π, where few digits are left`, () => {
    const x = Float32Array.from({ length: 3183 }, (_, n) => (n + 1) * Math.PI);
    for (const kernel of ["sin_f32", "cos_f32"] as const) {
      const shifted = kernel === "cos_f32" ? x.map((value) => value - Math.PI / 2) : x;
      const measured = ulps(shifted, run(build, kernel, shifted), kernel === "cos_f32" ? Math.cos : Math.sin);
      assert.ok(measured <= 0.51, `${kernel}: ${measured} ULP`);
    }
  });

  Maths(`${build.name}: every value is the same in all four lanes and in the last one to three of a row`, () => {
    const x = [-3.7, 0.3, 1e-3, 12.5];
    for (const kernel of ["exp_f32", "exp2_f32", "gelu_f32", "sigmoid_f32", "sin_f32", "cos_f32"] as const) {
      const want = x.map((value) => run(build, kernel, [value])[0]);
      for (let turn = 0; turn < 15; turn++) {
        const points = Array.from({ length: turn + 1 }, (_, i) => (i + turn) % 4);
        const got = run(
          build,
          kernel,
          points.map((i) => x[i]),
        );
        assert.equal(
          [...got],
          points.map((i) => want[i]),
          kernel,
        );
      }
    }
  });

  Maths(`${build.name}: zeros, infinities, NaN, denormal and huge values give what they should`, () => {
    const x = [0, -0, Infinity, -Infinity, Number.NaN, 1e-45, -1e-40, 89, -88, 3e38, -3e38];
    const near = (kernel: Kernel, wanted: number[], points = x) =>
      run(build, kernel, points).forEach((y, i) => {
        const fits = Object.is(y, wanted[i]) || Math.abs(y - wanted[i]) <= 1e-8;
        assert.ok(fits, `${kernel}(${points[i]}): expected ${wanted[i]}, got ${y}`);
      });
    const { NaN: nan } = Number;
    near("exp_f32", [1, 1, Infinity, 0, nan, 1, 1, Infinity, 0, Infinity, 0]);
    near("exp2_f32", [1, 0, nan, 1, 1, 0, 0], [0, -Infinity, nan, 1e-45, -1e-40, -88, -3e38]);
    near("sigmoid_f32", [0.5, 0.5, 1, 0, nan, 0.5, 0.5, 1, 0, 1, 0]);
    near("gelu_f32", [0, 0, Infinity, 0, nan, 0, 0, 89, 0, Math.fround(3e38), 0]);
    near("sin_f32", [0, 0, nan, nan, nan, 0, 0], x.slice(0, 7));
    near("cos_f32", [1, 1, nan, nan, nan, 1, 1], x.slice(0, 7));
    assert.is(run(build, "sin_f32", [1e-45])[0], Math.fround(1e-45));
  });
}

Maths.run();
