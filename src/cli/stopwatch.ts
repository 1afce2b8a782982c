/** Milliseconds to a tenth. */
export const tenths = (ms: number) => Math.round(ms * 10) / 10;

/** Milliseconds since the lap before, and since the start. */
export function stopwatch() {
  const start = performance.now();
  let last = start;
  return {
    lap(): number {
      const now = performance.now();
      const ms = tenths(now - last);
      last = now;
      return ms;
    },
    total: () => tenths(performance.now() - start),
  };
}
