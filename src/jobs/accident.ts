import { CheckpointError, ImageError, PromptError, Sam2Error, ShapeError, StateError, UsageError } from "../errors.ts";

/** What is wrong with the input, and will be wrong the next time. */
const FINAL = [ImageError, PromptError, UsageError, CheckpointError, StateError, ShapeError];
/** What the system says of paths and addresses that lead nowhere. */
const FINAL_CODES = new Set(
  "ENOENT EACCES EPERM EISDIR ENOTDIR ENAMETOOLONG ELOOP EINVAL ERR_INVALID_URL ERR_INVALID_ARG_VALUE".split(" "),
);
/** Of servers that may answer later. */
const LATER = [408, 425, 429];

/** Might the same job succeed if it is tried again? */
export function isAccident(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return !FINAL_CODES.has(code);
  const status = error instanceof Sam2Error ? error.httpStatus : undefined;
  if (status !== undefined) return status >= 500 || LATER.includes(status);
  return !FINAL.some((kind) => error instanceof kind);
}

/** The system's code, of the error or of one that caused it. */
function codeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === "string") return code;
  }
  return undefined;
}

/** Before the second attempt. */
export const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Before attempt `attempt + 1`: growing. */
export function pauseAfter(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
}
