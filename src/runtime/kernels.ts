import type { Tensor } from "../tensor/view.ts";

/** Weight [N, K] of `gemm` in the order its table wants; only the table that packed it reads it. */
export interface Packed {
  readonly data: Tensor;
  readonly N: number; // output channels
  readonly K: number; // input channels
}

/** What `gemm` does to a sum before it is stored. */
export interface Epilogue {
  /** bias[N], the first term of every sum */
  bias?: Tensor;
  /** applied to the sum */
  activation?: "gelu" | "relu";
  /** shaped as the result, added last; row stride is free */
  residual?: Tensor;
}

/** A product of rows with a weight, and what is done to its sums. */
export interface Product {
  readonly weight: Packed;
  readonly epilogue: Epilogue;
}

/** One axis of a resize: out[i] = Σ_t weights[i, t] · in[starts[i] + t]. */
export interface Taps {
  readonly starts: Int32Array; // [n_out], on the heap
  readonly weights: Tensor; // [n_out, T]; starts[i] + T ≤ n_in
}

/** One axis of a resize of bytes in fixed point: out[i] = Σ_t weights[i, t]/2²² · in[starts[i] + t], t < counts[i]. */
export interface ByteTaps {
  readonly starts: Int32Array; // [n_out], all on the heap
  readonly counts: Int32Array; // [n_out], at most T
  readonly weights: Int32Array; // [n_out, T], less than 2²⁶; T even, zeros from counts[i] on
}

/** The thresholds of `maskBits`, in logits. */
export interface MaskLimits {
  readonly threshold: number;
  readonly high: number;
  readonly low: number;
}

/** Of each code that `maskCodes` writes: where it begins, its length, which is written too, and of which mask it is. */
export interface CodePlaces {
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly masks: Int32Array;
}

/** H × W pixels of a larger image, from column x0 and row y0 on. */
export interface CropOfImage {
  readonly H: number;
  readonly W: number;
  readonly x0: number;
  readonly y0: number;
  readonly imageH: number;
  readonly imageW: number;
}

/** A transposed convolution with kernel 2×2 and stride 2 as two products: of the upper and of the lower row of all cells. */
export interface PackedCells {
  readonly weights: readonly [Packed, Packed]; // [2·Cout, Cin]: the two pixels of a row, (q, c)
  readonly bias: Tensor; // [2·Cout], or one for each of the two [2, 2·Cout]
}

/** A LayerNorm over the last axis. */
export interface Norm {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly eps: number;
}

/** What of the places is compared with keys: the same for all prompts, or a prompt's places and their positions. */
export type Scored = { readonly z: Tensor } | { readonly pe: Tensor };

/** What places are told by B prompts: R keys, packed in whole panels a prompt, and values. */
export interface Told {
  readonly keys: Packed; // [B·⌈R/16⌉·16, K]
  readonly offsets?: Tensor; // [B, R]
  readonly values: Packed; // [B·D, R]
  readonly bias: Tensor; // [D]
}

/**
 * What B prompts have made of S places x that they share. A projection L of place s is, for prompt b,
 * scales[b, s]·L·x[s] + Σ_j weights[b, s, j]·(L of what the weight is of) + a constant: see model/mixture.ts.
 */
export interface Mixture {
  readonly weights: Tensor; // [B, S, J]
  readonly scales: Tensor; // [B, S]
}

/** What is projected of shared places for the attention of tokens to them: keys, positions among the keys, and values. */
export interface SharedPlaces {
  readonly k: Tensor; // [S, C]
  readonly pe: Tensor; // [S, C]
  readonly v: Tensor; // [S, C]
}

/** What `dc1` of the upscaling makes of shared places, for the upper and for the lower row of their cells. */
export interface SharedCells {
  readonly cells: readonly [Tensor, Tensor]; // [S, 2·C1]
  readonly scales: Tensor; // [B, S]
}

/** The mask decoder's upscaling: gelu(dc2(gelu(norm(dc1(x) + fine1))) + fine0). */
export interface Upscaling {
  readonly dc1: PackedCells; // D → C1
  readonly norm: Norm; // over C1 channels
  readonly dc2: PackedCells; // C1 → C2
}

