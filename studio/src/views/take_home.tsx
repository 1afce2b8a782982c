/** What can be taken home, in a dialog: one file at a time is made, with progress. */
import type { Desk } from "../state/desk.ts";
import type { Document } from "../state/document.ts";
import type { Home, Taking } from "../take_home/home.ts";
import { KINDS, type KindName, kindsOf, lackOf, type Section } from "../take_home/kinds.ts";
import { shownObjects } from "../take_home/shown.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";
import { useStore } from "./use.ts";

interface Props {
  desk: Desk;
  doc: Document;
  home: Home;
}

export function TakeHome({ desk, doc, home }: Props) {
  const taking = useStore(home.taking);
  const kinds = kindsOf(doc);
  const sections = [...new Set(kinds.map((name) => KINDS[name].section))];
  return (
    <Dialog desk={desk} title="Take home">
      <p class="quiet">{whatGoes(doc)}</p>
      {sections.map((section) => (
        <section key={section} class="home-section">
          <h3>{titleOf(section, doc)}</h3>
          <ul>
            {kinds
              .filter((name) => KINDS[name].section === section)
              .map((name) => (
                <Row
                  key={name}
                  name={name}
                  lack={lackOf(name, doc)}
                  taking={taking?.kind === name ? taking : undefined}
                  home={home}
                />
              ))}
          </ul>
        </section>
      ))}
    </Dialog>
  );
}

function Row({
  name,
  lack,
  taking,
  home,
}: {
  name: KindName;
  lack: string | undefined;
  taking: Taking | undefined;
  home: Home;
}) {
  const { label, about, format } = KINDS[name];
  const isMaking = taking?.state === "making";
  return (
    <li>
      <button
        type="button"
        class="kind"
        title={lack}
        disabled={lack !== undefined}
        aria-busy={isMaking}
        onClick={() => void home.take(name)}
      >
        <span class="what">
          <strong>{label}</strong>
          <span class="quiet">{about}</span>
        </span>
        <span class="format">{format}</span>
        <Icon name={taking?.state === "done" ? "check" : "save"} />
      </button>
      {isMaking && (
        <div class="making">
          <progress value={taking.fraction} aria-label={`${label} (${format}) is being made`} />
          <button type="button" onClick={() => home.stop()}>
            Stop
          </button>
        </div>
      )}
      {taking?.state === "done" && <p class="quiet">{taking.text}</p>}
      {taking?.state === "failed" && <p class="bad">{taking.text}</p>}
    </li>
  );
}

function titleOf(section: Section, { source, frame }: Document): string {
  if (section !== "Pictures") return section;
  return source?.kind === "video" ? `Pictures of frame ${frame + 1}` : section;
}

/** Who goes along, and who stays. */
function whatGoes(doc: Document): string {
  const all = doc.objects.length;
  const shown = shownObjects(doc).length;
  if (all === 0) return "Click an object first; a project can be saved at any time.";
  const hidden = doc.objects.filter(({ visible }) => !visible).length;
  const goes = `${shown} ${shown === 1 ? "object goes" : "objects go"} along`;
  return hidden > 0 ? `${goes}; ${hidden} that ${hidden === 1 ? "is" : "are"} hidden only into projects.` : `${goes}.`;
}
