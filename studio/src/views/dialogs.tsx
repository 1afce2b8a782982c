/** Help, models and ways to open a picture, in native dialogs. */
import { useEffect, useRef, useState } from "preact/hooks";
import { expectedTime, type NamedModel, MODELS, namedModel, SIZES, timed } from "../session/models.ts";
import type { Session } from "../session/session.ts";
import type { Status } from "../session/status.ts";
import { type Action, ACTIONS, type Group } from "../state/actions.ts";
import type { Desk } from "../state/desk.ts";
import type { Document } from "../state/document.ts";
import type { Opening } from "../media/opening.ts";
import type { Home } from "../take_home/home.ts";
import { Camera } from "./camera.tsx";
import { hasSizes, type Models } from "../session/kept_models.ts";
import { keyText } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";
import { Later } from "./later.tsx";
import { TakeHome } from "./take_home.tsx";
import { useStore } from "./use.ts";

interface Props {
  /** Files, an address or a camera's picture. */
  opening: Opening;
  desk: Desk;
  session: Session;
  models: Models;
  home: Home;
  doc: Document;
  status: Status;
}

export function Dialogs(props: Props) {
  const { dialog } = props.doc;
  if (dialog === "open") return <Open {...props} />;
  if (dialog === "help") return <Help desk={props.desk} />;
  if (dialog === "inside") return <Later load={inside} given={props} onFailed={() => missing(props)} />;
  if (dialog === "home") return <TakeHome {...props} />;
  if (dialog === "models") return <ModelList {...props} />;
  return null;
}

/** Loaded when it is first wanted. */
const inside = () => import("./inside.tsx").then(({ Inside }) => Inside);

function missing({ desk, session }: Props): void {
  desk.perform("dialog", { dialog: undefined });
  session.tell("problem", "A part of this page could not be loaded. Look again when you are online.");
}

function Open({ desk, opening }: Props) {
  const [hasCamera, setCamera] = useState(false);
  const address = useRef<HTMLInputElement>(null);
  return (
    <Dialog desk={desk} title="Open a picture or a video">
      {hasCamera ? (
        <Camera onTaken={(file) => void opening.take([file])} />
      ) : (
        <>
          <button type="button" class="place" autofocus onClick={() => desk.perform("choosePicture")}>
            <Icon name="open" />
            <strong>Choose a file</strong>
            <span class="quiet">
              a picture, a video or all frames of one, a project, masks (COCO); or drop it anywhere on this page
            </span>
          </button>
          <form
            class="address"
            onSubmit={(event) => {
              event.preventDefault();
              void opening.fromAddress(address.current!.value);
            }}
          >
            <input
              ref={address}
              type="text"
              required
              inputMode="url"
              aria-label="Address of a picture"
              placeholder="https://… address of a picture"
            />
            <button type="submit">Fetch</button>
          </form>
          <footer>
            <button type="button" onClick={() => setCamera(true)}>
              <Icon name="camera" /> Take a picture
            </button>
            <button type="button" onClick={() => void opening.camera()}>
              <Icon name="camera" /> Follow live
            </button>
            <button type="button" onClick={() => desk.perform("chooseFolder")}>
              <Icon name="clip" /> A folder of frames
            </button>
            <button type="button" onClick={() => void opening.drawing()}>
              The drawing
            </button>
            <button type="button" onClick={() => void opening.clip()}>
              The drawn clip
            </button>
          </footer>
        </>
      )}
    </Dialog>
  );
}

const POINTER: [keys: string, label: string][] = [
  ["Click", "Add what is under the pointer"],
  ["Right click, Alt", "Take away what is under the pointer"],
  ["Drag", "Draw a box; drag a point to move it"],
  ["Click a point", "Remove it"],
  ["Wheel, pinch", "Zoom"],
  ["Space + drag", "Move the view"],
  ["Arrows, Space", "Move a cross, click there"],
];

