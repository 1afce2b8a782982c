import type { Session } from "../session/session.ts";
import type { Status } from "../session/status.ts";
import type { Desk } from "../state/desk.ts";
import type { Document } from "../state/document.ts";
import type { History } from "../state/history.ts";
import { ActionButton } from "./button.tsx";
import { Icon } from "./icons.tsx";

interface Props {
  desk: Desk;
  session: Session;
  doc: Document;
  history: History;
  status: Status;
}

export function TopBar({ desk, doc, history, status }: Props) {
  const shared = { desk, doc };
  return (
    <header class="top">
      <h1>
        <img src={ICON.href} alt="" width="24" height="24" />
        <span>SAM 2 Studio</span>
      </h1>
      <ActionButton {...shared} name="openDialog" icon="open" text="Open" class="open" />
      <div class="group" role="toolbar" aria-label="Tools">
        <ActionButton {...shared} name="toolClick" icon="click" isPressed={doc.tool === "click"} />
        <ActionButton {...shared} name="toolAdd" icon="brush" isPressed={doc.tool === "add"} />
        <ActionButton {...shared} name="toolErase" icon="eraser" isPressed={doc.tool === "erase"} />
        <ActionButton {...shared} name="toolPan" icon="hand" isPressed={doc.tool === "pan"} />
      </div>
      <div class="group" role="group" aria-label="What a click says">
        <button
          type="button"
          class="sign"
          role="switch"
          aria-checked={doc.label === 0}
          aria-label="Clicks take away"
          title="Clicks add or take away (X)"
          onClick={() => desk.perform("flipLabel")}
        >
          <Icon name={doc.label === 1 ? "plus" : "minus"} />
          <span>{doc.label === 1 ? "Add" : "Take away"}</span>
        </button>
      </div>
      <div class="group">
        <ActionButton {...shared} name="undo" icon="undo" isDisabled={history.past.length === 0} />
        <ActionButton {...shared} name="redo" icon="redo" isDisabled={history.future.length === 0} />
      </div>
      <ActionButton
        {...shared}
        name="findEverything"
        icon="everything"
        text="Everything"
        class="all"
        isDisabled={status.picture !== "ready" || doc.panel === "everything"}
      />
      <span class="space" />
      <ActionButton {...shared} name="takeHome" icon="save" text="Take home" class="home" />
      <ModelChip desk={desk} status={status} />
      <ActionButton {...shared} name="help" icon="help" />
    </header>
  );
}

const ICON = new URL("../icon.svg", import.meta.url);

function ModelChip({ desk, status }: { desk: Desk; status: Status }) {
  const { model, coming } = status;
  const isNew = coming && coming.name !== model.name;
  const percent = coming?.fraction === undefined ? "" : ` ${Math.round(100 * coming.fraction)} %`;
  const text = coming ? `${coming.label}${percent}` : model.state === "failed" ? "No model" : model.label;
  return (
    <button
      type="button"
      class={`chip ${coming ? "busy" : model.state}`}
      aria-label={`Model: ${text}${isNew ? " is on its way" : ""}`}
      title={`${text} (M: choose a model)`}
      onClick={() => desk.perform("models")}
    >
      <span class="dot" />
      {text}
    </button>
  );
}
