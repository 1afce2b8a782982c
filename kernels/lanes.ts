// Vectors that are not full: the last one to three floats of a row.

/** The n = 1, 2 or 3 floats at p, then zeros. */
// @ts-ignore: decorator
@inline
export function load_lanes(p: usize, n: i32): v128 {
  let x = v128.load32_zero(p);
  if (n > 1) x = v128.load32_lane(p, x, 1, 4);
  if (n > 2) x = v128.load32_lane(p, x, 2, 8);
  return x;
}

/** Store the first n = 1, 2 or 3 lanes. */
// @ts-ignore: decorator
@inline
export function store_lanes(p: usize, x: v128, n: i32): void {
  v128.store32_lane(p, x, 0);
  if (n > 1) v128.store32_lane(p, x, 1, 4);
  if (n > 2) v128.store32_lane(p, x, 2, 8);
}