/** Room for what `attendToPlaces` makes of each part of the places. */
export interface PartSums {
  readonly sums: Tensor;
  readonly state: Tensor;
}

/** Memories as `axialAttention` reads them. */
export interface PlacedMemory {
  /** width of the grid of P places */
  readonly W: number;
  /** what T memories of each place are found by, and what they hold */
  readonly keys: Tensor; // [P, C, T]
  readonly values: Tensor; // [P, T, C]
  /** the same of L memories that have no place */
  readonly loneKeys: Tensor; // [C, L]
  readonly loneValues: Tensor; // [L, C]
}

/**
 * The numeric operations of the graph: one line of maths per entry. Outputs come first and are allocated by the
 * caller. Every tensor lies on the machine's heap. Shapes are checked by the ops of `nn/`; a table trusts them.
 *
 * Letters: M rows · N output channels · K summed channels · B batch · H W grid · C channels · h heads · d head size
 *          · S keys
 */
export interface Kernels {
  /** Which table this is, e.g. "reference", "portable", "fma 6x16". */
  readonly name: string;

  /** Bring a weight into the table's order, in place. `weight` is [⌈N/16⌉·16, K]; rows from N on are ignored. */
  pack(weight: Tensor, N: number): Packed;

  /**
   * c[m, n] = residual[m, n] + activation(bias[n] + Σ_k a[row(m), k] · b[n, k]), k ascending, one chain of additions.
   *
   * c [M, N], or [G, L, N] with M = G·L; a [R, K]; channels adjacent, other strides free. Without `rows`, row(m) = m and
   * M = R. With it, row(m) = rows[m] and −1 stands for a row of zeros: window partition, its padding and its reverse are
   * such tables, never copies.
   */
  gemm(c: Tensor, a: Tensor, b: Packed, epilogue: Epilogue, rows?: Int32Array): void;

  /**
   * c = residual + W₂·activation(W₁·a + bias₁) + bias₂: what `gemm` with the first and `gemm` with the second give in turn, to the
   * bit. What is between them is held for a few rows at a time.
   *
   * c [M, N]; a [M, K]; channels adjacent, row strides free; the first has no residual, the second no activation.
   */
  mlp(c: Tensor, a: Tensor, first: Product, second: Product): void;

  /**
   * Convolution: y[b, i, j, :] = activation(bias + Σ_{p, q} weight[:, p, q, :] · x[b, i·stride + p − padding, j·stride + q − padding, :]).
   *
   * y [B, H', W', N]; x [B, H, W, C]; weight packed with K = k·k·C in the order (p, q, c); zeros outside of x.
   */
  conv2d(y: Tensor, x: Tensor, weight: Packed, k: number, stride: number, padding: number, epilogue: Epilogue): void;

  /**
   * Depth-wise convolution: y[b, i, j, c] = bias[c] + Σ_{p, q} weight[p, q, c] · x[b, i·stride + p − r, j·stride + q − r, c].
   *
   * y [B, ⌈H/stride⌉, ⌈W/stride⌉, C]; x [B, H, W, C]; weight [k, k, C]; bias [C]; r = (k − 1)/2; zeros outside of x.
   */
  depthwiseConv2d(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor, k: number, stride: number): void;

  /**
   * o = softmax(scale · q·kᵀ) · v, with a running maximum: the [N, S] scores are never stored.
   *
   * o [B, h, N, dv]; q [B, h, N, d]; k [B, h, S, d]; v [B, h, S, dv]. All may be views: any strides (0 shares keys
   * between heads or batches), channels adjacent. dv may differ from d. With `room` [B, h, ⌈S/16⌉·16, d + ⌈dv/16⌉·16] keys and
   * values are packed once for all queries: it pays where there are many; the bits are the same.
   */
  attention(o: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: number, room?: Tensor): void;

  /**
   * o[b, r] = Σ_s p_s·x[b, s], p = softmax over s of scale·q[b, r]·(x[b, s] + pe[s]): few queries that see many places.
   *
   * o [B, R, D]; q packed from [B·R, D], R a multiple of 16; x [B, S, D]; pe [S, D]; D a multiple of 16; all contiguous.
   * The places are summed up in P parts, in `room`: sums [B, P, R, D] and state [B, P, 2, R].
   */
  attendToPlaces(o: Tensor, q: Packed, x: Tensor, pe: Tensor, scale: number, room: PartSums): void;

