/** The list of objects, the first on top. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Desk } from "../state/desk.ts";
import { COLOURS, colourOf, type Document, partsOf, type StudioObject } from "../state/document.ts";
import { ActionButton } from "./button.tsx";
import { Icon } from "./icons.tsx";

interface Props {
  desk: Desk;
  doc: Document;
}

export function Objects({ desk, doc }: Props) {
  const { objects, selected } = doc;
  return (
    <section class="objects" aria-label="Objects">
      <header>
        <h2>Objects</h2>
        {objects.length > 0 && <ActionButton desk={desk} doc={doc} name="newObject" icon="next" text="Next object" />}
      </header>
      {objects.length === 0 && <p class="quiet">What you click in the picture is listed here.</p>}
      <ul>
        {objects.map((object, index) => (
          <Row
            key={object.id}
            desk={desk}
            doc={doc}
            object={object}
            isFirst={index === 0}
            isLast={index === objects.length - 1}
          />
        ))}
      </ul>
      {selected !== undefined && (
        <footer>
          <ActionButton desk={desk} doc={doc} name="saveCutout" icon="save" text="Save cut-out" class="filled" />
          <ActionButton desk={desk} doc={doc} name="copyCutout" icon="copy" text="Copy" />
        </footer>
      )}
    </section>
  );
}

function Row({
  desk,
  doc,
  object,
  isFirst,
  isLast,
}: Props & { object: StudioObject; isFirst: boolean; isLast: boolean }) {
  const { id, name, visible, locked } = object;
  const isSelected = doc.selected === id;
  const [isEditing, setEditing] = useState(false);
  const hasMask = partsOf(object.on[doc.frame] ?? {}) !== undefined;
  return (
    <li class={isSelected ? "row selected" : "row"} data-hidden={!visible}>
      <div class="line">
        <button
          type="button"
          class="swatch"
          style={{ "--colour": colourOf(object) }}
          title="Another colour"
          aria-label={`${name} is ${COLOURS[object.colour].name}; take the next colour`}
          onClick={() => desk.perform("recolour", { id })}
        />
        {isEditing ? (
          <Name
            name={name}
            onDone={(given) => {
              setEditing(false);
              if (given !== undefined) desk.perform("rename", { id, name: given });
            }}
          />
        ) : (
          <button
            type="button"
            class="name"
            aria-current={isSelected}
            title={`${name} (double click to rename)`}
            onClick={() => desk.perform("select", { id: desk.doc.selected === id ? undefined : id })}
            onDblClick={() => setEditing(true)}
            onKeyDown={(event) => {
              if (event.key === "F2") setEditing(true);
            }}
          >
            {name}
            {!hasMask && <span class="quiet"> …</span>}
          </button>
        )}
        <Toggle
          label={visible ? `Hide ${name}` : `Show ${name}`}
          icon={visible ? "eye" : "hidden"}
          isQuiet={visible}
          onClick={() => desk.perform("toggleVisible", { id })}
        />
        <Toggle
          label={locked ? `Unlock ${name}` : `Lock ${name}`}
          icon={locked ? "lock" : "unlocked"}
          isQuiet={!locked}
          onClick={() => desk.perform("toggleLocked", { id })}
        />
      </div>
      {isSelected && (
        <div class="line more">
          <button type="button" onClick={() => setEditing(true)}>
            Rename
          </button>
          <span class="space" />
          <Toggle label="Move up" icon="up" isDisabled={isFirst} onClick={() => desk.perform("moveUp", { id })} />
          <Toggle label="Move down" icon="down" isDisabled={isLast} onClick={() => desk.perform("moveDown", { id })} />
          <Toggle
            label={`Delete ${name}`}
            icon="trash"
            isDisabled={locked}
            onClick={() => desk.perform("remove", { id })}
          />
        </div>
      )}
    </li>
  );
}

interface ToggleProps {
  label: string;
  icon: Parameters<typeof Icon>[0]["name"];
  isQuiet?: boolean;
  isDisabled?: boolean;
  onClick(): void;
}

function Toggle({ label, icon, isQuiet, isDisabled, onClick }: ToggleProps) {
  return (
    <button
      type="button"
      class={isQuiet ? "square faint" : "square"}
      title={label}
      aria-label={label}
      disabled={isDisabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

function Name({ name, onDone }: { name: string; onDone(given: string | undefined): void }) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => input.current!.select(), []);
  return (
    <input
      ref={input}
      class="name"
      aria-label="Name of the object"
      defaultValue={name}
      onBlur={() => {
        if (input.current) onDone(input.current.value); // it is gone after Enter and Escape
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") onDone(input.current!.value);
        if (event.key === "Escape") onDone(undefined);
        event.stopPropagation();
      }}
    />
  );
}
