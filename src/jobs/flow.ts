// Streams of work, of bounded width.

type Source<T> = AsyncIterable<T> | Iterable<T>;

/** What `make` makes of each item, in their order; at most `width` are under way. */
export async function* mapAhead<T, R>(
  source: Source<T>,
  width: number,
  make: (item: T, index: number) => Promise<R>,
): AsyncGenerator<R> {
  const ahead: Promise<R>[] = [];
  let index = 0;
  for await (const item of source) {
    const made = make(item, index++);
    made.catch(() => {}); // told when it is its turn
    ahead.push(made);
    if (ahead.length >= width) yield await ahead.shift()!;
  }
  for (const made of ahead) yield await made;
}

/** The same in the order in which they end. */
export async function* mapUnordered<T, R>(
  source: Source<T>,
  width: number,
  make: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const items = (async function* () {
    yield* source;
  })();
  type Event = { made: R; n: number } | { item: IteratorResult<T> };
  const running = new Map<number, Promise<Event>>();
  let next: Promise<Event> | undefined;
  let [n, ended] = [0, false];
  const pull = () => items.next().then((item) => ({ item }));
  while (!ended || running.size > 0) {
    if (!ended && !next && running.size < width) next = pull();
    const event = await Promise.race([...running.values(), ...(next ? [next] : [])]);
    if ("made" in event) {
      running.delete(event.n);
      yield event.made;
      continue;
    }
    next = undefined;
    if (event.item.done) {
      ended = true;
      continue;
    }
    const id = n++;
    const made = make(event.item.value).then((made) => ({ made, n: id }));
    made.catch(() => {}); // the race tells
    running.set(id, made);
  }
}
