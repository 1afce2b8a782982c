// y ← x over six axes of any strides; the caller drops axes of size 1 and joins those that lie as one
//
// Innermost axis adjacent in both: rows of vectors. Adjacent in y alone, another one in x: a transposition of 4×4
// blocks, in strips of 16 floats so that a cache line of x is used whole. Else one by one. In Node 20: rows 25 … 37 GB/s,
// transpositions 13 GB/s.

/** Tiles of `tile` rows: row r runs along the last axis. Strides are in bytes. */
export function copy_f32(
  y: usize, y0: usize, y1: usize, y2: usize, y3: usize, y4: usize, y5: usize,
  x: usize, x0: usize, x1: usize, x2: usize, x3: usize, x4: usize, x5: usize,
  n0: i32, n1: i32, n2: i32, n3: i32, n4: i32, n5: i32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const last = min(to * tile, n0 * n1 * n2 * n3 * n4), adjacent = x5 == 4 && y5 == 4;
  for (let r = from * tile; r < last; ) {
    let i4 = r % n4, rest = r / n4;
    const i3 = <usize>(rest % n3); rest /= n3;
    const i2 = <usize>(rest % n2); rest /= n2;
    const i1 = <usize>(rest % n1), i0 = <usize>(rest / n1);
    let py = y + i0 * y0 + i1 * y1 + i2 * y2 + i3 * y3 + <usize>i4 * y4;
    let px = x + i0 * x0 + i1 * x1 + i2 * x2 + i3 * x3 + <usize>i4 * x4;
    for (; i4 < n4 && r < last; i4++, r++, py += y4, px += x4) {
      if (adjacent) vectors(py, px, n5);
      else floats(py, y5, px, x5, n5);
    }
  }
}

// @ts-ignore: decorator
@inline
function vectors(y: usize, x: usize, left: i32): void {
  for (; left >= 8; left -= 8, y += 32, x += 32) {
    const a = v128.load(x), b = v128.load(x, 16);
    v128.store(y, a);
    v128.store(y, b, 16);
  }
  for (; left > 0; left--, y += 4, x += 4) store<f32>(y, load<f32>(x));
}

// @ts-ignore: decorator
@inline
function floats(y: usize, dy: usize, x: usize, dx: usize, left: i32): void {
  for (; left > 0; left--, y += dy, x += dx) store<f32>(y, load<f32>(x));
}

/**
 * y[…, j, i] ← x[…, j, i] with i adjacent in y and j adjacent in x. Tiles: 16 values of j in one of the n0·n1·n2·n3
 * matrices.
 */
export function transpose_f32(
  y: usize, y0: usize, y1: usize, y2: usize, y3: usize, yJ: usize,
  x: usize, x0: usize, x1: usize, x2: usize, x3: usize, xI: usize,
  n0: i32, n1: i32, n2: i32, n3: i32, J: i32, I: i32, scratch: usize, from: i32, to: i32,
): void {
  const strips = (J + 15) / 16;
  for (let t = from; t < to; t++) {
    const j = t % strips * 16;
    let rest = t / strips;
    const i3 = <usize>(rest % n3); rest /= n3;
    const i2 = <usize>(rest % n2); rest /= n2;
    const i1 = <usize>(rest % n1), i0 = <usize>(rest / n1);
    const py = y + i0 * y0 + i1 * y1 + i2 * y2 + i3 * y3 + <usize>j * yJ;
    const px = x + i0 * x0 + i1 * x1 + i2 * x2 + i3 * x3 + (<usize>j << 2);
    strip(py, yJ, px, xI, min(16, J - j), I);
  }
}

function strip(y: usize, yJ: usize, x: usize, xI: usize, J: i32, I: i32): void {
  let i = 0;
  for (; i + 4 <= I; i += 4, y += 16, x += 4 * xI) {
    let j = 0;
    for (; j + 4 <= J; j += 4) block(y + <usize>j * yJ, yJ, x + (<usize>j << 2), xI);
    for (; j < J; j++) floats(y + <usize>j * yJ, 4, x + (<usize>j << 2), xI, 4);
  }
  for (; i < I; i++, y += 4, x += xI) floats(y, yJ, x, 4, J);
}

// @ts-ignore: decorator
@inline
function block(y: usize, yJ: usize, x: usize, xI: usize): void {
  const a = v128.load(x), b = v128.load(x + xI), c = v128.load(x + 2 * xI), d = v128.load(x + 3 * xI);
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const AB = v128.shuffle<f32>(a, b, 2, 6, 3, 7), CD = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(y, v128.shuffle<f64>(ab, cd, 0, 2));
  v128.store(y + yJ, v128.shuffle<f64>(ab, cd, 1, 3));
  v128.store(y + 2 * yJ, v128.shuffle<f64>(AB, CD, 0, 2));
  v128.store(y + 3 * yJ, v128.shuffle<f64>(AB, CD, 1, 3));
}
