/** Say how many tests of `what` cannot run on this machine and why; the runner counts them as skipped. */
export function leaveOut(what: string, why: string, tests = 1): void {
  console.log(`${what}: ${tests} left out, because ${why}\n  Skipped:   ${tests}`);
}
