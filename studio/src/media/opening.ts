/** All ways in which a picture or a checkpoint gets into the page. */
import type { Models } from "../session/kept_models.ts";
import type { Session } from "../session/session.ts";
import type { Desk } from "../state/desk.ts";
import { fetchPicture } from "./address.ts";
import { openCamera } from "./camera.ts";
import { drawnClip } from "./clip.ts";
import { dropped } from "./dropped.ts";
import type { Home } from "../take_home/home.ts";
import { openAgain, openFiles } from "./files.ts";
import type { Media } from "./media.ts";
import { drawnScene } from "./scene.ts";

/** Files that are weights, not pictures. */
const CHECKPOINT = /\.(pt|pth|safetensors)$/i;
const PROJECT = /\.zip$/i;
const COCO = /\.json$/i;
/** What takes longer is told. */
const SOON_MS = 500;

export interface Opening {
  /** Of a choice, a drop, the clipboard or the camera; `folder` is where they lay, if they are a folder's. */
  take(files: readonly File[], folder?: string): Promise<void>;
  fromAddress(address: string): Promise<void>;
  drawing(): Promise<void>;
  clip(): Promise<void>;
  /** Follow things before the camera. */
  camera(): Promise<void>;
}

export function opening(desk: Desk, session: Session, models: Models, home: Home): Opening {
  /** of whatever is being opened: what was asked for later counts */
  let turn = 0;
  const attempt = async (what: string, work: (isWanted: () => boolean) => Promise<void>) => {
    const mine = ++turn;
    const isWanted = () => mine === turn;
    desk.perform("dialog", { dialog: undefined });
    session.clear("problem");
    const timer = setTimeout(() => isWanted() && session.tell("notice", what), SOON_MS);
    try {
      await work(isWanted);
    } catch (error) {
      if (isWanted()) session.tell("problem", (error as Error).message);
    } finally {
      clearTimeout(timer);
      if (session.status.get().notice === what) session.clear("notice");
    }
  };
  const open = (name: string, media: () => Promise<Media>) =>
    attempt(`${name} is being opened …`, async (isWanted) => {
      const opened = await media();
      if (!isWanted()) return opened.close();
      session.openMedia(opened);
      if (opened.note) session.tell("notice", opened.note);
    });
  const openProject = async (file: File, isWanted: () => boolean) => {
    const { doc, files } = await home.readProject(file);
    const opened = await openAgain(doc.source!, files);
    if (isWanted()) session.openProject(opened, doc);
    else opened.close();
  };
  const bring = async (file: File) => {
    const { source, frame } = desk.doc;
    const brought = await home.readCoco(file, source!, frame);
    if (desk.doc.source !== source) return;
    desk.perform("bring", { from: file.name, ...brought });
    session.tell("notice", desk.said.get().text);
  };
  return {
    async take(files, folder) {
      const checkpoint = files.find(({ name }) => CHECKPOINT.test(name));
      if (checkpoint) return models.useFile(checkpoint);
      if (files.length === 0) return;
      const name = folder ?? (files[0].name || "The picture");
      const what = `${name} is being opened …`;
      if (files.length === 1 && PROJECT.test(name)) await attempt(what, (isWanted) => openProject(files[0], isWanted));
      else if (files.length === 1 && COCO.test(name)) await attempt(what, () => bring(files[0]));
      else await open(name, () => openFiles(files, folder));
    },
    fromAddress: (address) =>
      open(address.trim(), async () => {
        const file = await fetchPicture(address.trim());
        return openFiles([file]);
      }),
    drawing: () => open("The drawing", drawnScene),
    camera: () =>
      open("The camera", () =>
        openCamera(() => {
          desk.perform("stopTracking");
          session.tell("problem", "The camera is gone. What was found is still here; plug it in and open it again.");
        }),
      ),
    clip: () => open("The clip", async () => drawnClip()),
  };
}

/** Let drops, pastes and the two effects that ask for files lead here. */
export function listen(desk: Desk, { take, drawing, clip }: Opening): void {
  let asking: HTMLInputElement; // or it would be collected while its dialog is open
  const choose = (how: { accept: string; multiple?: boolean } | { webkitdirectory: true }) => {
    const input = Object.assign(document.createElement("input"), { type: "file", ...how });
    input.addEventListener("change", () => {
      const files = [...(input.files ?? [])];
      void take(files, files[0]?.webkitRelativePath.split("/").at(-2));
    });
    asking = input;
    asking.click();
  };
  const others = desk.onEffect;
  desk.onEffect = (effect) => {
    others?.(effect);
    if (effect === "choosePicture") choose({ accept: "image/*,video/*,.mkv,.zip,.json", multiple: true });
    if (effect === "chooseFolder") choose({ webkitdirectory: true });
    if (effect === "openScene") void drawing();
    if (effect === "openClip") void clip();
    if (effect === "chooseModel") choose({ accept: ".pt,.pth,.safetensors" });
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    void dropped(event.dataTransfer!).then(({ files, folder }) => take(files, folder));
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) event.preventDefault();
    void take(files);
  });
}
