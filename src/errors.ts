/**
 * Every error the package throws on purpose: `where: expected X, got Y; what to do`.
 * An aborted call rejects with the signal's own reason instead.
 */
export class Sam2Error extends Error {
  /** with which a server refused, if one did */
  readonly httpStatus?: number;

  /** The four parts of the message, and the error that caused this one. */
  constructor(
    where: string,
    expected: string,
    got: string,
    todo: string,
    options: ErrorOptions & { httpStatus?: number } = {},
  ) {
    super(oneLine(`${where}: expected ${expected}, got ${got}; ${todo}`), options);
    if (options.httpStatus !== undefined) this.httpStatus = options.httpStatus;
  }

  // Written out, here and below: minifiers rename classes.
  static {
    this.prototype.name = "Sam2Error";
  }
}

/** A tensor of another shape than the operation takes. */
export class ShapeError extends Sam2Error {
  static {
    this.prototype.name = "ShapeError";
  }
}

/** The WebAssembly memory is exhausted, or may not grow. */
export class HeapError extends Sam2Error {
  static {
    this.prototype.name = "HeapError";
  }
}

/** A checkpoint that is damaged, hostile, incomplete, or of another architecture. */
export class CheckpointError extends Sam2Error {
  static {
    this.prototype.name = "CheckpointError";
  }
}

/** Image bytes or pixels that cannot be used. */
export class ImageError extends Sam2Error {
  static {
    this.prototype.name = "ImageError";
  }
}

/** Points, boxes, labels or masks that do not describe a prompt. */
export class PromptError extends Sam2Error {
  static {
    this.prototype.name = "PromptError";
  }
}

/** A predictor called out of order, or with options that contradict each other. */
export class UsageError extends Sam2Error {
  static {
    this.prototype.name = "UsageError";
  }
}

/** An engine whose worker or helper threads died, trapped or were disposed of. A new one gives the same results. */
export class EngineError extends Sam2Error {
  static {
    this.prototype.name = "EngineError";
  }
}

/** More calls wait for an engine than it takes. */
export class QueueError extends Sam2Error {
  static {
    this.prototype.name = "QueueError";
  }
}

/** Names out of foreign files may hold line breaks and escape sequences. */
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "\ufffd");
}

/** A saved tracking state that is damaged, or was saved by another version, model or run. */
export class StateError extends Sam2Error {
  static {
    this.prototype.name = "StateError";
  }
}
