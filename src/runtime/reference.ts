import { encodeRle } from "../io/rle.ts";
import { numel } from "../tensor/shape.ts";
import { narrow, permute, reshape, select, type Tensor, tensor, values } from "../tensor/view.ts";
import type { Epilogue, Kernels, Packed, PackedCells, SharedCells, Taps } from "./kernels.ts";

/**
 * The table as scalar loops: the oracle of the WASM kernels.
 *
 * Sums run in the order of the portable kernels, each product and each sum rounded to f32, so the two agree to the
 * bit. Where exp, erf, sin or cos take part, this table computes in f64 and rounds once, and the kernels state a bound.
 */
export const reference: Kernels = {
  name: "reference",

  pack(weight, N) {
    return { data: weight, N, K: weight.shape[1] };
  },

  gemm(c, a, b, epilogue, rows) {
    const { residual } = epilogue;
    const L = c.shape.at(-2)!;
    const zeros = new Float32Array(b.K);
    const group = (t: Tensor, m: number) => (t.shape.length === 3 ? select(t, 0, Math.floor(m / L)) : t);
    for (let m = 0; m < numel(c.shape.slice(0, -1)); m++) {
      const row = rows ? rows[m] : m;
      const [x, from] = row < 0 ? [zeros, 0] : [a.data, a.offset + row * a.stride[0]];
      gemmRow(group(c, m), m % L, x, from, b, { ...epilogue, residual: residual && group(residual, m) });
    }
  },

  mlp(c, a, first, second) {
    const [M, H] = [a.shape[0], first.weight.N];
    const hidden = tensor(new Float32Array(M * H), [M, H]);
    reference.gemm(hidden, a, first.weight, first.epilogue);
    reference.gemm(c, hidden, second.weight, second.epilogue);
  },

  conv2d(y, x, weight, k, stride, padding, epilogue) {
    const [B, H, W, C] = x.shape;
    const [, outH, outW, N] = y.shape;
    const c = reshape(y, [B * outH * outW, N]);
    const patch = new Float32Array(k * k * C);
    for (let m = 0; m < B * outH * outW; m++) {
      const b = Math.floor(m / (outH * outW));
      const i = Math.floor(m / outW) % outH;
      const j = m % outW;
      patch.fill(0);
      for (let p = 0; p < k; p++) {
        for (let q = 0; q < k; q++) {
          const row = i * stride + p - padding;
          const column = j * stride + q - padding;
          if (row < 0 || row >= H || column < 0 || column >= W) continue;
          const from = at(x, b, row, column);
          for (let ch = 0; ch < C; ch++) patch[(p * k + q) * C + ch] = x.data[from + ch * x.stride[3]];
        }
      }
      gemmRow(c, m, patch, 0, weight, epilogue);
    }
  },

  depthwiseConv2d(y, x, weight, bias, k, stride) {
    const [B, H, W, C] = x.shape;
    const [, outH, outW] = y.shape;
    const [out, input, taps, first] = [values(y), values(x), values(weight), values(bias)];
    const padding = (k - 1) / 2;
    for (let b = 0; b < B; b++) {
      for (let i = 0; i < outH; i++) {
        for (let j = 0; j < outW; j++) {
          const [top, left] = [i * stride - padding, j * stride - padding];
          for (let c = 0; c < C; c++) {
            let sum = first[c];
            for (let p = Math.max(0, -top); p < Math.min(k, H - top); p++) {
              for (let q = Math.max(0, -left); q < Math.min(k, W - left); q++) {
                const value = input[((b * H + top + p) * W + left + q) * C + c];
                sum = Math.fround(sum + Math.fround(taps[(p * k + q) * C + c] * value));
              }
            }
            out[((b * outH + i) * outW + j) * C + c] = sum;
          }
        }
      }
    }
  },

  attention(o, q, k, v, scale) {
    const [B, heads, N, d] = q.shape;
    const [S, dv] = [k.shape[2], v.shape[3]];
    const p = new Float64Array(S);
    const sum = new Float64Array(dv);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < heads; h++) {
        for (let n = 0; n < N; n++) {
          const query = at(q, b, h, n);
          let max = -Infinity;
          for (let s = 0; s < S; s++) {
            const key = at(k, b, h, s);
            let dot = 0;
            for (let i = 0; i < d; i++) dot += q.data[query + i] * k.data[key + i];
            p[s] = scale * dot;
            max = Math.max(max, p[s]);
          }
          let total = 0;
          sum.fill(0);
          for (let s = 0; s < S; s++) {
            const weight = Math.exp(p[s] - max);
            const value = at(v, b, h, s);
            for (let i = 0; i < dv; i++) sum[i] += weight * v.data[value + i];
            total += weight;
          }
          const to = at(o, b, h, n);
          for (let i = 0; i < dv; i++) o.data[to + i] = sum[i] / total;
        }
      }
    }
  },

  attendToPlaces(o, q, x, pe, scale) {
    const [B, R, D] = o.shape;
    const S = x.shape[1];
    const placed = tensor(new Float32Array(numel(x.shape)), x.shape);
    reference.add(placed, x, pe);
    const queries = reshape(narrow(q.data, 0, 0, B * R), [B, 1, R, D]);
    const out = reshape(o, [B, 1, R, D]);
    reference.attention(out, queries, reshape(placed, [B, 1, S, D]), reshape(x, [B, 1, S, D]), scale);
  },

  tellPlaces(y, x, scored, { keys, offsets, values: told, bias }, norm, heads, scale, mixture) {
    const [, S, D] = x.shape;
    const [K, R] = [keys.K, told.K];
    const B = told.N / D;
    const { now, before } = mixture ?? {};
    const whole = Math.ceil(R / 16) * 16;
    for (let b = 0; b < B; b++) {
      const places = select(x, 0, x.shape[0] === 1 ? 0 : b);
      const out = y ? select(y, 0, b) : tensor(new Float32Array(S * D), [S, D]);
      const scores = tensor(new Float32Array(S * R), [S, R]);
      const z = "z" in scored ? scored.z : tensor(new Float32Array(S * D), [S, D]);
      if ("pe" in scored) reference.add(z, places, scored.pe);
      const key = { data: narrow(keys.data, 0, b * whole, whole), N: R, K };
      reference.gemm(scores, z, key, { bias: offsets && select(offsets, 0, b) });
      const byHead = reshape(scores, [S, R / heads, heads]);
      reference.softmax(byHead, byHead, scale);
      const value = { data: narrow(told.data, 0, b * D, D), N: D, K: R };
      reference.gemm(out, scores, value, { bias, residual: places });
      for (let s = 0; now && s < S; s++) {
        const factor = normFactor(values(select(out, 0, s)), norm.eps);
        values(now.scales)[b * S + s] = before ? values(before.scales)[b * S + s] * factor : factor;
        const older = before ? [...values(select(select(before.weights, 0, b), 0, s))] : [];
        const all = [...older, ...values(select(scores, 0, s))];
        values(select(select(now.weights, 0, b), 0, s)).set(all.map((weight) => weight * factor));
      }
      reference.layerNorm(out, out, norm.weight, norm.bias, norm.eps);
    }
  },

  attendToMixture(o, q, mixed, { k, pe, v }, { weights, scales }, scale) {
    const [B, R, columns] = o.shape;
    const [S, J] = weights.shape.slice(1);
    const d = columns - J;
    const of = (t: Tensor, ...index: number[]) => values(index.reduce((part, i) => select(part, 0, i), t));
    for (let b = 0; b < B; b++) {
      for (let r = 0; r < R; r++) {
        const pair = Math.floor(r / 16) * 2 * d; // first channel of the two heads
        const head = Math.floor(r / 8) * d;
        const [query, others] = [of(q.data, b * R + r), of(mixed.data, b * R + r)];
        const scores = Array.from({ length: S }, (_, s) => {
          const [f, key, place, weight] = [of(scales, b)[s], of(k, s), of(pe, s), of(weights, b, s)];
          const direct = query.reduce((sum, x, c) => sum + x * (f * key[pair + c] + place[pair + c]), 0);
          return scale * others.reduce((sum, x, j) => sum + x * weight[j], direct);
        });
        const most = Math.max(...scores);
        const shares = scores.map((score) => Math.exp(score - most));
        const total = shares.reduce((sum, share) => sum + share, 0);
        const out = new Float64Array(columns);
        shares.forEach((share, s) => {
          const [f, value, weight] = [of(scales, b)[s], of(v, s), of(weights, b, s)];
          for (let c = 0; c < d; c++) out[c] += (share / total) * f * value[head + c];
          for (let j = 0; j < J; j++) out[d + j] += (share / total) * weight[j];
        });
        of(o, b, r).set(out);
      }
    }
  },

  axialAttention(o, q, memory, projection, cos, sin, scale) {
    const { keys, values: held, loneKeys, loneValues } = memory;
    const [P, C, T] = keys.shape;
    const L = loneKeys.shape[1];
    const [N, d] = q.shape;
    const w = values(projection);
    const key = (of: Float32Array, from: number, step: number) =>
      Float64Array.from({ length: d }, (_, i) => {
        let sum = w[i * (C + 1) + C];
        for (let c = 0; c < C; c++) sum += w[i * (C + 1) + c] * of[from + c * step];
        return sum;
      });
    const turned = (k: Float64Array, p: number) =>
      k.map((value, i) => {
        const angle = (p * d + i) >> 1;
        return value * cos.data[cos.offset + angle] + (i % 2 ? k[i - 1] : -k[i + 1]) * sin.data[sin.offset + angle];
      });
    const all: [key: Float64Array, value: Float32Array][] = [];
    for (let p = 0; p < P; p++) {
      for (let t = 0; t < T; t++) {
        const value = values(held).subarray((p * T + t) * C, (p * T + t + 1) * C);
        all.push([turned(key(values(keys), p * C * T + t, T), p), value]);
      }
    }
    for (let l = 0; l < L; l++)
      all.push([key(values(loneKeys), l, L), values(loneValues).subarray(l * C, (l + 1) * C)]);
    const [out, queries] = [values(o), values(q)];
    for (let n = 0; n < N; n++) {
      const scores = all.map(([k]) => scale * k.reduce((sum, value, i) => sum + value * queries[n * d + i], 0));
      const max = scores.reduce((most, score) => Math.max(most, score), -Infinity);
      const sum = new Float64Array(C);
      let total = 0;
      for (const [s, [, value]] of all.entries()) {
        const weight = Math.exp(scores[s] - max);
        for (let c = 0; c < C; c++) sum[c] += weight * value[c];
        total += weight;
      }
      for (let c = 0; c < C; c++) out[n * C + c] = sum[c] / total;
    }
  },

  paint(masks, x, { dc1, norm, dc2 }, fine0, fine1, prompts, tokens, shared) {
    const [, M, side] = masks.shape;
    const E = side / 4;
    const made = (shape: number[]) => tensor(new Float32Array(numel(shape)), shape);
    /** @shape [W·W, Cin] → [2W, 2W, Cout] */
    const upscaled = (image: Tensor, W: number, { weights, bias }: PackedCells, fine: Tensor) => {
      const y = made(fine.shape);
      const half = (t: Tensor, p: number) => select(reshape(t, [W, 2, W, weights[0].N]), 1, p);
      const biasOf = (p: number) => (bias.shape.length === 2 ? select(bias, 0, p) : bias);
      weights.forEach((weight, p) =>
        reference.gemm(half(y, p), image, weight, { bias: biasOf(p), residual: half(fine, p) }),
      );
      return y;
    };
    const rows = (t: Tensor) => reshape(t, [-1, t.shape.at(-1)!]);
    prompts.forEach((b, i) => {
      const x1 = shared
        ? upscaled(select(x, 0, b), E, ownCells(dc1, b), withShared(fine1, shared, b))
        : upscaled(select(x, 0, b), E, dc1, fine1);
      reference.layerNorm(rows(x1), rows(x1), norm.weight, norm.bias, norm.eps);
      reference.gelu(x1, x1);
      const x2 = upscaled(rows(x1), 2 * E, dc2, fine0);
      reference.gelu(x2, x2);
      const ofPlaces = made([side * side, M]);
      reference.gemm(ofPlaces, rows(x2), { data: narrow(tokens.data, 0, 16 * i, 16), N: M, K: tokens.K }, {});
      reference.copy(reshape(select(masks, 0, i), [M, side * side]), permute(ofPlaces, [1, 0]));
    });
  },

  softmax(y, x, scale) {
    const [M, N, C] = x.shape;
    const [out, input] = [values(y), values(x)];
    for (let m = 0; m < M; m++) {
      for (let c = 0; c < C; c++) {
        const at = (n: number) => (m * N + n) * C + c;
        const scores = Array.from({ length: N }, (_, n) => scale * input[at(n)]);
        const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (let n = 0; n < N; n++) out[at(n)] = weights[n] / total;
      }
    }
  },

  layerNorm(y, x, weight, bias, eps) {
    const [M, C] = x.shape;
    const [w, b] = [values(weight), values(bias)];
    const row = new Float32Array(C);
    const squares = new Float32Array(C);
    const epsilon = Math.fround(eps);
    for (let m = 0; m < M; m++) {
      const from = x.offset + m * x.stride[0];
      const to = y.offset + m * y.stride[0];
      for (let c = 0; c < C; c++) row[c] = x.data[from + c];
      const mean = Math.fround(laneSum(row) / C);
      for (let c = 0; c < C; c++) {
        row[c] -= mean;
        squares[c] = row[c] * row[c];
      }
      const variance = Math.fround(laneSum(squares) / C);
      const scale = Math.fround(1 / Math.fround(Math.sqrt(Math.fround(variance + epsilon))));
      for (let c = 0; c < C; c++) {
        y.data[to + c] = Math.fround(Math.fround(Math.fround(row[c] * scale) * w[c]) + b[c]);
      }
    }
  },

  maxPool2x2(y, x) {
    const [B, H, W, C] = y.shape;
    for (let b = 0; b < B; b++) {
      for (let i = 0; i < H; i++) {
        for (let j = 0; j < W; j++) {
          const to = at(y, b, i, j);
          const top = at(x, b, 2 * i, 2 * j);
          const bottom = top + x.stride[1];
          const right = x.stride[2];
          for (let c = 0; c < C; c++) {
            const upper = Math.max(x.data[top + c], x.data[top + right + c]);
            y.data[to + c] = Math.max(upper, x.data[bottom + c], x.data[bottom + right + c]);
          }
        }
      }
    }
  },

  resample(y, x, taps) {
    const [P, nIn, Q] = x.shape;
    const nOut = y.shape[1];
    const T = taps.weights.shape[1];
    const [out, input, weights] = [values(y), values(x), values(taps.weights)];
    for (let p = 0; p < P; p++) {
      for (let i = 0; i < nOut; i++) {
        for (let q = 0; q < Q; q++) {
          let sum = 0;
          for (let t = 0; t < T; t++) {
            const value = input[(p * nIn + taps.starts[i] + t) * Q + q];
            sum = Math.fround(sum + Math.fround(weights[i * T + t] * value));
          }
          out[(p * nOut + i) * Q + q] = sum;
        }
      }
    }
  },

  resampleBytes(y, x, nIn, Q, { starts, counts, weights }) {
    const nOut = starts.length;
    const T = weights.length / nOut;
    for (let p = 0; p < x.length / (nIn * Q); p++) {
      for (let i = 0; i < nOut; i++) {
        for (let q = 0; q < Q; q++) {
          let sum = 2 ** 21;
          for (let t = 0; t < counts[i]; t++) sum += weights[i * T + t] * x[(p * nIn + starts[i] + t) * Q + q];
          y[(p * nOut + i) * Q + q] = Math.min(Math.max(sum >> 22, 0), 255);
        }
      }
    }
  },

  maskBits(bits, counts, masks, rows, columns, limits) {
    const [W] = columns.weights.shape;
    const [threshold, high, low] = [limits.threshold, limits.high, limits.low].map(Math.fround);
    bits.fill(0);
    counts.fill(0);
    enlarged(masks, rows, columns).forEach((logit, i) => {
      const [y, x] = [Math.floor(i / W), i % W]; // rows of all masks
      if (logit > threshold) bits[y * Math.ceil(W / 32) + (x >> 5)] |= 1 << (x & 31);
      if (logit > high) counts[2 * y]++;
      if (logit > low) counts[2 * y + 1]++;
    });
  },

  maskBytes(bytes, masks, rows, columns, threshold) {
    const limit = Math.fround(threshold);
    enlarged(masks, rows, columns).forEach((logit, i) => (bytes[i] = logit > limit ? 1 : 0));
  },

  maskExtents(extents, bits, H, W) {
    for (let b = 0; b < extents.length / 6; b++) {
      let [flips, area] = [0, 0];
      let [left, top, right, bottom] = [W, H, 0, 0];
      for (let x = 0; x < W; x++) {
        for (let y = 0; y <= H; y++) {
          if (bitOf(bits, b, y, x, H, W) !== bitOf(bits, b, y - 1, x, H, W)) flips++;
          if (!bitOf(bits, b, y, x, H, W)) continue;
          area++;
          [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
        }
      }
      extents.set(area > 0 ? [flips, area, left, top, right, bottom] : [0, 0, 0, 0, 0, 0], 6 * b);
    }
  },

  maskCodes(codes, { starts, lengths, masks }, bits, { H, W, x0, y0, imageH, imageW }) {
    masks.forEach((b, i) => {
      const whole = new Uint8Array(imageH * imageW);
      for (let y = 0; y < H; y++) {
        for (let x = 0; x < W; x++) whole[(y0 + y) * imageW + x0 + x] = bitOf(bits, b, y, x, H, W);
      }
      const code = new TextEncoder().encode(encodeRle(whole, imageW, imageH).counts);
      codes.set(code, starts[i]);
      lengths[i] = code.length;
    });
  },

  rope(y, x, cos, sin) {
    const [B, heads, N, d] = x.shape;
    const n = cos.shape[0];
    const [cosines, sines] = [values(cos), values(sin)];
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < heads; h++) {
        for (let token = 0; token < N; token++) {
          const from = at(x, b, h, token);
          const to = at(y, b, h, token);
          const angle = (token % n) * (d / 2);
          for (let i = 0; i < d / 2; i++) {
            const [even, odd] = [x.data[from + 2 * i], x.data[from + 2 * i + 1]];
            const [c, s] = [cosines[angle + i], sines[angle + i]];
            y.data[to + 2 * i] = Math.fround(even * c) - Math.fround(odd * s);
            y.data[to + 2 * i + 1] = Math.fround(even * s) + Math.fround(odd * c);
          }
        }
      }
    }
  },

  add(y, a, b) {
    const [out, left, right] = [values(y), values(a), values(b)];
    for (let i = 0; i < out.length; i++) out[i] = left[i] + right[i % right.length];
  },

  mul(y, a, b) {
    const [out, left, right] = [values(y), values(a), values(b)];
    for (let i = 0; i < out.length; i++) out[i] = left[i] * right[i % right.length];
  },

  affine(y, x, scale, offset) {
    const [factor, shift] = [Math.fround(scale), Math.fround(offset)];
    map(y, x, (value) => Math.fround(factor * value) + shift);
  },

  gelu: (y, x) => map(y, x, gelu),
  relu: (y, x) => map(y, x, relu),
  sigmoid: (y, x) => map(y, x, (value) => 1 / (1 + Math.exp(-value))),
  sin: (y, x) => map(y, x, Math.sin),
  cos: (y, x) => map(y, x, Math.cos),

  copy(y, x) {
    const lead = 6 - x.shape.length;
    const [A, B, C, D, E, F] = [...Array(lead).fill(1), ...x.shape];
    const from = [...Array(lead).fill(0), ...x.stride];
    const to = [...Array(lead).fill(0), ...y.stride];
    for (let a = 0; a < A; a++) {
      for (let b = 0; b < B; b++) {
        for (let c = 0; c < C; c++) {
          for (let d = 0; d < D; d++) {
            let source = x.offset + a * from[0] + b * from[1] + c * from[2] + d * from[3];
            let target = y.offset + a * to[0] + b * to[1] + c * to[2] + d * to[3];
            for (let e = 0; e < E; e++, source += from[4], target += to[4]) {
              for (let f = 0; f < F; f++) y.data[target + f * to[5]] = x.data[source + f * from[5]];
            }
          }
        }
      }
    }
  },

  above(y, x, limit) {
    const least = Math.fround(limit);
    values(x).forEach((value, i) => (y[i] = value > least ? 1 : 0));
  },

  fromPixels(y, pixels) {
    const out = values(y);
    for (let i = 0; i < out.length; i++) out[i] = pixels[i] / 255;
  },

  normalizePixels(y, pixels, mean, std) {
    const [out, means, stds] = [values(y), values(mean), values(std)];
    for (let i = 0; i < out.length; i++) {
      out[i] = Math.fround(Math.fround(pixels[i] / 255) - means[i % 3]) / stds[i % 3];
    }
  },
};

