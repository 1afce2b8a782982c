// What the multiplier can do at most: c = c·x + y on twelve independent registers, no memory in the loop. Benchmarks
// give every speed as a fraction of it.
import { madd } from "./simd";

/** 12 multiply-adds of 128 bits, n times. The results lie apart, so that V8 cannot join them in pairs. */
export function peak_f32_128(p: usize, n: i32): void {
  const x = v128.load(p), y = v128.load(p, 32);
  let c0 = v128.load(p, 64), c1 = v128.load(p, 96), c2 = v128.load(p, 128), c3 = v128.load(p, 160);
  let c4 = v128.load(p, 192), c5 = v128.load(p, 224), c6 = v128.load(p, 256), c7 = v128.load(p, 288);
  let c8 = v128.load(p, 320), c9 = v128.load(p, 352), c10 = v128.load(p, 384), c11 = v128.load(p, 416);
  for (; n > 0; n--) {
    c0 = madd(c0, x, y); c1 = madd(c1, x, y); c2 = madd(c2, x, y); c3 = madd(c3, x, y);
    c4 = madd(c4, x, y); c5 = madd(c5, x, y); c6 = madd(c6, x, y); c7 = madd(c7, x, y);
    c8 = madd(c8, x, y); c9 = madd(c9, x, y); c10 = madd(c10, x, y); c11 = madd(c11, x, y);
  }
  v128.store(p, c0, 64); v128.store(p, c1, 96); v128.store(p, c2, 128); v128.store(p, c3, 160);
  v128.store(p, c4, 192); v128.store(p, c5, 224); v128.store(p, c6, 256); v128.store(p, c7, 288);
  v128.store(p, c8, 320); v128.store(p, c9, 352); v128.store(p, c10, 384); v128.store(p, c11, 416);
}

/** 12 multiply-adds of 256 bits, n times, where V8 joins pairs; else 24 of 128 bits, too many for the registers. */
export function peak_f32_256(p: usize, n: i32): void {
  const x0 = v128.load(p), x1 = v128.load(p, 16), y0 = v128.load(p, 32), y1 = v128.load(p, 48);
  p += 64;
  let c0 = v128.load(p), d0 = v128.load(p, 16), c1 = v128.load(p, 32), d1 = v128.load(p, 48);
  let c2 = v128.load(p, 64), d2 = v128.load(p, 80), c3 = v128.load(p, 96), d3 = v128.load(p, 112);
  let c4 = v128.load(p, 128), d4 = v128.load(p, 144), c5 = v128.load(p, 160), d5 = v128.load(p, 176);
  let c6 = v128.load(p, 192), d6 = v128.load(p, 208), c7 = v128.load(p, 224), d7 = v128.load(p, 240);
  let c8 = v128.load(p, 256), d8 = v128.load(p, 272), c9 = v128.load(p, 288), d9 = v128.load(p, 304);
  let c10 = v128.load(p, 320), d10 = v128.load(p, 336), c11 = v128.load(p, 352), d11 = v128.load(p, 368);
  for (; n > 0; n--) {
    c0 = madd(c0, x0, y0); d0 = madd(d0, x1, y1); c1 = madd(c1, x0, y0); d1 = madd(d1, x1, y1);
    c2 = madd(c2, x0, y0); d2 = madd(d2, x1, y1); c3 = madd(c3, x0, y0); d3 = madd(d3, x1, y1);
    c4 = madd(c4, x0, y0); d4 = madd(d4, x1, y1); c5 = madd(c5, x0, y0); d5 = madd(d5, x1, y1);
    c6 = madd(c6, x0, y0); d6 = madd(d6, x1, y1); c7 = madd(c7, x0, y0); d7 = madd(d7, x1, y1);
    c8 = madd(c8, x0, y0); d8 = madd(d8, x1, y1); c9 = madd(c9, x0, y0); d9 = madd(d9, x1, y1);
    c10 = madd(c10, x0, y0); d10 = madd(d10, x1, y1); c11 = madd(c11, x0, y0); d11 = madd(d11, x1, y1);
  }
  v128.store(p, c0); v128.store(p, d0, 16); v128.store(p, c1, 32); v128.store(p, d1, 48);
  v128.store(p, c2, 64); v128.store(p, d2, 80); v128.store(p, c3, 96); v128.store(p, d3, 112);
  v128.store(p, c4, 128); v128.store(p, d4, 144); v128.store(p, c5, 160); v128.store(p, d5, 176);
  v128.store(p, c6, 192); v128.store(p, d6, 208); v128.store(p, c7, 224); v128.store(p, d7, 240);
  v128.store(p, c8, 256); v128.store(p, d8, 272); v128.store(p, c9, 288); v128.store(p, d9, 304);
  v128.store(p, c10, 320); v128.store(p, d10, 336); v128.store(p, c11, 352); v128.store(p, d11, 368);
}
