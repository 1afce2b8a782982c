/** Numbers that an exported operator kernel takes: addresses, sizes, strides in bytes, f32 scalars. */
export type Args = readonly number[];

/**
 * Run tiles [0, tiles) of an exported kernel `(…args, scratch, from, to)`. A tile computes its outputs whole and in one
 * order, so how tiles are split never changes a bit.
 */
export type ParallelFor = (kernel: string, tiles: number, args: Args) => void;

/** Room for one thread's packing and accumulators. */
export const SCRATCH_BYTES = 1 << 20;

/** All tiles on the calling thread. */
export function oneThread(exports: WebAssembly.Exports, scratch: number): ParallelFor {
  return (kernel, tiles, args) => {
    if (tiles > 0) (exports[kernel] as (...args: number[]) => void)(...args, scratch, 0, tiles);
  };
}