  /**
   * y[b, s] = norm(x[b, s] + bias + Σ_r p_r·values[b][:, r]), p = softmax of scale·(keys[b][r]·z[s] + offsets[b, r]) over the
   * tokens of each head: what `gemm`, `softmax`, `gemm` and `layerNorm` give in turn, to the bit.
   *
   * y [B, S, D]; x [B, S, D] or, shared, [1, S, D]; z [S, K] for all prompts, or x + pe [S, D] of each; R = tokens·heads,
   * heads a multiple of 8; all contiguous. `mixture`, if given, gets f·(scales before, or 1) and f·[weights before, p] with f
   * the factor of the norm, R a multiple of 8; y may be left out then.
   */
  tellPlaces(
    y: Tensor | undefined,
    x: Tensor,
    scored: Scored,
    told: Told,
    norm: Norm,
    heads: number,
    scale: number,
    mixture?: { readonly now: Mixture; readonly before?: Mixture },
  ): void;

  /**
   * Tokens of B prompts, 8 in each of h heads, attend to shared places as the prompts have changed them:
   * o[b, r] = Σ_s p_s·[f·v[s] of the head of r, weights[b, s]] with p = softmax over s of
   * scale·(q[b, r]·(f·k[s] + pe[s]) + mixed[b, r]·weights[b, s]) and f = scales[b, s].
   *
   * o [B, 8h, d + J]; q packed from [B·8h, 2d], of each row, 8 a head, the channels of two heads, zeros in the other's; mixed
   * packed from [B·8h, J]; C = h·d; h even; d and J multiples of 16; `room` as in `attendToPlaces`; all contiguous.
   */
  attendToMixture(
    o: Tensor,
    q: Packed,
    mixed: Packed,
    places: SharedPlaces,
    mixture: Mixture,
    scale: number,
    room: PartSums,
  ): void;

  /**
   * o = softmax(scale · q·Kᵀ) · V, where the keys K = R_p·(W·k + b) are neither projected nor rotated: see
   * kernels/axial.ts.
   *
   * o [N, C]; q [N, d], rotated; projection [d, C + 1] is W and, as its last channel, b; cos, sin [P, d/2] are the angles
   * of R, the first half in proportion to x, the second to y. All contiguous.
   */
  axialAttention(
    o: Tensor,
    q: Tensor,
    memory: PlacedMemory,
    projection: Tensor,
    cos: Tensor,
    sin: Tensor,
    scale: number,
  ): void;

  /**
   * masks[i, m] = tokens[i][m] · upscaled image of prompts[i], a sum over channels: what `gemm`, `layerNorm` and `gelu` give
   * in turn, to the bit, without the tensors between them.
   *
   * masks [n, M, 4E, 4E], M ≤ 8; x [B, E·E, D]; fine0 [4E, 4E, C2]; fine1 [2E, 2E, C1]; prompts [n]; tokens [n·16, C2]: of
   * each prompt M rows, packed. All contiguous. With `shared`, x are weights of a mixture, `dc1` is packed for each prompt of its
   * own, and dc1(x) stands for scales·cells + dc1·weights.
   */
  paint(
    masks: Tensor,
    x: Tensor,
    upscaling: Upscaling,
    fine0: Tensor,
    fine1: Tensor,
    prompts: Int32Array,
    tokens: Packed,
    shared?: SharedCells,
  ): void;

  /** y[m, n, c] = e^(scale·x[m, n, c])/Σₙ e^(scale·x[m, n, c]); y, x [M, N, C], contiguous, C a multiple of 8; y may be x. */
  softmax(y: Tensor, x: Tensor, scale: number): void;

  /** y = (x − mean)/√(variance + eps)·weight + bias over the last axis; y, x [M, C]. */
  layerNorm(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor, eps: number): void;

  /** y[b, i, j, c] = max over the 2×2 cell of x; x [B, H, W, C] may be a view with adjacent channels; y [B, H/2, W/2, C]. */
  maxPool2x2(y: Tensor, x: Tensor): void;

