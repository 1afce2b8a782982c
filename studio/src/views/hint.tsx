/** The one line that says what to do next, and what lies over the stage with it: candidates, problems, the offer of models. */
import type { Models } from "../session/kept_models.ts";
import { expectedTime, namedModel, timed } from "../session/models.ts";
import type { Session } from "../session/session.ts";
import type { Status } from "../session/status.ts";
import type { Desk } from "../state/desk.ts";
import { appearanceOf, type Document, selectedObject } from "../state/document.ts";
import { Icon } from "./icons.tsx";
import { useStore } from "./use.ts";

interface Props {
  desk: Desk;
  session: Session;
  models: Models;
  doc: Document;
  status: Status;
}

export function Overlays(props: Props) {
  const { session, doc, status } = props;
  const { problem, notice } = status;
  return (
    <div class="overlays">
      {problem && <Message kind="problem" text={problem} onClose={() => session.clear("problem")} />}
      {!problem && notice && <Message kind="notice" text={notice} onClose={() => session.clear("notice")} />}
      {status.offersModels && doc.source && !doc.source.isDrawn && <Offer {...props} />}
      <Candidates {...props} />
      <p class="hint" id="hint">
        {status.picture === "looking" || status.picture === "opening" ? (
          <Looking status={status} />
        ) : (
          hintOf(doc, status)
        )}
      </p>
    </div>
  );
}

function Looking({ status: { fraction, model } }: { status: Status }) {
  if (model.state === "loading") return <>The model is being loaded …</>;
  return (
    <>
      Looking at the picture …
      <progress value={fraction} aria-label="Looking at the picture" />
    </>
  );
}

function hintOf(doc: Document, status: Status): string {
  const { model, everything, picture } = status;
  if (!doc.source) return "Drop a picture here, paste one, or open a file.";
  if (model.state === "failed") return "There is no model. Choose one, or drop a checkpoint here.";
  if (model.state === "loading") return "The model is being loaded …";
  if (picture !== "ready") return "The model could not look at this picture. Click to try again.";
  if (doc.panel === "everything") {
    return everything.state === "ready" ? "Point at something, click to keep it." : "You can stop at any time.";
  }
  const object = selectedObject(doc);
  if (doc.source.kind === "camera") {
    if (doc.objects.length > 0) return "Click again to correct it, or another thing to follow it too. Esc stops.";
    return "Click a thing to follow it.";
  }
  if (status.tracking) return "Following. Stop at any time, and correct what is wrong.";
  if (object?.locked) return `${object.name} is locked.`;
  if (doc.tool === "pan") return "Drag to move the picture.";
  if (doc.tool === "add") return object ? "Paint what is missing. [ and ] change the brush." : "Paint a new object.";
  if (doc.tool === "erase")
    return object ? "Paint over what is too much." : "Select an object first, then paint over what is too much.";
  if (doc.label === 0) return "Click what does not belong to it.";
  if (object && doc.source.kind === "video" && !doc.run) {
    return isTouch ? "Tap to add to it. Then track it." : "Click to add, right click to take away. Then track it.";
  }
  if (object) {
    return isTouch
      ? "Tap to add; the plus above switches to taking away."
      : "Click to add, right click to take away. Enter for the next object.";
  }
  if (doc.objects.length > 0) return "Click the next thing, or one in the list to change it.";
  if (doc.source.kind === "video") return "Go to any frame, click a thing, and track it through the video.";
  return doc.source.isDrawn
    ? "Point at something and click. Or drop your own picture here."
    : "Point at something and click, or drag a box around it.";
}

const isTouch = matchMedia("(pointer: coarse)").matches;

/** The masks of an ambiguous click. */
function Candidates({ desk, doc }: Props) {
  const found = appearanceOf(selectedObject(doc), doc.frame)?.found;
  if (!found || found.masks.length < 2 || doc.panel === "everything") return null;
  return (
    <div class="candidates" role="radiogroup" aria-label="Which mask is meant">
      {found.scores.map((score, index) => (
        <button
          key={index}
          type="button"
          role="radio"
          aria-checked={index === found.choice}
          title={`Mask ${index + 1} (${index + 1})`}
          onClick={() => desk.perform((["choose1", "choose2", "choose3"] as const)[index])}
        >
          <kbd>{index + 1}</kbd>
          {Math.round(100 * score)} %
        </button>
      ))}
    </div>
  );
}

function Message({ kind, text, onClose }: { kind: "problem" | "notice"; text: string; onClose(): void }) {
  return (
    <div class={`message ${kind}`} role={kind === "problem" ? "alert" : "status"}>
      <span>{text}</span>
      <button type="button" class="square" aria-label="Close" onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** At the first photo: nano has seen drawings only. Asked once. */
function Offer({ session, models, doc, status }: Props) {
  const side = useStore(models.side);
  const answer = (name?: string) => {
    session.answerOffer();
    if (name) void models.use(name);
  };
  return (
    <div class="message offer" role="status">
      <span>nano has seen drawings only. For photos get</span>
      {["edgetam", "tiny"].map((name) => {
        const model = namedModel(name)!;
        const time = expectedTime(name, side, status.measured, timed(doc));
        return (
          <button key={name} type="button" class="filled" onClick={() => answer(name)}>
            {model.label}
            <small>{[`${model.megabytes} MB`, time].filter(Boolean).join(", ")}</small>
          </button>
        );
      })}
      <button type="button" onClick={() => answer()}>
        Not now
      </button>
    </div>
  );
}
