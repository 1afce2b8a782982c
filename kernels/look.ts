// o[b, r] = Σ_s p_s·[f[s]·v[s] of the head of r, weights[b, s]] with p = softmax over s of
//   scale·(q[b, r]·(f[s]·k[s] + pe[s]) + mixed[b, r]·weights[b, s]): places that prompts share, seen as each prompt has changed them
//
// k, pe, v [S, C], C = h·d channels; f = scales[b], scales [B, S], weights [B, S, J]. A panel of 16 rows r is two heads of 8 tokens:
// q, packed, [B, h/2, 2d, 16] has zeros in the channels of the other head; mixed, packed, [B·8h, J]; o [B, 8h, d + J].
//
// The places stay as they are for all prompts, keys and values are projected once an image. What tokens have told them stands in J
// weights a place and in one factor: instead of 2·D multiply-adds for each row and place 2·2d + 2·J, fewer for J ≤ 128.
//
// ms of a prompt in a batch of 16 for both attentions, tiny at 1024², J = 64 and 128, two threads of an Intel Xeon (Sapphire Rapids
// class), Node 26: `places_f32` 4.3, this 2.2.
//
// Blocks of places, softmax and parts are those of `places_f32`, and so is the merging.
import { copyColumns } from "./attention";
import { FREE, LINE, MR, ROWS, listRows, tileOf, tile_4x16 } from "./gemm";
import { accumulate, maxima, shrinkRows, turn, weigh } from "./places";

// @ts-ignore: decorator
@inline
const PLACES: i32 = 96; // of a block
// @ts-ignore: decorator
@inline
const TOKENS: i32 = 8;

/** Bytes of scratch that h heads of C channels in all, and J weights take. */
export function look_f32_scratch(C: i32, h: i32): usize {
  const R = TOKENS * h;
  return FREE + (<usize>(PLACES * (2 * C + 2 * R + 16 + 1) + 2 * R) << 2);
}

/** Tiles are parts of `part` places of one prompt: sums [B, parts, 8h, d + J], state [B, parts, 2, 8h]. `scale` makes exponents of 2. */
export function look_f32(
  sums: usize, state: usize, q: usize, mixed: usize, k: usize, pe: usize, v: usize, weights: usize, scales: usize, S: i32, C: i32, h: i32,
  J: i32, scale: f32, part: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const parts = (S + part - 1) / part, d = C / h, R = TOKENS * h;
  const row = <usize>C << 2, columns = <usize>R << 2, ldw = <usize>J << 2, line = <usize>(d + J) << 2, turned = <usize>PLACES << 2;
  const head = <usize>d << 2; // bytes of a head's channels
  const keys = scratch + FREE, values = keys + <usize>PLACES * row; // values: panels of 16 channels
  const scores = values + <usize>PLACES * row, turns = scores + <usize>PLACES * columns, panel = turns + <usize>PLACES * columns;
  const shrink = panel + <usize>PLACES * LINE, queries = shrink + columns, addresses = queries + columns;
  const zeros = scratch;
  for (let r = 0; r < R; r++) store<u32>(queries + (<usize>r << 2), turns + <usize>r * turned);

  for (let t = from; t < to; t++) {
    const b = t / parts, first = t % parts * part, end = min(first + part, S);
    const sum = sums + <usize>(t * R) * line, maximum = state + <usize>t * 2 * columns, total = maximum + columns;
    const ownQ = q + <usize>(b * R) * 2 * head, ownMixed = mixed + <usize>(b * R) * ldw;
    memory.fill(sum, 0, <usize>R * line);
    memory.fill(total, 0, columns);
    for (let r: usize = 0; r < columns; r += 4) store<f32>(maximum + r, -Infinity);
    memory.fill(zeros, 0, LINE);
    for (let s = first; s < end; s += PLACES) {
      const count = min(PLACES, end - s), at = <usize>(b * S + s);
      const told = weights + at * ldw;
      project(keys, values, k + <usize>s * row, pe + <usize>s * row, v + <usize>s * row, scales + (at << 2), row, count);
      listRows(scratch + ROWS, told, ldw, count);
      for (let p: usize = 0; p < <usize>h / 2; p++) {
        listRows(addresses, keys + p * 2 * head, row, count);
        const panelQ = ownQ + p * 2 * head * 16, panelMixed = ownMixed + p * 16 * ldw, to = scores + p * LINE;
        for (let m = 0; m < count; m += MR) {
          const y = to + <usize>m * columns, at = <usize>m << 2;
          tileOf(wide, count - m, y, columns, zeros, 0, addresses + at, panelQ, LINE, 2 * d);
          tileOf(wide, count - m, y, columns, y, columns, scratch + ROWS + at, panelMixed, LINE, J);
        }
      }
      maxima(scores, columns, count, maximum, shrink, total, scale);
      if (s > first) shrinkRows(sum, line, shrink, R);
      weigh(scores, columns, count, maximum, total, scale);
      turn(turns, turned, scores, columns, count);
      for (let i = 0; i < h; i++) {
        for (let c = 0; c < d; c += 16) {
          const panelV = values + <usize>((i * d + c) / 16 * PLACES) * LINE;
          for (let r = TOKENS * i; r < TOKENS * (i + 1); r += 4) {
            const to = sum + <usize>r * line + (<usize>c << 2);
            tile_4x16(wide, to, line, to, line, queries + (<usize>r << 2), panelV, LINE, count);
          }
        }
      }
      for (let c: usize = 0; c < ldw; c += LINE) {
        copyColumns(panel, told + c, ldw, count, 16);
        accumulate(sum + head + c, line, queries, panel, R, count, wide);
      }
    }
  }
}

/** keys = f·k + pe, and f·v in panels of 16 channels */
function project(keys: usize, values: usize, k: usize, pe: usize, v: usize, scales: usize, row: usize, count: i32): void {
  for (let j = 0; j < count; j++, scales += 4, values += LINE) {
    const f = v128.load32_splat(scales);
    for (let c: usize = 0, to = values; c < row; c += LINE, to += <usize>PLACES * LINE) {
      for (let e: usize = 0; e < LINE; e += 32) {
        const at = c + e;
        const y0 = f32x4.add(f32x4.mul(f, v128.load(k + at)), v128.load(pe + at)), y1 = f32x4.add(f32x4.mul(f, v128.load(k + at, 16)), v128.load(pe + at, 16));
        v128.store(keys + at, y0);
        v128.store(keys + at, y1, 16);
        const z0 = f32x4.mul(f, v128.load(v + at)), z1 = f32x4.mul(f, v128.load(v + at, 16));
        v128.store(to + e, z0);
        v128.store(to + e, z1, 16);
      }
    }
    keys += row; k += row; pe += row; v += row;
  }
}
