/** A video's time: one lane an object, the playhead, tracking and what is to be checked. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Session } from "../session/session.ts";
import type { Status, Tracking } from "../session/status.ts";
import type { Desk } from "../state/desk.ts";
import { colourOf, type Document } from "../state/document.ts";
import { clock, leastSure, momentOf, timeLeft } from "../state/tracks.ts";
import { ActionButton } from "./button.tsx";
import { Icon } from "./icons.tsx";
import { drawLanes, frameOf, xOf } from "./lanes.ts";
import { useStore } from "./use.ts";

interface Props {
  desk: Desk;
  session: Session;
  doc: Document;
  status: Status;
}

/** While frames come quickly, lanes are drawn so often. */
const DRAW_MS = 100;
const RULER = 22;
const ROW = 26;

export function Timeline(props: Props) {
  const { desk, doc, status } = props;
  const { tracking, isPlaying } = status;
  return (
    <section class="timeline" aria-label="Timeline">
      <div class="controls">
        <ActionButton desk={desk} doc={doc} name="previousFrame" icon="previous" class="step" />
        <ActionButton desk={desk} doc={doc} name="play" icon={isPlaying ? "pause" : "play"} isPressed={isPlaying} />
        <ActionButton desk={desk} doc={doc} name="nextFrame" icon="following" class="step" />
        <Where {...props} />
        <span class="space" />
        {tracking ? (
          <Progress desk={desk} tracking={tracking} />
        ) : (
          <>
            <Unsure {...props} />
            <span class="tracking">
              <ActionButton desk={desk} doc={doc} name="trackBackward" icon="trackBack" text="Back" />
              <ActionButton desk={desk} doc={doc} name="trackForward" icon="track" text="Track" class="filled" />
            </span>
          </>
        )}
      </div>
      <Lanes {...props} />
    </section>
  );
}

function Where({ session, doc: { frame, source } }: Props) {
  const shown = useStore(session.shown);
  return (
    <p class="where">
      {clock(shown?.time ?? 0)}
      <span class="quiet">
        {frame + 1} / {source!.frames}
      </span>
    </p>
  );
}

function Progress({ desk, tracking }: { desk: Desk; tracking: Tracking }) {
  const { frames, done, msPerFrame, direction } = tracking;
  const left = msPerFrame === undefined ? "" : timeLeft(frames - done, msPerFrame);
  return (
    <div class="progress">
      <span class="quiet">{left || "Tracking …"}</span>
      <progress
        max={frames}
        value={done}
        class={direction}
        aria-label={`Tracking ${direction}, ${done} of ${frames} frames`}
      />
      <button type="button" class="filled" title="Stop (Esc)" onClick={() => desk.perform("stopTracking")}>
        <Icon name="stop" />
        <span>Stop</span>
      </button>
    </div>
  );
}

/** Frames to jump to. */
function Unsure({ desk, doc }: Props) {
  const frames = useMemo(() => leastSure(doc), [doc.objects]);
  if (frames.length === 0) return null;
  return (
    <div class="unsure" role="group" aria-label="Frames that the model is least sure of">
      <span class="quiet" title="The model is least sure on these frames (U: the next)">
        Check
      </span>
      {frames.map((frame) => (
        <button
          key={frame}
          type="button"
          aria-label={`Go to frame ${frame + 1}`}
          aria-current={frame === doc.frame}
          onClick={() => desk.perform("frame", { frame })}
        >
          {frame + 1}
        </button>
      ))}
    </div>
  );
}

function Lanes({ desk, doc }: Props) {
  const { objects, frame, selected } = doc;
  const { frames } = doc.source!;
  const tracks = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const latest = useRef(doc);
  latest.current = doc;

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(tracks.current!.clientWidth));
    observer.observe(tracks.current!);
    return () => observer.disconnect();
  }, []);

  const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const drawn = useRef(0);
  const draw = () => {
    waiting.current = undefined;
    drawn.current = performance.now();
    if (latest.current.source?.kind === "video" && width > 0) {
      drawLanes(canvas.current!, latest.current, { width, ruler: RULER, row: ROW });
    }
  };
  useEffect(() => {
    if (waiting.current !== undefined) return;
    waiting.current = setTimeout(draw, Math.max(0, drawn.current + DRAW_MS - performance.now()));
  }, [objects, selected, frames]);
  useLayoutEffect(draw, [width]);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      clearTimeout(waiting.current);
      waiting.current = undefined;
      dark.removeEventListener("change", draw);
    };
  }, [width]);

  const seek = (event: PointerEvent) => {
    const { left } = tracks.current!.getBoundingClientRect();
    desk.perform("frame", { frame: frameOf(event.clientX - left, frames, width) });
  };
  const seen = objects.filter(({ on }) => on[frame] && momentOf(on[frame]).isSeen).map(({ name }) => name);
  return (
    <div class="lanes">
      <div class="names" style={{ paddingTop: `${RULER}px` }}>
        {objects.map((object) => (
          <button
            key={object.id}
            type="button"
            style={{ "--colour": colourOf(object), height: `${ROW}px` }}
            aria-pressed={object.id === selected}
            title={object.name}
            onClick={() => desk.perform("select", { id: desk.doc.selected === object.id ? undefined : object.id })}
          >
            <span class="dot" />
            <span class="name">{object.name}</span>
          </button>
        ))}
      </div>
      <div
        ref={tracks}
        class="tracks"
        role="slider"
        tabIndex={0}
        aria-label="Frame"
        aria-orientation="horizontal"
        aria-valuemin={1}
        aria-valuemax={frames}
        aria-valuenow={frame + 1}
        aria-valuetext={`Frame ${frame + 1} of ${frames}. ${seen.length > 0 ? `Seen: ${seen.join(", ")}.` : "No object is seen."}`}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          seek(event);
        }}
        onPointerMove={(event) => {
          if (event.currentTarget.hasPointerCapture(event.pointerId)) seek(event);
        }}
        style={{ height: `${RULER + ROW * objects.length}px` }}
      >
        <canvas ref={canvas} />
        <div class="playhead" style={{ transform: `translateX(${xOf(frame, frames, Math.max(1, width))}px)` }} />
      </div>
    </div>
  );
}
