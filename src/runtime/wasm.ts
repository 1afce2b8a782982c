import { ShapeError } from "../errors.ts";
import { type Tensor, unsqueeze } from "../tensor/view.ts";
import { address, walk } from "./address.ts";
import type { Epilogue, Kernels, PackedCells } from "./kernels.ts";
import { type ParallelFor, SCRATCH_BYTES } from "./threads.ts";
import { elementwiseKernels } from "./wasm_elementwise.ts";

const ROWS = 96; // of an output tile: 16 register tiles, whose rows of A stay in the second-level cache
const NARROW_ROWS = 48; // of a gemm's by the 6×8 tile, which reads A twice: from the first-level cache
const COLUMNS = 768; // of a gemm's output tile, at most: A is read from memory once for this many
const DEEP = 1024; // from this many summed channels on half as many columns: more of B is left for the next rows
const SMALL = 1 << 18; // multiply-adds of a tile that are worth a thread: some 5 µs
const QUERIES = 512; // of an attention tile, at most: keys and values are read from memory once for this many
const PACKED_QUERIES = 192; // where keys and values are packed already: smaller tiles, which threads share evenly
const FEW_QUERIES = 32; // of an attention with one head: as many are worth packing all keys and values once more
const MANY_KEYS = 1024; // from this many on
const SUMS = 96 << 10; // their accumulators, at most
const KEYS = 256; // of an attention block, at most: scores of 24 queries stay in the first-level cache
const CHANNELS = 256; // of an attention head; with more, half as many keys a block
const PLACED = 256; // memories of a block of places, at most, unless one place has more
const PANELS = 6; // of 16 queries, at most: the memory is read once for this many

/** Register tile of a product: 6 rows × 8 columns, or × 16 where V8 makes 256-bit code of it. The bits are the same. */
export type RegisterTile = "6x8" | "6x16";

/** What a kernel takes of a thread's scratch, in bytes: the kernel that divides it tells. */
export interface ScratchSizes {
  gemm_f32_pack_scratch(K: number): number;
  mlp_f32_scratch(H: number, rows: number): number;
  conv2d_f32_scratch(K: number, mc: number): number;
  places_f32_scratch(D: number, R: number): number;
  tell_f32_scratch(D: number, R: number): number;
  look_f32_scratch(C: number, h: number): number;
  paint_f32_scratch(E: number, C1: number, C2: number): number;
  attention_f32_scratch(d: number, dv: number, nq: number, keys: number): number;
  axial_attention_f32_scratch(
    d: number,
    C: number,
    W: number,
    H: number,
    T: number,
    block: number,
    panels: number,
  ): number;
}

const ACTIVATIONS = { none: 0, relu: 1, gelu: 2 } as const;

