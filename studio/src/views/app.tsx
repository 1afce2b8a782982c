import { useEffect } from "preact/hooks";
import type { Opening } from "../media/opening.ts";
import type { Home } from "../take_home/home.ts";
import type { Models } from "../session/kept_models.ts";
import type { Session } from "../session/session.ts";
import { actionOfKey, keyOfEvent } from "../state/actions.ts";
import type { Desk } from "../state/desk.ts";
import { ActionButton } from "./button.tsx";
import { Dialogs } from "./dialogs.tsx";
import { Drawings } from "./drawings.tsx";
import { EverythingPanel } from "./everything.tsx";
import { Overlays } from "./hint.tsx";
import { Objects } from "./objects.tsx";
import { Stage } from "./stage.tsx";
import { Timeline } from "./timeline.tsx";
import { TopBar } from "./top_bar.tsx";
import { useStore } from "./use.ts";

interface Props {
  desk: Desk;
  session: Session;
  models: Models;
  opening: Opening;
  home: Home;
}

export function App(given: Props) {
  const { desk, session } = given;
  const history = useStore(desk.history);
  const status = useStore(session.status);
  const { text } = useStore(desk.said);
  const doc = history.present;
  useEffect(() => onKeys(desk), []);
  const props = { ...given, doc, status };
  return (
    <>
      <TopBar {...props} history={history} />
      <main>
        <Stage desk={desk} session={session} doc={doc} />
        <Overlays {...props} />
        <Drawings desk={desk} doc={doc} />
      </main>
      {doc.source?.kind === "video" && <Timeline {...props} />}
      <aside aria-label="What was made">
        {doc.panel === "everything" ? <EverythingPanel {...props} /> : <Objects desk={desk} doc={doc} />}
        <footer>
          <p class="privacy quiet">
            Nothing leaves this machine.
            {status.threads === 1 && status.model.state === "ready" && " It computes on one thread here."}
          </p>
          <ActionButton desk={desk} doc={doc} name="lookInside" icon="layers" />
        </footer>
      </aside>
      <div class="unseen" aria-live="polite">
        {text}
      </div>
      <Dialogs {...props} />
    </>
  );
}

/** Keys of the table of actions, but where text is typed or a control needs the key itself. */
function onKeys(desk: Desk): () => void {
  const listen = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    const isText = target.matches("input:not([type=range]), textarea, [contenteditable]");
    const isControl =
      target.matches("button, input, a, summary") &&
      ["Enter", " ", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key);
    if (isText || isControl || event.defaultPrevented) return;
    const isOpen = desk.doc.dialog !== undefined;
    const name = actionOfKey(keyOfEvent(event), desk.doc);
    if (!name || (isOpen && name !== "help")) return; // Escape closes a dialog by itself
    if (name === "copyCutout" && getSelection()?.toString()) return;
    event.preventDefault();
    desk.perform(name);
  };
  addEventListener("keydown", listen);
  return () => removeEventListener("keydown", listen);
}