  /** Resize one axis: y [P, n_out, Q], x [P, n_in, Q]. Bilinear, antialiased, bicubic and nearest are all such sums. */
  resample(y: Tensor, x: Tensor, taps: Taps): void;

  /** Resize one axis of bytes: y [P, n_out, Q], x [P, n_in, Q]. Sums are rounded to the nearest byte. */
  resampleBytes(y: Uint8Array, x: Uint8Array, nIn: number, Q: number, taps: ByteTaps): void;

  /**
   * Which logits of resized masks exceed a threshold. The logits are those of two `resample`s, of the columns and then of
   * the rows, and are not stored.
   *
   * bits [B, H, ⌈W/32⌉]: column x in bit x mod 32 of word ⌊x/32⌋; counts [B, H, 2]: how many of a row exceed `high` and
   * `low`; masks [B, h, w], contiguous.
   */
  maskBits(bits: Int32Array, counts: Int32Array, masks: Tensor, rows: Taps, columns: Taps, limits: MaskLimits): void;

  /** The same as bytes [B, H, W]: 1 where the logit exceeds the threshold, else 0. */
  maskBytes(bytes: Uint8Array, masks: Tensor, rows: Taps, columns: Taps, threshold: number): void;

  /**
   * Of masks of bits: how often a bit differs from the one above, where outside of the mask nothing is set; how many are set;
   * first column and row, last column and row that have one, all 0 if none has.
   *
   * extents [B, 6]; bits [B, H, ⌈W/32⌉]
   */
  maskExtents(extents: Int32Array, bits: Int32Array, H: number, W: number): void;

  /**
   * COCO's compressed run lengths of some masks, each covering a crop of an image: that of masks[i] comes to
   * codes[starts[i] …], seven bytes a run at most, and its length to lengths[i].
   *
   * bits [B, H, ⌈W/32⌉] of the crop
   */
  maskCodes(codes: Uint8Array, places: CodePlaces, bits: Int32Array, crop: CropOfImage): void;

  /**
   * Rotate pairs of channels: (y₂ᵢ, y₂ᵢ₊₁) = (x₂ᵢ·cos − x₂ᵢ₊₁·sin, x₂ᵢ·sin + x₂ᵢ₊₁·cos).
   *
   * y, x [B, h, N, d] may be views with adjacent channels, y may be x; cos, sin [n, d/2], repeated along N (N a
   * multiple of n).
   */
  rope(y: Tensor, x: Tensor, cos: Tensor, sin: Tensor): void;

  /** y = a + b; b repeats along the leading axes of a, e.g. [C] or [S, C] against [B, S, C]. All contiguous. */
  add(y: Tensor, a: Tensor, b: Tensor): void;
  /** y = a ⊙ b; b repeats as in `add`. */
  mul(y: Tensor, a: Tensor, b: Tensor): void;
  /** y = scale·x + offset */
  affine(y: Tensor, x: Tensor, scale: number, offset: number): void;
  /** y = x/2·(1 + erf(x/√2)) */
  gelu(y: Tensor, x: Tensor): void;
  /** y = max(x, 0) */
  relu(y: Tensor, x: Tensor): void;
  /** y = 1/(1 + e⁻ˣ) */
  sigmoid(y: Tensor, x: Tensor): void;
  /** y = sin x for |x| ≤ 10⁴ */
  sin(y: Tensor, x: Tensor): void;
  /** y = cos x for |x| ≤ 10⁴ */
  cos(y: Tensor, x: Tensor): void;

  /** y ← x, both of one shape, up to six axes, any strides: what makes a permuted view contiguous. */
  copy(y: Tensor, x: Tensor): void;
  /** y = 1 where x > limit, else 0: a mask of bytes, as many as x has values. x is contiguous. */
  above(y: Uint8Array, x: Tensor, limit: number): void;
  /** y [H, W, 3] ← pixels/255, RGB bytes: torchvision's ToTensor. */
  fromPixels(y: Tensor, pixels: Uint8Array): void;
  /** y [H, W, 3] ← (pixels/255 − mean)/std, RGB bytes; mean, std [3] */
  normalizePixels(y: Tensor, pixels: Uint8Array, mean: Tensor, std: Tensor): void;
}
