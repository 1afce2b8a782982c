/** Told what was guessed, or is done otherwise than one might expect: one line. */
export type Notice = (text: string) => void;

const toConsole: Notice = (text) => console.warn(`sam2: ${text}`);
let listener = toConsole;

/** Tell it to the console's stderr, or to whoever listens in its place. */
export function notify(text: string): void {
  listener(text);
}

/** Without one, the console listens again. */
export function setNoticeListener(listens: Notice = toConsole): void {
  listener = listens;
}
