import * as errors from "../errors.ts";

/** Errors lose their class on the way: structured cloning knows the language's own alone. */
export interface PackedError {
  name: string;
  message: string;
  stack?: string;
  cause?: PackedError;
  httpStatus?: number;
}

export function packError(error: unknown): PackedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause, httpStatus } = error as errors.Sam2Error;
  return { name, message, stack, cause: cause === undefined ? undefined : packError(cause), httpStatus };
}

export function unpackError({ name, message, stack, cause, httpStatus }: PackedError): Error {
  const error = new Error(message, cause && { cause: unpackError(cause) });
  const known = (errors as Record<string, { prototype: Error } | undefined>)[name];
  if (known) Object.setPrototypeOf(error, known.prototype);
  return Object.assign(error, { name, stack }, httpStatus !== undefined && { httpStatus });
}
