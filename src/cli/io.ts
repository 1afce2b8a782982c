import { styleText } from "node:util";

/** Exit codes after Ctrl-C, and after a request to end. */
export const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 };

/** Why a command is to end. */
export class Interruption extends Error {
  readonly signal: keyof typeof EXIT_CODES;

  constructor(signal: keyof typeof EXIT_CODES) {
    super(signal === "SIGINT" ? "interrupted" : "ended by SIGTERM");
    this.signal = signal;
  }
}

/** A stream that text is written to. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What a command has from the process that runs it. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C or SIGTERM, with an Interruption as reason. */
  readonly signal: AbortSignal;
}

export type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

/** Does this stream show colours? NO_COLOR says no, as no-color.org describes. */
export function hasColours(output: Output, env: Io["env"]): boolean {
  return Boolean(output.isTTY) && !env.NO_COLOR && env.TERM !== "dumb";
}

/** Styles text for a terminal, and leaves it plain elsewhere. */
export function painter(output: Output, env: Io["env"]): Paint {
  return hasColours(output, env)
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_, text) => text;
}

/** One line on stderr that rewrites itself. Shown by terminals alone. */
export class Status {
  readonly #output?: Output;

  constructor({ stderr }: Io, quiet = false) {
    if (stderr.isTTY && !quiet) this.#output = stderr;
  }

  show(text: string): void {
    this.#output?.write(`\r\x1b[K${text.slice(0, (this.#output.columns ?? 80) - 1)}`);
  }

  clear(): void {
    this.#output?.write("\r\x1b[K");
  }
}

/** 8.2 MB, 156 MB. */
export function megabytes(bytes: number): string {
  const mb = bytes / 1e6;
  return `${mb < 10 ? mb.toFixed(1) : Math.round(mb)} MB`;
}

const WIDTH = 24;

/** ███████░░░░░  58 % */
export function bar(fraction: number): string {
  const filled = Math.round(WIDTH * Math.min(1, fraction));
  return `${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} ${String(Math.floor(100 * fraction)).padStart(3)} %`;
}

/** sam2.1_hiera_tiny.pt  ███████░░░░░  58 %  91 of 156 MB  12.3 MB/s  5 s left */
export function progressBar(file: string, status: Status) {
  let first: { time: number; bytes: number } | undefined;
  let shown = 0;
  return (received: number, total: number | undefined): void => {
    const now = performance.now();
    first ??= { time: now, bytes: received };
    if (now - shown < 100 && received !== total) return;
    shown = now;
    if (total === undefined) {
      status.show(`${file}  ${megabytes(received)}`);
      return;
    }
    const rate = (received - first.bytes) / Math.max(1, now - first.time); // bytes per ms
    const left = rate > 0 ? `${Math.ceil((total - received) / rate / 1000)} s left` : "";
    status.show(
      `${file}  ${bar(received / total)}  ${megabytes(received)} of ${megabytes(total)}  ${(rate / 1000).toFixed(1)} MB/s  ${left}`,
    );
  };
}
