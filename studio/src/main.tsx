import { render } from "preact";
import { openAgain, openFiles } from "./media/files.ts";
import { CHECKPOINT } from "./media/open.ts";
import { drawnClip } from "./media/clip.ts";
import { drawnScene } from "./media/scene.ts";
import { kept } from "./session/keep.ts";
import { lastModel, models as keptModels } from "./session/kept_models.ts";
import { session as begin } from "./session/session.ts";
import { desk as newDesk } from "./state/desk.ts";
import { EMPTY } from "./state/document.ts";
import { App } from "./views/app.tsx";

/** How the address asks for it: ?model=tiny&threads=2&kernels=portable */
const asked = new URLSearchParams(location.search);

const desk = newDesk(EMPTY);
const session = begin(desk, {
  ...(asked.get("kernels") === "portable" && { kernels: "portable" as const }),
  ...(asked.has("threads") && { threads: Number(asked.get("threads")) }),
});
const models = keptModels(session);
render(<App desk={desk} session={session} models={models} />, document.getElementById("studio")!);

void openLast();
void (async () => models.use(asked.get("model") ?? (await lastModel())))();

/** What was open, or else the drawing. */
async function openLast(): Promise<void> {
  const last = await kept().catch(() => undefined);
  const source = last?.doc.source;
  const opened = source && (await openAgain(source, last!.files).catch(() => undefined));
  if (opened && !desk.doc.source) return session.restore(opened, last!.doc);
  const scene = await drawnScene();
  if (!desk.doc.source) session.openMedia(scene); // unless the visitor was faster
}

/** Files of a choice, a drop or the clipboard. */
async function take(files: readonly File[]): Promise<void> {
  const [file] = files;
  if (!file) return;
  if (CHECKPOINT.test(file.name)) return models.useFile(file);
  try {
    session.openMedia(await openFiles(files));
  } catch (error) {
    session.tell("problem", (error as Error).message);
  }
}

function choose(accept: string): void {
  const input = Object.assign(document.createElement("input"), { type: "file", accept });
  input.addEventListener("change", () => void take([...(input.files ?? [])]));
  input.click();
}

const effects = desk.onEffect;
desk.onEffect = (effect) => {
  effects?.(effect);
  if (effect === "choosePicture") choose("image/*,video/*,.mkv");
  if (effect === "openScene") void drawnScene().then(session.openMedia);
  if (effect === "openClip") session.openMedia(drawnClip());
  if (effect === "chooseModel") choose(".pt,.pth,.safetensors");
};
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  desk.perform("dialog", { dialog: undefined });
  void take([...(event.dataTransfer?.files ?? [])]);
});
addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length > 0) event.preventDefault();
  void take(files);
});
