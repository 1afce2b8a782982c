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
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = stage.current!;
      setSize({ width, height });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(stage.current!);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const canvases = [objects, preview].map(({ current }) => current!.transferControlToOffscreen());
    session.painter.tell({ type: "canvases", objects: canvases[0], preview: canvases[1] }, canvases);
  }, []);

  useEffect(() => {
    const canvas = picture.current!;
    if (!shown) return;
    const show = async () => {
      const copy = await createImageBitmap(shown.bitmap);
      canvas.width = copy.width;
      canvas.height = copy.height;
      canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(copy);
    };
    show().catch(() => {}); // a newer frame has replaced it already
  }, [shown]);

  const { source, view } = doc;
  const layout = source && size.width > 0 ? layoutOf(view, source, size) : undefined;
  const scale = layout?.scale ?? 1;

  useEffect(() => {
    const timer = setTimeout(() => session.draw(scale), 120);
    return () => clearTimeout(timer);
  }, [scale]);

  const seen = { desk, session, doc, layout, stage: size, draft, setDraft, cross, setCross };
  const latest = useRef(seen);
  latest.current = seen;
  useEffect(() => gestures(stage.current!, () => latest.current), []);

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
        <canvas ref={objects} class="masks" />
        <canvas ref={preview} class="masks preview" />
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
