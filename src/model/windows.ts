import { machine } from "../runtime/machine.ts";

/**
 * Window partition and its reverse, as tables of row numbers: the linear layers around a window attention read and
 * write through them, so tokens are never moved for it.
 *
 * E.g. a 3×3 grid with windows of 2 is padded to 4×4 and cut into 4 windows of 4 tokens:
 *
 *     0 1 2        0 1 · 3 4      2 − · 5 −
 *     3 4 5   →    ―――――――――      ―――――――――     −: padding, row −1
 *     6 7 8        6 7 · − −      8 − · − −
 *
 * partition = [0, 1, 3, 4,  2, −1, 5, −1,  6, 7, −1, −1,  8, −1, −1, −1]
 */
export interface Windows {
  /** windows that cover the grid */
  readonly count: number;
  /** side of a window, in tokens */
  readonly size: number;
  /** [count·size²] → token of the grid, or −1 where the grid was padded */
  readonly partition: Int32Array;
}

/** @source sam2/modeling/backbones/utils.py, window_partition */
export function windowPartition(H: number, W: number, size: number): Windows {
  const rows = Math.ceil(H / size);
  const columns = Math.ceil(W / size);
  const count = rows * columns;
  const partition = machine.heap.allocInt32(count * size * size);
  let i = 0;
  for (let window = 0; window < count; window++) {
    for (let dy = 0; dy < size; dy++) {
      for (let dx = 0; dx < size; dx++) {
        const y = Math.floor(window / columns) * size + dy;
        const x = (window % columns) * size + dx;
        partition[i++] = y < H && x < W ? y * W + x : -1;
      }
    }
  }
  return { count, size, partition };
}

/**
 * The reverse: for each token of the grid, its row in the windows.
 *
 * @shape  → [H·W]
 * @source sam2/modeling/backbones/utils.py, window_unpartition
 */
export function windowUnpartition(H: number, W: number, size: number): Int32Array {
  const columns = Math.ceil(W / size);
  const rows = machine.heap.allocInt32(H * W);
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const window = Math.floor(y / size) * columns + Math.floor(x / size);
      rows[y * W + x] = (window * size + (y % size)) * size + (x % size);
    }
  }
  return rows;
}
