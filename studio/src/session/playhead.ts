/** Who moves a video's playhead: the visitor, playing at the video's own speed, or tracking, which is followed until then. */
import type { Media } from "../media/media.ts";
import type { Desk } from "../state/desk.ts";
import type { Status } from "./status.ts";
import type { VideoSession } from "./video.ts";

export interface Playhead {
  play(): Promise<void>;
  track(direction: "forward" | "backward"): Promise<void>;
  stop(): void;
  /** The document is on another frame. */
  moved(frame: number): void;
}

interface Surroundings {
  desk: Desk;
  video: VideoSession;
  change(changed: Partial<Status>): void;
  /** of the document's source */
  media(): Media | undefined;
  /** Resolves when the document's frame is seen. */
  show(): Promise<void>;
}

export function playhead({ desk, video, change, media, show }: Surroundings): Playhead {
  /** where it was moved to by what is done here */
  let own: number | undefined;
  let isFollowing = false;
  /** of playing: a later one ends it */
  let turn = 0;
  let isPlaying = false;

  video.onTracked = (frame) => {
    if (isFollowing) void go(frame);
  };

  function go(frame: number): Promise<void> {
    own = frame;
    desk.perform("frame", { frame });
    return show();
  }

  function pause(): void {
    turn++;
    if (!isPlaying) return;
    isPlaying = false;
    change({ isPlaying });
  }

  /** Frames that come too late are left out. */
  async function run({ source, timeOf, frameAt }: Media, from: number): Promise<void> {
    const mine = ++turn;
    const last = source.frames - 1;
    let frame = from >= last ? 0 : from;
    const start = performance.now() - 1000 * timeOf(frame);
    await go(frame);
    while (mine === turn && frame < last) {
      const wait = 1000 * timeOf(frame + 1) - (performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait)));
      if (mine !== turn) return;
      frame = Math.max(frame + 1, frameAt((performance.now() - start) / 1000));
      await go(frame);
    }
    if (mine === turn) pause();
  }

  return {
    async play() {
      const frames = media();
      if (isPlaying || !frames) return pause();
      isPlaying = true;
      change({ isPlaying });
      await video.stop();
      await run(frames, desk.doc.frame);
    },
    async track(direction) {
      pause();
      isFollowing = true;
      await video.track(direction);
      if (!video.isTracking) isFollowing = false; // or it was asked for again meanwhile
    },
    stop() {
      pause();
      void video.stop();
    },
    moved(frame) {
      if (frame === own) return;
      isFollowing = false;
      pause();
    },
  };
}
