import type { Progress } from "../predict/progress.ts";
import { bar, type Status } from "./io.ts";
import { tenths } from "./stopwatch.ts";

const EVERY_MS = 100;

/** photo.jpg  decode  ███████░░░░░  58 %  12 s left; and how long each stage took. */
export class GenerateProgress {
  readonly #status: Status;
  readonly #title: string;
  readonly #ms = { encode: 0, predict: 0 };
  #last = 0;
  #shown = 0;

  constructor(status: Status, title: string) {
    this.#status = status;
    this.#title = title;
  }

  begin(): void {
    this.#last = performance.now();
  }

  /** Called as often as the generator likes. The time since the last call belongs to the stage that it tells of. */
  readonly follow = ({ stage, fraction = 0 }: Progress): void => {
    const now = performance.now();
    const isDecoding = stage === "decode";
    this.#ms[isDecoding ? "predict" : "encode"] += now - this.#last;
    this.#last = now;
    if (now - this.#shown < EVERY_MS) return;
    this.#shown = now;
    const left = isDecoding ? `  ${duration((this.#ms.predict * (1 - fraction)) / fraction)} left` : "";
    this.#status.show(`${this.#title}  ${stage}  ${bar(fraction)}${left}`);
  };

  /** Milliseconds of each stage; what comes after the last point belongs to it. */
  end(): { encode: number; predict: number } {
    this.follow({ stage: "decode", fraction: 1 });
    return { encode: tenths(this.#ms.encode), predict: tenths(this.#ms.predict) };
  }
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 100 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
