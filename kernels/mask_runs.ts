// What is written down of masks of bits: how many bits are set, their box, and COCO's run lengths down the columns
//
// bits [B, H, ⌈W/32⌉] words as `mask_bits` makes them. A run begins or ends where a bit differs from the one above. 32 × 32
// bits at a time are transposed, so that a word holds 32 rows of one column, and a word and the same moved by one row differ
// in what is looked for. Noise has some 10⁵ runs a mask; in JavaScript, by sorting the differences of 32 columns, they took
// 7.5 ms of 1800 × 1200 pixels, of one thread; here 1.
//
// A code is the runs' lengths, from the fourth on less the length two before, in groups of 5 bits, low ones first: see
// src/io/rle.ts → `compress`.

// @ts-ignore: decorator
@inline
const ROWS: i32 = 32; // of a word, when transposed

/** extents[b] = [differences down the columns, bits set, first column, first row, last column, last row]; 0 if none is set. */
export function mask_extents(extents: usize, bits: usize, H: i32, W: i32, scratch: usize, from: i32, to: i32): void {
  const words = (W + 31) / 32, line = <usize>words << 2;
  for (let b = from; b < to; b++) {
    const extent = extents + <usize>b * 24;
    let row = bits + <usize>(b * H) * line;
    memory.fill(scratch, 0, line); // by word, all rows together
    let flips = 0, area = 0, top = -1, bottom = 0;
    for (let y = 0; y <= H; y++, row += line) {
      let any: u32 = 0;
      for (let at: usize = 0; at < line; at += 4) {
        const word = y < H ? load<u32>(row + at) : 0, above = y > 0 ? load<u32>(row + at - line) : 0;
        flips += popcnt(word ^ above);
        area += popcnt(word);
        store<u32>(scratch + at, load<u32>(scratch + at) | word);
        any |= word;
      }
      if (any) {
        if (top < 0) top = y;
        bottom = y;
      }
    }
    let left = -1, right = 0;
    for (let word = 0; word < words; word++) {
      const all = load<u32>(scratch + (<usize>word << 2));
      if (!all) continue;
      if (left < 0) left = word * 32 + ctz(all);
      right = word * 32 + 31 - clz(all);
    }
    store<i32>(extent, flips);
    store<i32>(extent, area, 4);
    store<i32>(extent, max(left, 0), 8);
    store<i32>(extent, max(top, 0), 12);
    store<i32>(extent, right, 16);
    store<i32>(extent, bottom, 20);
  }
}

/**
 * The code of mask masks[i] for each of tiles i, as a mask of an image of which it covers H × W pixels from column x0 and row
 * y0 on. Its length comes to lengths[i]; it lies at codes + starts[i], with room for seven characters a run.
 */
export function mask_codes(
  codes: usize, starts: usize, lengths: usize, masks: usize, bits: usize, H: i32, W: i32, x0: i32, y0: i32, imageH: i32, imageW: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const words = (W + 31) / 32, groups = (H + ROWS - 1) / ROWS, line = <usize>words << 2;
  const column = <usize>groups << 2; // bytes of a column of bits
  for (let i = from; i < to; i++) {
    const at = <usize>i << 2;
    const mask = bits + <usize>load<i32>(masks + at) * <usize>H * line;
    const code = codes + <usize>load<i32>(starts + at);
    let p = code, count = 0, end = 0; // pairs of runs begun, and where the last run ends
    let off = 0, on = 0, onBefore = 0; // their lengths, and the one of set pixels before
    for (let word = 0; word < words; word++) {
      for (let g = 0; g < groups; g++) transpose(scratch + (<usize>g << 2), column, mask + (<usize>word << 2) + <usize>(g * ROWS) * line, line, min(ROWS, H - g * ROWS));
      for (let c = 0; c < min(32, W - word * 32); c++) {
        const top = (x0 + word * 32 + c) * imageH + y0;
        let last: u32 = 0, first = -1; // the bit above, and where a run of set pixels has begun
        for (let g = 0; g <= groups; g++) {
          const set = g < groups ? load<u32>(scratch + <usize>c * column + (<usize>g << 2)) : 0;
          for (let rest = set ^ (set << 1 | last); rest; rest &= rest - 1) {
            const y = g * ROWS + ctz(rest);
            if (first < 0) {
              first = y;
              continue;
            }
            const start = top + first;
            if (start == end && count > 0) on += y - first;
            else {
              if (count > 0) p = put(p, count > 1 ? on - onBefore : on);
              p = put(p, count > 1 ? start - end - off : start - end);
              off = start - end;
              onBefore = on;
              on = y - first;
              count++;
            }
            end = top + y;
            first = -1;
          }
          last = set >> 31;
        }
      }
    }
    if (count > 0) p = put(p, count > 1 ? on - onBefore : on);
    const rest = imageH * imageW - end;
    if (rest > 0) p = put(p, count > 1 ? rest - off : rest);
    store<i32>(lengths + at, <i32>(p - code));
  }
}

