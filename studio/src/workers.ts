/**
 * The program of all the page's workers, so that what several of them need is loaded and kept once: a worker's name says
 * what it is. Only addresses are fetched by a program of its own, as the policy of the page forbids it to all others.
 */
const PROGRAMS = {
  painter: () => import("./masks/painter_worker.ts"),
  scene: () => import("./media/scene_worker.ts"),
  clip: () => import("./media/clip_worker.ts"),
  photo: () => import("./media/photo_worker.ts"),
  video: () => import("./media/video_worker.ts"),
  home: () => import("./take_home/home_worker.ts"),
};

export type WorkerName = keyof typeof PROGRAMS;

/** What is asked while the program is loaded. */
const early: Event[] = [];
const hold = (event: Event) => early.push(event);
addEventListener("message", hold);
PROGRAMS[self.name as WorkerName]().then(() => {
  removeEventListener("message", hold);
  for (const event of early) dispatchEvent(event);
}, reportError);
