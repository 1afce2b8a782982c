import type { Media } from "../media/media.ts";
import type { Desk } from "../state/desk.ts";
import { keep } from "./keep.ts";
import { Latest } from "./latest.ts";

/** After the last change, until it is kept. */
const KEEP_MS = 400;

interface Surroundings {
  desk: Desk;
  /** of the document's source */
  media(): Media | undefined;
  notice(text: string): void;
}

/** @returns what is called after each change of the document, so that it is kept soon */
export function keeper({ desk, media, notice }: Surroundings): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** the source that is known not to be kept: it is told of once */
  let unkept = "";
  const keeping = new Latest<void>(async () => {
    const opened = media();
    if (!opened) return;
    const { id } = opened.source;
    try {
      await keep(desk.doc, opened);
      unkept = "";
    } catch (error) {
      if (unkept === id || desk.doc.objects.length === 0) return;
      notice((error as Error).message);
      unkept = id;
    }
  });
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => void keeping.ask(), KEEP_MS);
  };
}
