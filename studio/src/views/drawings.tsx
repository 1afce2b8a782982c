import type { Desk } from "../state/desk.ts";
import type { Document } from "../state/document.ts";
import { Icon } from "./icons.tsx";

/** At the first visit: a picture, or a clip. */
export function Drawings({ desk, doc }: { desk: Desk; doc: Document }) {
  if (!doc.source?.isDrawn || doc.panel !== "objects") return null;
  const isClip = doc.source.kind === "video";
  return (
    <div class="drawings" data-used={doc.objects.length > 0} role="group" aria-label="Which drawing">
      <button type="button" aria-pressed={!isClip} onClick={() => isClip && desk.perform("openScene")}>
        Picture
      </button>
      <button type="button" aria-pressed={isClip} onClick={() => isClip || desk.perform("openClip")}>
        <Icon name="clip" /> Clip
      </button>
    </div>
  );
}
