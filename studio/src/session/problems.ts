/** Errors as a visitor is told of them. */

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The package's errors name a place, what was expected and what to do; a visitor wants a sentence. */
export function sentence(error: unknown): string {
  const { message } = error as Error;
  const isWord = /^[a-z]+[\s:]/.test(message); // and no name of a file
  const begun = isWord ? `${message.slice(0, 1).toUpperCase()}${message.slice(1)}` : message;
  return `${begun}${/[.!?]$/.test(message) ? "" : "."}`;
}
