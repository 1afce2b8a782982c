import { options, render } from "preact";
import { openAgain } from "./media/files.ts";
import { listen, opening as begin } from "./media/opening.ts";
import { drawnScene } from "./media/scene.ts";
import { workOffline } from "./offline.ts";
import { kept } from "./session/keep.ts";
import { lastModel, models as keptModels } from "./session/kept_models.ts";
import { NANO } from "./session/models.ts";
import { session as beginSession } from "./session/session.ts";
import { desk as newDesk } from "./state/desk.ts";
import { EMPTY } from "./state/document.ts";
import { home as beginHome } from "./take_home/home.ts";
import { App } from "./views/app.tsx";

/** How the address asks for it: ?model=tiny&threads=2&kernels=portable */
const asked = new URLSearchParams(location.search);

// views in a task of their own: after what a visitor did, before the browser's layout, so that none of the three is long
options.debounceRendering = setTimeout;

const desk = newDesk(EMPTY);
const session = beginSession(desk, {
  ...(asked.get("kernels") === "portable" && { kernels: "portable" as const }),
  ...(asked.has("threads") && { threads: Number(asked.get("threads")) }),
});
const models = keptModels(session);
const home = beginHome(desk, session);
const opening = begin(desk, session, models, home);
listen(desk, opening);
render(
  <App desk={desk} session={session} models={models} opening={opening} home={home} />,
  document.getElementById("studio")!,
);

void openLast();
const model = asked.get("model") ?? (await lastModel());
if (!(await models.use(model)) && model !== NANO) await models.use(NANO);
if (import.meta.env.PROD) {
  await workOffline(() => desk.history.get().past.length > 1).catch(() => {}); // a private window: online alone
}

/** What was open, or else the drawing. */
async function openLast(): Promise<void> {
  const last = await kept().catch(() => undefined);
  const source = last?.doc.source;
  const opened = source && (await openAgain(source, last!.files).catch(() => undefined));
  const scene = opened ?? (await drawnScene());
  if (desk.doc.source)
    scene.close(); // the visitor was faster
  else if (opened) session.restore(opened, last!.doc);
  else {
    const { dialog } = desk.doc; // which the visitor has opened meanwhile
    session.openMedia(scene);
    desk.perform("dialog", { dialog });
  }
}