/**
 * erf x = 2/√π · e^(−x²) · Σₙ 2ⁿ·x²ⁿ⁺¹/(1·3·5 ⋯ (2n + 1)), in f64.
 *
 * All terms have one sign, so nothing cancels: the relative error is about 1e-15. From |x| = 6 on, 1 − |erf| < 2⁻⁵³.
 */
export function erf(x: number): number {
  if (!(Math.abs(x) < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** x/2·(1 + erf(x/√2)) */
function gelu(x: number): number {
  return x === -Infinity ? 0 : (x / 2) * (1 + erf(x * Math.SQRT1_2));
}

function relu(x: number): number {
  return Math.max(x, 0);
}

function map(y: Tensor, x: Tensor, f: (value: number) => number): void {
  const [out, input] = [values(y), values(x)];
  for (let i = 0; i < out.length; i++) out[i] = f(input[i]);
}

/** Logits of masks [B, h, w] at the size of the tables: [B, H, W]. */
function enlarged(masks: Tensor, rows: Taps, columns: Taps): Float32Array {
  const [B, h, w] = masks.shape;
  const [H, W] = [rows.weights.shape[0], columns.weights.shape[0]];
  const wide = tensor(new Float32Array(B * h * W), [B * h, W, 1]);
  const logits = tensor(new Float32Array(B * H * W), [B, H, W]);
  reference.resample(wide, reshape(masks, [B * h, w, 1]), columns);
  reference.resample(logits, reshape(wide, [B, h, W]), rows);
  return values(logits);
}

/** Column x of row y of mask b of bits [B, H, ⌈W/32⌉]; 0 above and below it. */
function bitOf(bits: Int32Array, b: number, y: number, x: number, H: number, W: number): number {
  return y < 0 || y >= H ? 0 : (bits[(b * H + y) * Math.ceil(W / 32) + (x >> 5)] >>> (x & 31)) & 1;
}

/** Position of element [b, i, j, 0] in the data of a view. */
function at(t: Tensor, b: number, i: number, j: number): number {
  return t.offset + b * t.stride[0] + i * t.stride[1] + j * t.stride[2];
}

/** Row m of `gemm`: K values of `a` from `from` on, against all rows of `b`; four sums at a time. */
function gemmRow(c: Tensor, m: number, a: Float32Array, from: number, b: Packed, epilogue: Epilogue): void {
  const { K, N } = b;
  const { bias, activation, residual } = epilogue;
  const w = b.data.data;
  const to = c.offset + m * c.stride[0];
  const add = residual ? residual.offset + m * residual.stride[0] : 0;
  for (let n = 0; n < N; n += 4) {
    // columns from N on repeat the last one and are dropped
    const w0 = b.data.offset + n * K;
    const w1 = b.data.offset + Math.min(n + 1, N - 1) * K;
    const w2 = b.data.offset + Math.min(n + 2, N - 1) * K;
    const w3 = b.data.offset + Math.min(n + 3, N - 1) * K;
    const first = (column: number) => (bias ? bias.data[bias.offset + Math.min(column, N - 1)] : 0);
    let s0 = first(n);
    let s1 = first(n + 1);
    let s2 = first(n + 2);
    let s3 = first(n + 3);
    for (let k = 0; k < K; k++) {
      const value = a[from + k];
      s0 = Math.fround(s0 + Math.fround(value * w[w0 + k]));
      s1 = Math.fround(s1 + Math.fround(value * w[w1 + k]));
      s2 = Math.fround(s2 + Math.fround(value * w[w2 + k]));
      s3 = Math.fround(s3 + Math.fround(value * w[w3 + k]));
    }
    const sums = [s0, s1, s2, s3];
    for (let i = 0; i < 4 && n + i < N; i++) {
      const y = activation === "gelu" ? gelu(sums[i]) : activation === "relu" ? relu(sums[i]) : sums[i];
      c.data[to + n + i] = residual ? Math.fround(y) + residual.data[add + n + i] : y;
    }
  }
}

/** Eight partial sums, value i in sum i mod 8, then halves folded together; the last length mod 8 values one by one. */
function laneSum(x: Float32Array): number {
  const lanes = new Float32Array(8);
  const whole = x.length - (x.length % 8);
  for (let i = 0; i < whole; i++) lanes[i % 8] += x[i];
  for (const half of [4, 2, 1]) for (let i = 0; i < half; i++) lanes[i] += lanes[i + half];
  let sum = lanes[0];
  for (let i = whole; i < x.length; i++) sum = Math.fround(sum + x[i]);
  return sum;
}

/** 1/√(variance + eps) of a row */
function normFactor(row: Float32Array, eps: number): number {
  const mean = row.reduce((sum, x) => sum + x, 0) / row.length;
  return 1 / Math.sqrt(row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length + eps);
}

/** Of cells that are packed for each prompt, those of prompt b. */
function ownCells({ weights, bias }: PackedCells, b: number): PackedCells {
  const own = ({ data, N, K }: Packed) => ({ data: narrow(data, 0, b * N, N), N, K });
  return { weights: [own(weights[0]), own(weights[1])], bias };
}

/** The fine features [2E, 2E, C1] with scales·cells of prompt b added. */
function withShared(fine: Tensor, { cells, scales }: SharedCells, b: number): Tensor {
  const [W, , C1] = fine.shape;
  const y = tensor(values(fine).slice(), fine.shape);
  const factors = values(select(scales, 0, b));
  cells.forEach((cell, p) => {
    const rows = select(reshape(y, [W / 2, 2, W / 2, 2 * C1]), 1, p);
    for (let s = 0; s < factors.length; s++) {
      const row = values(select(select(rows, 0, Math.floor(s / (W / 2))), 0, s % (W / 2)));
      values(select(cell, 0, s)).forEach((x, c) => (row[c] += Math.fround(factors[s] * x)));
    }
  });
  return y;
}
