import { EngineError, HeapError, ImageError, PromptError, QueueError, Sam2Error, UsageError } from "../errors.ts";

/** A request that gets no answer but this: its status, and the reason as JSON. */
export class Problem extends Sam2Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    [where, expected, got, todo]: readonly [where: string, expected: string, got: string, todo: string],
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(where, expected, got, todo);
    this.status = status;
    this.headers = headers;
  }

  static {
    this.prototype.name = "Problem";
  }
}

/** What a client that went away is noted as; nobody reads the answer. nginx has made the number known. */
export const CLIENT_GONE = 499;

/** `{"error": "where: expected …, got …; what to do", "type": "PromptError"}` */
export function problemResponse(error: unknown): Response {
  const { name, message } =
    error instanceof Sam2Error
      ? error
      : new Sam2Error("server", "no such error", "one of its own", "report it; the server's log says more");
  const headers = error instanceof Problem ? error.headers : {};
  return Response.json({ error: message, type: name }, { status: statusOf(error), headers });
}

function statusOf(error: unknown): number {
  if (error instanceof Problem) return error.status;
  if (error instanceof QueueError) return 503;
  if (error instanceof HeapError || error instanceof EngineError) return 500;
  const isOfRequest = error instanceof PromptError || error instanceof ImageError || error instanceof UsageError;
  return isOfRequest ? 422 : 500;
}
