/** The frame of all dialogs: native, so that Escape, focus and what lies behind are the browser's. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Desk } from "../state/desk.ts";
import { Icon } from "./icons.tsx";

interface Props {
  desk: Desk;
  title: string;
  /** of a dialog that is not as narrow as the others */
  class?: string;
  children: ComponentChildren;
}

export function Dialog({ desk, title, class: kind, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const close = () => desk.perform("dialog", { dialog: undefined });
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class={kind}
      aria-labelledby="dialog-title"
      onClose={close}
      onClick={(event) => {
        if (event.target === dialog.current) close();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="square" aria-label="Close" onClick={close}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
