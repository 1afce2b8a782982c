/** Frame numbers as runs [first, last], in order and with gaps between: one pass through a video is one run. */
export class FrameSet {
  readonly #runs: [first: number, last: number][];

  constructor(runs: Iterable<readonly [first: number, last: number]> = []) {
    this.#runs = Array.from(runs, ([first, last]) => [first, last]);
  }

  get runs(): readonly (readonly [first: number, last: number])[] {
    return this.#runs;
  }

  has(frame: number): boolean {
    return this.#runs.some(([first, last]) => first <= frame && frame <= last);
  }

  add(frame: number): void {
    if (this.has(frame)) return;
    const before = this.#runs.findIndex(([, last]) => last === frame - 1);
    const after = this.#runs.findIndex(([first]) => first === frame + 1);
    if (before >= 0 && after >= 0) {
      this.#runs[before][1] = this.#runs[after][1];
      this.#runs.splice(after, 1);
    } else if (before >= 0) {
      this.#runs[before][1] = frame;
    } else if (after >= 0) {
      this.#runs[after][0] = frame;
    } else {
      const at = this.#runs.findIndex(([first]) => first > frame);
      this.#runs.splice(at < 0 ? this.#runs.length : at, 0, [frame, frame]);
    }
  }

  delete(frame: number): void {
    const at = this.#runs.findIndex(([first, last]) => first <= frame && frame <= last);
    if (at < 0) return;
    const [first, last] = this.#runs[at];
    const left: [number, number][] = first < frame ? [[first, frame - 1]] : [];
    const right: [number, number][] = frame < last ? [[frame + 1, last]] : [];
    this.#runs.splice(at, 1, ...left, ...right);
  }
}