function Help({ desk }: { desk: Desk }) {
  const actions = Object.values(ACTIONS) as Action<never>[];
  const groups = [...new Set(actions.map(({ group }) => group))];
  const keyed = (group: Group) => actions.filter((one) => one.group === group && one.keys?.length);
  return (
    <Dialog desk={desk} title="All keys">
      <div class="keys">
        <section>
          <h3>Pointer</h3>
          <dl>
            {POINTER.map(([keys, label]) => (
              <div key={keys}>
                <dt>{keys}</dt>
                <dd>{label}</dd>
              </div>
            ))}
          </dl>
        </section>
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {keyed(group).map(({ label, keys }) => (
                <div key={label}>
                  <dt>
                    {keys!.map((key) => (
                      <kbd key={key}>{keyText(key)}</kbd>
                    ))}
                  </dt>
                  <dd>{label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p class="quiet">
        Pictures, masks and models stay on this machine: the page computes here, and its policy forbids it to send
        anything.
      </p>
    </Dialog>
  );
}

function ModelList({ desk, session, models, doc, status }: Props) {
  const kept = useStore(models.kept);
  const { model, coming, measured } = status;
  const own = [...kept].flatMap(([name, bytes]): NamedModel[] =>
    namedModel(name)
      ? []
      : [{ name, label: name, about: "Your checkpoint", megabytes: bytes / 1e6, work: 0, tracking: 0 }],
  );
  const [asks, setAsks] = useState<string>();
  const side = useStore(models.side);
  const what = timed(doc);
  useEffect(() => void models.refresh(), [model.name]);
  useEffect(() => void session.measure(), [model.state]);
  return (
    <Dialog desk={desk} title="Models">
      <p class="quiet">
        A larger model draws finer outlines and takes longer. It is downloaded once, and kept by this browser.
      </p>
      <fieldset class="sizes">
        <legend>
          Size at which they look at a {what}, and what {hasSizes(model) ? model.label : "Tiny"} takes here
        </legend>
        {SIZES.map((size) => (
          <label key={size.side}>
            <input
              type="radio"
              name="side"
              checked={size.side === side}
              disabled={coming !== undefined}
              onChange={() => void models.chooseSide(size.side)}
            />
            <span>
              <strong>{size.side}</strong> {size.about}
              <small>{expectedTime(hasSizes(model) ? model.name : "tiny", size.side, measured, what)}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <ul class="models">
        {[...MODELS, ...own].map((one) => {
          const isUsed = one.name === model.name && model.state === "ready";
          const isComing = one.name === coming?.name;
          const bytes = kept.get(one.name);
          return (
            <li key={one.name} class={isUsed ? "selected" : ""}>
              <div>
                <strong>{one.label}</strong>
                <span class="quiet">{one.about}</span>
                <span class="quiet figures">
                  {[
                    bytes
                      ? `${megabytes(bytes)} kept`
                      : one.name === "nano"
                        ? "comes with the page"
                        : `${one.megabytes} MB`,
                    expectedTime(one.name, side, measured, what),
                  ]
                    .filter(Boolean)
                    .join(" · ")}
                </span>
              </div>
              {isComing && <progress value={coming.fraction} aria-label={`${one.label} is on its way`} />}
              {bytes !== undefined && !isUsed && !isComing && (
                <button
                  type="button"
                  onClick={() => (asks === one.name ? void models.remove(one.name) : setAsks(one.name))}
                  onBlur={() => setAsks(undefined)}
                >
                  {asks === one.name ? `Delete ${megabytes(bytes)}?` : "Delete"}
                </button>
              )}
              <button
                type="button"
                class={isUsed ? "" : "filled"}
                disabled={isUsed || isComing}
                onClick={() => void models.use(one.name)}
              >
                {isUsed ? "In use" : isComing ? "Coming" : bytes || one.name === "nano" ? "Use" : "Get"}
              </button>
            </li>
          );
        })}
      </ul>
      <footer>
        <span class="quiet">Or a checkpoint of SAM 2, a fine-tune too: drop the .pt or .safetensors file here.</span>
        <button type="button" onClick={() => desk.perform("chooseModel")}>
          Choose a file
        </button>
      </footer>
    </Dialog>
  );
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
