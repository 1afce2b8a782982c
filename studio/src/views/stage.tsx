/**
 * The picture with the masks on it, and the prompts. Picture, masks and prompts lie on one sheet which CSS moves and scales,
 * so that zooming costs the page's thread nothing; the painter draws the masks anew when the zoom has settled.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Session } from "../session/session.ts";
import type { Desk } from "../state/desk.ts";
import { appearanceOf, colourOf, type Document, selectedObject } from "../state/document.ts";
import { Crosshair, Prompts } from "./prompts.tsx";
import { draftedPrompt, type Gesture, layoutOf } from "./geometry.ts";
import { gestures } from "./gestures.ts";
import { useStore } from "./use.ts";

interface Props {
  desk: Desk;
  session: Session;
  doc: Document;
}

export function Stage({ desk, session, doc }: Props) {
  const stage = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const shown = useStore(session.shown);
  const picture = useRef<HTMLCanvasElement>(null);
  const objects = useRef<HTMLCanvasElement>(null);
  const preview = useRef<HTMLCanvasElement>(null);
  const [draft, setDraft] = useState<Gesture>();
  const [cross, setCross] = useState<readonly [x: number, y: number]>();

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = stage.current!;
      setSize({ width, height });
    });
    observer.observe(stage.current!);
    return () => observer.disconnect();
  }, []);

  const turn = useStore(session.painter.turn);
  useLayoutEffect(() => {
    const canvases = [objects, preview].map(({ current }) => current!.transferControlToOffscreen());
    session.handCanvases(canvases[0], canvases[1]);
  }, [turn]);

  useEffect(() => {
    if (!shown || shown.bitmap.width === 0) return; // a newer frame has replaced it already
    const canvas = picture.current!;
    canvas.width = shown.bitmap.width;
    canvas.height = shown.bitmap.height;
    canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(shown.bitmap); // not copied: it may be large
  }, [shown]);

  const { source, view } = doc;
  const layout = source && size.width > 0 ? layoutOf(view, source, size) : undefined;
  const scale = layout?.scale ?? 1;

  useEffect(() => {
    const timer = setTimeout(() => session.draw(scale), 120);
    return () => clearTimeout(timer);
  }, [scale]);

  useEffect(() => gestures(stage.current!, { desk, session, onDraft: setDraft, onCross: setCross }), []);

  const object = selectedObject(doc);
  const prompt = draftedPrompt(appearanceOf(object, doc.frame)?.prompt, draft);
  const colour = object ? colourOf(object) : "#fff";
  const box = source && { width: `${source.width}px`, height: `${source.height}px` };
  return (
    <div
      ref={stage}
      class={`stage tool-${doc.tool}`}
      tabIndex={0}
      role="application"
      aria-label={source ? `${source.name}. Arrow keys move a cross, Space clicks there.` : "No picture is open."}
      aria-describedby="hint"
    >
      <div
        class="sheet"
        hidden={!layout}
        style={
          layout && {
            ...box,
            transform: `translate(${layout.left}px, ${layout.top}px) scale(${layout.scale})`,
            "--pixelated": layout.scale * devicePixelRatio >= 4 ? "pixelated" : "auto",
          }
        }
      >
        <canvas ref={picture} class="picture" />
        <canvas key={`objects ${turn}`} ref={objects} class="masks" />
        <canvas key={`preview ${turn}`} ref={preview} class="masks preview" />
      </div>
      {layout && source && (
        <>
          <Prompts prompt={prompt} layout={layout} colour={colour} draft={draft} radius={doc.radius} />
          {cross && <Crosshair at={cross} layout={layout} />}
        </>
      )}
    </div>
  );
}
