/** How long a test waits for what must come, ms: the machine may be busy with other tests. */
export const PATIENCE_MS = 120_000;

/** Wait until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
