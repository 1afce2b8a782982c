/** A value that changes, and those who want to know. */
export interface Store<T> {
  get(): T;
  set(value: T): void;
  /** @returns what ends it */
  subscribe(listen: () => void): () => void;
}

export function store<T>(value: T): Store<T> {
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const listen of [...listeners]) listen();
    },
    subscribe(listen) {
      listeners.add(listen);
      return () => listeners.delete(listen);
    },
  };
}
