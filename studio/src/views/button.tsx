/** Buttons of actions: label, key and state come from the table. */
import { type Action, ACTIONS, isEnabled, type PlainAction } from "../state/actions.ts";
import type { Desk } from "../state/desk.ts";
import type { Document } from "../state/document.ts";
import { Icon, type IconName } from "./icons.tsx";

interface Props {
  desk: Desk;
  doc: Document;
  name: PlainAction;
  icon?: IconName;
  /** text beside the icon */
  text?: string;
  /** of a tool: is it the one in use? */
  isPressed?: boolean;
  class?: string;
  isDisabled?: boolean;
}

export function ActionButton({ desk, doc, name, icon, text, isPressed, class: kind = "", isDisabled }: Props) {
  const { label, keys = [] } = ACTIONS[name] as Action<never>;
  const key = keys.length > 0 ? `${label} (${keyText(keys[0])})` : label;
  return (
    <button
      type="button"
      class={`${text ? "" : "square"} ${kind}`}
      title={key}
      aria-label={text ? undefined : label}
      aria-pressed={isPressed}
      aria-keyshortcuts={keys.map(ariaKey).join(" ") || undefined}
      disabled={isDisabled ?? !isEnabled(name, doc)}
      onClick={() => desk.perform(name)}
    >
      {icon && <Icon name={icon} />}
      {text && <span>{text}</span>}
    </button>
  );
}

const NAMES: Record<string, string> = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  Delete: "Del",
  Backspace: "⌫",
  Enter: "Enter",
  " ": "Space",
};
const isMac = /mac|iphone|ipad/i.test(navigator.platform);

/** "Ctrl+Shift+z" as people write it. */
export function keyText(key: string): string {
  return key
    .split(/\+(?=.)/)
    .map((part) => (part === "Ctrl" && isMac ? "⌘" : (NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part))))
    .join(isMac ? " " : "+");
}

function ariaKey(key: string): string {
  return key.replace("Ctrl", "Control");
}
