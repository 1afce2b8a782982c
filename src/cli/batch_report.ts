import { Sam2Error } from "../errors.ts";
import type { Outcome } from "../jobs/run_jobs.ts";
import type { BatchSummary } from "../jobs/store.ts";
import { notify } from "../platform/notices.ts";
import { type Io, painter, type Status } from "./io.ts";

const EVERY_MS = 100;
/** Failures that are told at once; the others stand in failed.jsonl. */
const SHOWN = 5;

/** How far a batch is, for people and programs. */
export class BatchReport {
  readonly #title: string;
  readonly #total: number | undefined;
  readonly #io: Io;
  readonly #status: Status;
  readonly #isJson: boolean;
  readonly #isQuiet: boolean;
  readonly #counts = { computed: 0, before: 0, failed: 0, equal: 0 };
  readonly #began = performance.now();
  #shown = 0;

  constructor(
    title: string,
    total: number | undefined,
    io: Io,
    status: Status,
    { json, quiet }: { json?: boolean; quiet?: boolean },
  ) {
    this.#title = title;
    this.#total = total;
    this.#io = io;
    this.#status = status;
    this.#isJson = json ?? false;
    this.#isQuiet = quiet ?? false;
  }

  add(outcome: Outcome): void {
    const { id, state, where, ms } = outcome;
    const counts = this.#counts;
    if (state === "done") counts.computed++;
    else if (state === "failed") this.#tell(outcome.error, counts.failed++, "failures");
    else if (outcome.equal)
      this.#tell(`${where}: equal to an earlier job, ${id}: done once`, counts.equal++, "equal jobs");
    else counts.before++;
    if (this.#isJson) this.#io.stdout.write(`${JSON.stringify({ id, state, ms })}\n`);
    const now = performance.now();
    if (now - this.#shown < EVERY_MS) return;
    this.#shown = now;
    this.#status.show(this.#line(now));
  }

  /** @throws Sam2Error if some failed */
  end({ jobs, done, failed, equal, model }: BatchSummary, out: string): void {
    this.#status.clear();
    if (!this.#isJson && !this.#isQuiet) {
      const paint = painter(this.#io.stdout, this.#io.env);
      const { computed, before } = this.#counts;
      const seconds = (performance.now() - this.#began) / 1000;
      const rate = computed > 0 ? ` · ${Math.round((3600 * computed) / seconds)} an hour` : "";
      const same = equal > 0 ? ` · ${equal} equal to others` : "";
      const lines = [
        `${paint("bold", this.#title)}  ${jobs} jobs · SAM ${model.version} ${model.name}${rate}`,
        `  ${done} done${before > 0 ? ` (${before} before)` : ""} · ${failed} failed${same}`,
        `  written to ${paint("bold", out)}: <id>.json, batch.json, failed.jsonl${failed > 0 ? ", which says why" : ""}`,
      ];
      this.#io.stdout.write(`${lines.join("\n")}\n`);
    }
    if (failed === 0) return;
    const todo = `see ${out}/failed.jsonl; the same command tries them again`;
    throw new Sam2Error(this.#title, `${jobs} jobs done`, `${failed} failed`, todo);
  }

  /** The first of a kind one by one. */
  #tell(text: string, before: number, kind: string): void {
    if (before > SHOWN) return;
    this.#status.clear();
    notify(before < SHOWN ? text : `more ${kind} are not shown one by one`);
  }

  /** 312 of 500 · 4 failed · 3.1 a second · 1:02 left */
  #line(now: number): string {
    const { computed, before, failed, equal } = this.#counts;
    const done = computed + before + failed + equal;
    const of = this.#total === undefined ? "" : ` of ${this.#total}`;
    const rate = (computed + failed) / ((now - this.#began) / 1000);
    const parts = [`${done}${of}`, `${failed} failed`];
    if (rate > 0) parts.push(rate < 1 ? `${(1 / rate).toFixed(1)} s a job` : `${rate.toFixed(1)} a second`);
    if (rate > 0 && this.#total !== undefined) {
      const left = Math.round((this.#total - done) / rate);
      const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
      const two = (n: number) => String(n).padStart(2, "0");
      parts.push(`${h > 0 ? `${h}:${two(m)}` : m}:${two(s)} left`);
    }
    return parts.join(" · ");
  }
}