/** The table on the exports of kernels.wasm. */
export function wasmKernels(
  name: string,
  tile: RegisterTile,
  parallelFor: ParallelFor,
  exports: WebAssembly.Exports,
): Kernels {
  const sizes = exports as unknown as ScratchSizes;
  const wide = tile === "6x16" ? 1 : 0;

  return {
    ...elementwiseKernels(parallelFor),
    name,

    pack(weight, N) {
      const K = weight.shape[1];
      if (sizes.gemm_f32_pack_scratch(K) > SCRATCH_BYTES) {
        throw new ShapeError("pack", "summed channels that fit in the scratch", `${K}`, "split the layer");
      }
      parallelFor("gemm_f32_pack", Math.ceil(N / 16), [address(weight), K]);
      return { data: weight, N, K };
    },

    gemm(c, a, { data, N, K }, epilogue, rows) {
      const { shape, stride } = inGroups(c);
      const [G, L] = shape;
      const most = G * L > ROWS ? (K < DEEP ? COLUMNS : COLUMNS / 2) : Math.min(COLUMNS / 2, SMALL / (G * L * K));
      const rowShares = shares(L, wide ? ROWS : NARROW_ROWS);
      const nc = Math.ceil(N / Math.ceil(N / most) / 16) * 16;
      const C = [address(c), 4 * stride[0], 4 * stride[1]];
      const A = [address(a), 4 * a.stride[0], rows ? rows.byteOffset : 0];
      const args = [...C, ...A, address(data), ...epilogueArgs(epilogue), G, L, N, K, rowShares, nc, wide];
      parallelFor("gemm_f32", G * rowShares * Math.ceil(N / nc), args);
    },

    mlp(c, a, first, second) {
      const [M, H] = [c.shape[0], first.weight.N];
      const rows = largest(wide ? ROWS : NARROW_ROWS, 6, (n) => sizes.mlp_f32_scratch(H, n) <= SCRATCH_BYTES);
      if (rows === 0) throw new ShapeError("mlp", "hidden channels that fit in the scratch", `${H}`, "use gemm twice");
      const tiles = shares(M, rows);
      const [bias1, activation] = epilogueArgs(first.epilogue);
      const [bias2, , residual, , ldr] = epilogueArgs(second.epilogue);
      const weights = [address(first.weight.data), bias1, activation, address(second.weight.data), bias2];
      const tensors = [address(c), 4 * c.stride[0], address(a), 4 * a.stride[0], ...weights, residual, ldr];
      parallelFor("mlp_f32", tiles, [...tensors, M, first.weight.K, H, second.weight.N, tiles, wide]);
    },

    conv2d(y, x, { data, N, K }, k, stride, padding, epilogue) {
      const [B, H, W, C] = x.shape;
      const [, outH, outW] = y.shape;
      const fits = (rows: number) => sizes.conv2d_f32_scratch(K, rows) <= SCRATCH_BYTES / 4;
      const mc = largest(ROWS, 6, fits) || 6; // patches are read again for each panel: from a cache, if they are few
      const [bias, activation, residual, , ldr] = epilogueArgs(epilogue);
      const numbers = [B, H, W, C, outH, outW, N, k, stride, padding, mc, wide];
      const args = [address(y), address(x), address(data), bias, activation, residual, ldr, ...numbers];
      parallelFor("conv2d_f32", Math.ceil((B * outH * outW) / mc), args);
    },

    attention(o, q, k, v, scale, room) {
      const [B, h, N, d] = q.shape;
      const [S, dv] = v.shape.slice(2);
      const most = Math.min(room ? PACKED_QUERIES : QUERIES, Math.floor(SUMS / dv / 6) * 6);
      const keys = Math.min(Math.max(d, dv) > CHANNELS ? KEYS / 2 : KEYS, Math.ceil(S / 16) * 16);
      const lonely = B * h === 1 && S >= MANY_KEYS ? Math.max(1, Math.floor(N / FEW_QUERIES)) : 1; // or one thread has all
      const nq = Math.ceil(N / (N <= most ? lonely : shares(N, most)) / 6) * 6;
      const blocks = Math.ceil(N / nq);
      if (sizes.attention_f32_scratch(d, dv, nq, keys) > SCRATCH_BYTES) {
        throw new ShapeError("attention", "heads that fit in the scratch", `${d} and ${dv} channels`, "use more heads");
      }
      const [memories, packed] = [[...walk(k), ...walk(v)], room ? address(room) : 0];
      if (room)
        parallelFor("attention_f32_pack", B * h * Math.ceil(S / keys), [packed, ...memories, h, S, d, dv, keys]);
      const numbers = [h, N, S, d, dv, scale * Math.LOG2E, nq, keys, packed, wide];
      parallelFor("attention_f32", B * h * blocks, [...walk(o), ...walk(q), ...memories, ...numbers]);
    },

    attendToPlaces(o, q, x, pe, scale, { sums, state }) {
      const [B, R, D] = o.shape;
      const S = x.shape[1];
      if (sizes.places_f32_scratch(D, R) > SCRATCH_BYTES) {
        throw new ShapeError(
          "attendToPlaces",
          "queries that fit in the scratch",
          `${R} of ${D} channels`,
          "use attention",
        );
      }
      const parts = sums.shape[1];
      const part = Math.ceil(S / parts);
      const exponents = scale * Math.LOG2E;
      const parted = [address(sums), address(state)];
      const args = [...parted, address(q.data), address(x), address(pe), S, D, R, exponents, part, wide];
      parallelFor("places_f32", B * parts, args);
      parallelFor("places_merge_f32", B, [address(o), ...parted, parts, R, D, exponents]);
    },

    tellPlaces(y, x, scored, { keys, offsets, values, bias }, norm, heads, scale, mixture) {
      const [, S, D] = x.shape;
      const [K, R] = [keys.K, values.K];
      const B = values.N / D;
      if (sizes.tell_f32_scratch(D, R) > SCRATCH_BYTES) {
        throw new ShapeError("tellPlaces", "places that fit in the scratch", `${D} channels`, "use attention");
      }
      const of = (t?: Tensor) => (t ? address(t) : 0);
      const places = [of(y), address(x), x.shape[0] === 1 ? 0 : 4 * x.stride[0]];
      const compared = "z" in scored ? [address(scored.z), 0] : [0, address(scored.pe)];
      const tokens = [address(keys.data), of(offsets), address(values.data), address(bias)];
      const { now, before } = mixture ?? {};
      const mixtures = [now?.weights, now?.scales, before?.weights, before?.scales].map(of);
      const mixed = [...mixtures, before ? before.weights.shape[2] : 0];
      const args = [...places, ...compared, ...tokens, address(norm.weight), address(norm.bias), ...mixed, norm.eps];
      const tiles = B * Math.ceil(S / ROWS);
      parallelFor("tell_f32", tiles, [...args, S, D, K, R, heads, scale * Math.LOG2E, wide]);
    },

    attendToMixture(o, q, mixed, { k, pe, v }, { weights, scales }, scale, { sums, state }) {
      const [B, R, columns] = o.shape;
      const [S, C] = k.shape;
      const [h, J] = [R / 8, weights.shape[2]];
      if (sizes.look_f32_scratch(C, h) > SCRATCH_BYTES) {
        throw new ShapeError("attendToMixture", "places that fit in the scratch", `${C} channels`, "use attention");
      }
      const parts = sums.shape[1];
      const part = Math.ceil(S / parts);
      const exponents = scale * Math.LOG2E;
      const parted = [address(sums), address(state)];
      const tensors = [q.data, mixed.data, k, pe, v, weights, scales].map(address);
      parallelFor("look_f32", B * parts, [...parted, ...tensors, S, C, h, J, exponents, part, wide]);
      parallelFor("places_merge_f32", B, [address(o), ...parted, parts, R, columns, exponents]);
    },

    paint(masks, x, { dc1, norm, dc2 }, fine0, fine1, prompts, tokens, shared) {
      const [n, M, side] = masks.shape;
      const E = side / 4;
      const [D, C1, C2] = [dc1.weights[0].K, dc2.weights[0].K, tokens.K];
      if (sizes.paint_f32_scratch(E, C1, C2) > SCRATCH_BYTES) {
        throw new ShapeError("paint", "a smaller image", `${16 * E} pixels a side`, "paint layer by layer");
      }
      const cells = ({ weights, bias }: PackedCells) => [...weights.map(({ data }) => address(data)), address(bias)];
      const tensors = [address(masks), address(x), prompts.byteOffset, address(tokens.data), ...cells(dc1)];
      const normed = [address(norm.weight), address(norm.bias), norm.eps];
      const bias1 = dc1.bias.shape.length === 2 ? 4 * dc1.bias.stride[0] : 0;
      const ofAll = shared ? [...shared.cells, shared.scales].map(address) : [0, 0, 0];
      const args = [...tensors, ...normed, ...cells(dc2), address(fine1), address(fine0), bias1, ...ofAll];
      parallelFor("paint_f32", E, [...args, n, M, E, D, C1, C2, wide]);
    },

    axialAttention(o, q, { W, keys, values, loneKeys, loneValues }, projection, cos, sin, scale) {
      const [N, d] = q.shape;
      const [P, C, T] = keys.shape;
      const L = loneKeys.shape[1];
      const places = Math.max(1, Math.floor(PLACED / T)); // of a block
      const H = P / W;
      const fits = (panels: number) =>
        sizes.axial_attention_f32_scratch(d, C, W, H, T, places, panels) <= SCRATCH_BYTES;
      const panels = largest(PANELS, 1, fits);
      if (panels === 0) {
        throw new ShapeError(
          "axialAttention",
          "a smaller grid, fewer maps",
          `${W} columns, ${T} maps`,
          "use attention",
        );
      }
      const tensors = [o, q, keys, values, loneKeys, loneValues, projection, cos, sin].map(address);
      const tiles = shares(N, 16 * panels);
      const args = [...tensors, N, d, C, W, H, T, L, scale * Math.LOG2E, places, tiles, wide];
      parallelFor("axial_attention_f32", tiles, args);
    },
  };
}

/** Address of the bias, activation, address and strides of the residual. */
function epilogueArgs({ bias, activation, residual }: Epilogue): number[] {
  const added = residual && inGroups(residual);
  return [
    bias ? address(bias) : 0,
    ACTIVATIONS[activation ?? "none"],
    ...(added ? [address(added), 4 * added.stride[0], 4 * added.stride[1]] : [0, 0, 0]),
  ];
}

/** The largest multiple of `unit`, at most `most`, that fits; 0 if none does. */
function largest(most: number, unit: number, fits: (n: number) => boolean): number {
  let n = most;
  while (n > 0 && !fits(n)) n -= unit;
  return n;
}

/** Rows without groups are one. @shape [M, N] or [G, L, N] → [G, L, N] */
function inGroups(t: Tensor): Tensor {
  return t.shape.length === 2 ? unsqueeze(t, 0) : t;
}

/** Into how many even shares of at most `most` n things are cut: up to four threads then have as many each. */
function shares(n: number, most: number): number {
  return n <= most ? 1 : Math.ceil(n / most / 4) * 4;
}
