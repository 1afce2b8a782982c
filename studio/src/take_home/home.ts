/** Taking home, as the page sees it: one file at a time is made, in a worker that ends with it. */
import { lasting } from "../media/camera.ts";
import type { Media } from "../media/media.ts";
import { startWorker } from "../media/start_worker.ts";
import { asked, type Asked } from "../media/worker_calls.ts";
import type { Session } from "../session/session.ts";
import type { Desk } from "../state/desk.ts";
import { type Document, selectedObject, type Source } from "../state/document.ts";
import { type Store, store } from "../state/store.ts";
import type { Brought } from "./coco_in.ts";
import type { HomeCalls, MakerCalls } from "./calls.ts";
import { type KindName, lackOf } from "./kinds.ts";
import { copy, save, type Taken } from "./save.ts";

export interface Taking {
  kind: KindName;
  state: "making" | "done" | "failed";
  /** 0…1 */
  fraction: number;
  /** what was saved, or what went wrong */
  text: string;
}

export interface Home {
  taking: Store<Taking | undefined>;
  take(kind: KindName): Promise<void>;
  stop(): void;
  readProject(file: File): Promise<{ doc: Document; files: File[] }>;
  readCoco(file: File, source: Source, frame: number): Promise<{ objects: Brought[]; without: number }>;
}

/** These are written by the worker that reads videos. */
const FILMS: readonly KindName[] = ["mp4", "webm", "transparent"];
const DIED = "The program that makes files stopped; try again.";

export function home(desk: Desk, { media, tell }: Pick<Session, "media" | "tell">): Home {
  const taking = store<Taking | undefined>(undefined);
  let worker: Asked<MakerCalls> | undefined;

  async function take(kind: KindName): Promise<void> {
    const { doc } = desk;
    const say = (text: string) => desk.said.set({ text });
    const opened = media();
    const lack = lackOf(kind, doc);
    if (!opened || lack) return say(lack ?? "Open a picture first.");
    stop();
    const own: Asked<MakerCalls> = FILMS.includes(kind) ? filmWorker() : homeWorker();
    worker = own;
    const change = (changed: Partial<Taking>) => {
      if (worker === own) taking.set({ kind, state: "making", fraction: 0, text: "", ...changed });
    };
    change({});
    try {
      const { blob, name, note } = await made(kind, doc, opened, own, (fraction) => change({ fraction }));
      if (worker !== own) return;
      save(blob, name);
      const text = [`${name} is saved.`, note].filter(Boolean).join(" ");
      change({ state: "done", fraction: 1, text });
      say(text);
    } catch (error) {
      if (worker !== own) return; // it was stopped
      const { message } = error as Error;
      change({ state: "failed", text: message });
      say(message);
    } finally {
      own.close();
    }
  }

  function stop(): void {
    const before = worker;
    worker = undefined;
    before?.close();
    taking.set(undefined);
  }

  async function selectedMask(): Promise<Taken> {
    const { doc } = desk;
    const object = selectedObject(doc)!;
    const only = { ...doc, objects: [{ ...object, visible: true }] };
    const worker = homeWorker();
    try {
      return await made("masks", only, media()!, worker, () => {});
    } finally {
      worker.close();
    }
  }

  const problem = (error: Error) => tell("problem", error.message);
  const others = desk.onEffect;
  desk.onEffect = (effect) => {
    others?.(effect);
    if (effect === "saveProject") void take("project");
    if (effect === "saveMask") selectedMask().then(({ blob, name }) => save(blob, name), problem);
    if (effect === "copyMask") {
      const png = selectedMask().then(({ blob }) => blob);
      copy(png).then(() => tell("notice", "The mask is on the clipboard."), problem);
    }
  };

  return {
    taking,
    take,
    stop,
    readProject: (file) => asking((ask) => ask("readProject", { file })),
    readCoco: (file, source, frame) => {
      const names = namesOf(media());
      return asking((ask) => ask("readCoco", { file, source, names, frame }));
    },
  };
}

async function made(
  kind: KindName,
  doc: Document,
  media: Media,
  { ask }: Asked<MakerCalls>,
  progress: (fraction: number) => void,
): Promise<Taken> {
  const { source, files } = kind === "project" ? await lasting(media) : media;
  const order = { kind, doc: { ...doc, source }, names: namesOf(media), files };
  const { frames, needsPicture } = await ask("begin", order);
  const last = doc.source!.frames - 1;
  for (const [i, frame] of frames.entries()) {
    const picture = needsPicture ? await media.picture(frame) : undefined;
    const time = media.timeOf(frame);
    const duration = frame < last ? media.timeOf(frame + 1) - time : frame > 0 ? time - media.timeOf(frame - 1) : 1;
    await ask("add", { frame, time, duration, picture }, picture && [picture]);
    progress((i + 1) / (frames.length + 1));
  }
  return ask("end", undefined);
}

/** Of a video's frames that were opened as files. */
function namesOf(media: Media | undefined): readonly string[] | undefined {
  const { source, files } = media ?? {};
  if (source?.kind !== "video" || !files || files.length !== source.frames) return undefined;
  return files.every((file) => file instanceof File) ? files.map(({ name }) => name) : undefined;
}

async function asking<R>(call: (ask: Asked<HomeCalls>["ask"]) => Promise<R>): Promise<R> {
  const { ask, close } = homeWorker();
  try {
    return await call(ask);
  } finally {
    close();
  }
}

function homeWorker(): Asked<HomeCalls> {
  return asked<HomeCalls>(() => startWorker("home"), DIED);
}

function filmWorker(): Asked<MakerCalls> {
  return asked<MakerCalls>(() => startWorker("video"), DIED);
}
