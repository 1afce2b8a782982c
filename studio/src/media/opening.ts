/** All ways in which a picture or a checkpoint gets into the page. */
import type { Models } from "../session/kept_models.ts";
import type { Session } from "../session/session.ts";
import type { Desk } from "../state/desk.ts";
import { fetchPicture } from "./address.ts";
import type { Media } from "./media.ts";
import { openPhoto } from "./photo.ts";
import { drawnScene } from "./scene.ts";

/** Files that are weights, not pictures. */
const CHECKPOINT = /\.(pt|pth|safetensors)$/i;

export interface Opening {
  /** Of a choice, a drop, the clipboard or the camera. */
  take(files: readonly File[]): Promise<void>;
  fromAddress(address: string): Promise<void>;
  drawing(): Promise<void>;
}

export function opening(desk: Desk, session: Session, models: Models): Opening {
  const open = async (media: () => Promise<Media>) => {
    desk.perform("dialog", { dialog: undefined });
    session.clear("problem");
    try {
      session.openMedia(await media());
    } catch (error) {
      session.tell("problem", (error as Error).message);
    }
  };
  return {
    async take([file]) {
      if (!file) return;
      if (CHECKPOINT.test(file.name)) models.useFile(file);
      else await open(() => openPhoto(file, file.name || "Pasted picture"));
    },
    fromAddress: (address) =>
      open(async () => {
        const file = await fetchPicture(address.trim());
        return openPhoto(file, file.name);
      }),
    drawing: () => open(drawnScene),
  };
}

/** Let drops, pastes and the two effects that ask for files lead here. */
export function listen(desk: Desk, { take }: Opening): void {
  const choose = (accept: string) => {
    const input = Object.assign(document.createElement("input"), { type: "file", accept });
    input.addEventListener("change", () => void take([...(input.files ?? [])]));
    input.click();
  };
  const others = desk.onEffect;
  desk.onEffect = (effect) => {
    others?.(effect);
    if (effect === "choosePicture") choose("image/*");
    if (effect === "chooseModel") choose(".pt,.pth,.safetensors");
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    void take([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) event.preventDefault();
    void take(files);
  });
}