/** The characters of a number: 5 bits each, with sign; bit 5 says that more follow, and 48 is added. */
// @ts-ignore: decorator
@inline
function put(p: usize, rest: i32): usize {
  for (let more = true; more;) {
    const group = rest & 0x1f;
    rest >>= 5;
    more = group & 0x10 ? rest != -1 : rest != 0;
    store<u8>(p++, 48 + (more ? group | 0x20 : group));
  }
  return p;
}

/** 32 columns of bits, `column` bytes apart, of the 32 rows, or fewer, from `row` on: parts of words change places by halves. */
function transpose(to: usize, column: usize, row: usize, line: usize, count: i32): void {
  let a0 = rows(row, line, count), a1 = rows(row + 4 * line, line, count - 4), a2 = rows(row + 8 * line, line, count - 8);
  let a3 = rows(row + 12 * line, line, count - 12), a4 = rows(row + 16 * line, line, count - 16), a5 = rows(row + 20 * line, line, count - 20);
  let a6 = rows(row + 24 * line, line, count - 24), a7 = rows(row + 28 * line, line, count - 28);
  let t = swap(a0, a4, 16); a0 = v128.xor(a0, i32x4.shl(t, 16)); a4 = v128.xor(a4, t);
  t = swap(a1, a5, 16); a1 = v128.xor(a1, i32x4.shl(t, 16)); a5 = v128.xor(a5, t);
  t = swap(a2, a6, 16); a2 = v128.xor(a2, i32x4.shl(t, 16)); a6 = v128.xor(a6, t);
  t = swap(a3, a7, 16); a3 = v128.xor(a3, i32x4.shl(t, 16)); a7 = v128.xor(a7, t);
  t = swap(a0, a2, 8); a0 = v128.xor(a0, i32x4.shl(t, 8)); a2 = v128.xor(a2, t);
  t = swap(a1, a3, 8); a1 = v128.xor(a1, i32x4.shl(t, 8)); a3 = v128.xor(a3, t);
  t = swap(a4, a6, 8); a4 = v128.xor(a4, i32x4.shl(t, 8)); a6 = v128.xor(a6, t);
  t = swap(a5, a7, 8); a5 = v128.xor(a5, i32x4.shl(t, 8)); a7 = v128.xor(a7, t);
  t = swap(a0, a1, 4); a0 = v128.xor(a0, i32x4.shl(t, 4)); a1 = v128.xor(a1, t);
  t = swap(a2, a3, 4); a2 = v128.xor(a2, i32x4.shl(t, 4)); a3 = v128.xor(a3, t);
  t = swap(a4, a5, 4); a4 = v128.xor(a4, i32x4.shl(t, 4)); a5 = v128.xor(a5, t);
  t = swap(a6, a7, 4); a6 = v128.xor(a6, i32x4.shl(t, 4)); a7 = v128.xor(a7, t);
  fours(to, column, a0);
  fours(to + 4 * column, column, a1);
  fours(to + 8 * column, column, a2);
  fours(to + 12 * column, column, a3);
  fours(to + 16 * column, column, a4);
  fours(to + 20 * column, column, a5);
  fours(to + 24 * column, column, a6);
  fours(to + 28 * column, column, a7);
}

/** A word of each of four rows; zeros from row `count` on. */
// @ts-ignore: decorator
@inline
function rows(row: usize, line: usize, count: i32): v128 {
  let x = i32x4.splat(0);
  if (count > 0) x = v128.load32_lane(row, x, 0);
  if (count > 1) x = v128.load32_lane(row + line, x, 1);
  if (count > 2) x = v128.load32_lane(row + 2 * line, x, 2);
  if (count > 3) x = v128.load32_lane(row + 3 * line, x, 3);
  return x;
}

/** In which bits the upper parts of `a` differ from the lower ones of `b`, parts of j bits. */
// @ts-ignore: decorator
@inline
function swap(a: v128, b: v128, j: i32): v128 {
  const lower = j == 16 ? 0x0000ffff : j == 8 ? 0x00ff00ff : j == 4 ? 0x0f0f0f0f : j == 2 ? 0x33333333 : 0x55555555;
  return v128.and(v128.xor(i32x4.shr_u(a, j), b), i32x4.splat(lower));
}

/** The last two steps, inside of a vector, and its four columns to their places. */
// @ts-ignore: decorator
@inline
function fours(to: usize, column: usize, x: v128): void {
  let a = v128.shuffle<i32>(x, x, 0, 1, 0, 1), b = v128.shuffle<i32>(x, x, 2, 3, 2, 3), t = swap(a, b, 2);
  x = v128.shuffle<i32>(v128.xor(a, i32x4.shl(t, 2)), v128.xor(b, t), 0, 1, 4, 5);
  a = v128.shuffle<i32>(x, x, 0, 0, 2, 2);
  b = v128.shuffle<i32>(x, x, 1, 1, 3, 3);
  t = swap(a, b, 1);
  x = v128.shuffle<i32>(v128.xor(a, i32x4.shl(t, 1)), v128.xor(b, t), 0, 4, 2, 6);
  v128.store32_lane(to, x, 0);
  v128.store32_lane(to + column, x, 1);
  v128.store32_lane(to + 2 * column, x, 2);
  v128.store32_lane(to + 3 * column, x, 3);
}
