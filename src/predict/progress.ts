/** How far a call has come. */
export interface Progress {
  /** what is going on */
  stage: "download" | "load" | "encode" | "decode";
  /** 0…1 of the bytes, the weights, the multiply-adds or the points; undefined if a server does not tell how long its file is */
  fraction: number | undefined;
}

/** Options of calls of which the caller may want to know how far they have come. */
export interface Followed {
  /** ends the call within one layer: it rejects with the reason of the signal */
  signal?: AbortSignal;
  /** called now and then while the call goes on */
  onProgress?: (progress: Progress) => void;
}
