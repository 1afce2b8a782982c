/** Everything in the picture, found at once: progress, thresholds that answer while they are moved, and what was found. */
import type { Session } from "../session/session.ts";
import type { Status } from "../session/status.ts";
import type { Desk } from "../state/desk.ts";
import type { Document, Thresholds } from "../state/document.ts";
import { ActionButton } from "./button.tsx";

interface Props {
  desk: Desk;
  session: Session;
  doc: Document;
  status: Status;
}

const SLIDERS: { name: keyof Thresholds; label: string; about: string; max: number }[] = [
  { name: "predIouThresh", label: "Sure", about: "how good the model expects a mask to be, at least", max: 1 },
  { name: "stabilityScoreThresh", label: "Clear", about: "how clear the outline is, at least", max: 1 },
  { name: "boxNmsThresh", label: "Overlap", about: "how much masks may overlap", max: 1 },
];

export function EverythingPanel({ desk, session, doc, status }: Props) {
  const { state, fraction, records, pointed } = status.everything;
  return (
    <section class="everything" aria-label="Everything">
      <header>
        <h2>Everything</h2>
        <ActionButton desk={desk} doc={doc} name="leaveEverything" text={state === "running" ? "Stop" : "Done"} />
      </header>
      {state === "running" && (
        <>
          <p>Looking for everything in the picture …</p>
          <progress value={fraction} aria-label="Looking for everything" />
        </>
      )}
      {state === "none" && (
        <>
          <p class="quiet">It was stopped before the end.</p>
          <ActionButton desk={desk} doc={doc} name="findEverything" text="Look again" class="filled" />
        </>
      )}
      {state === "ready" && (
        <>
          <p class="found">
            <strong>{records.length}</strong> {records.length === 1 ? "mask" : "masks"}. Click one to keep it as an
            object.
          </p>
          {SLIDERS.map(({ name, label, about, max }) => (
            <label key={name} class="slider" title={about}>
              <span>
                {label}
                <output>{Math.round(100 * doc.thresholds[name])} %</output>
              </span>
              <input
                type="range"
                min="0"
                max={max}
                step="0.01"
                value={doc.thresholds[name]}
                aria-label={`${label}: ${about}`}
                onInput={(event) => desk.perform("threshold", { [name]: Number(event.currentTarget.value) })}
              />
            </label>
          ))}
          <p class="quiet">
            {pointed === undefined
              ? `Kept so far: ${doc.objects.length}.`
              : `Expected quality ${Math.round(100 * records[pointed].predictedIou)} %, ${records[pointed].area} pixels.`}
          </p>
          <button type="button" onClick={() => session.takeAll()} disabled={records.length === 0}>
            Keep all of them
          </button>
        </>
      )}
    </section>
  );
}
