/** Look inside: every layer that the picture and the click pass through, what a layer returned, and the lines it runs. */
import type { LayerTrace } from "sam2-ts";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { LayerPicture } from "../inside/pictures.ts";
import { sourceOf } from "../inside/sources.ts";
import { modulesOf, type Node, shapeText, sizes } from "../inside/tree.ts";
import type { Session } from "../session/session.ts";
import type { Status } from "../session/status.ts";
import { presentPrompt } from "../session/trace.ts";
import type { Desk } from "../state/desk.ts";
import type { Document, Prompt } from "../state/document.ts";
import { Dialog } from "./dialog.tsx";

interface Props {
  desk: Desk;
  session: Session;
  doc: Document;
  status: Status;
}

/** What is seen first: the picture's features, fine and coarse. */
const FIRST = "image_encoder";

/** What a layer returned, a list of pictures for each of its tensors. */
interface Seen {
  path: string;
  tensors: { shape: readonly number[]; pictures: LayerPicture[] }[];
}

export function Inside({ desk, session, doc, status }: Props) {
  const [layers, setLayers] = useState<LayerTrace[]>();
  const [chosen, setChosen] = useState(FIRST);
  const [seen, setSeen] = useState<Seen>();
  const [isStuck, setStuck] = useState(false);
  const isReady = status.model.state === "ready";

  useEffect(() => {
    if (!isReady) return;
    const leaving = new AbortController();
    void look(session, chosen, leaving.signal).then((found) => {
      if (leaving.signal.aborted) return;
      setStuck(!found);
      if (!found) return;
      setLayers((before) => before ?? found.layers); // the times of one run
      setSeen(found.seen);
    });
    return () => leaving.abort();
  }, [chosen, isReady]);

  const modules = layers && modulesOf(layers);
  const node = modules && findNode(modules, chosen);
  return (
    <Dialog desk={desk} title="Look inside" class="wide">
      {isStuck && <p role="alert">{status.problem ?? "The model did not answer. Close this, and look again."}</p>}
      {!modules && !isStuck && (
        <>
          <p class="quiet">Every layer is watched once …</p>
          <progress aria-label="Every layer is watched" />
        </>
      )}
      {modules && (
        <>
          <p class="quiet">
            What {status.model.label} makes of this {doc.source?.kind === "video" ? "frame" : "picture"} and{" "}
            {inWords(presentPrompt(doc))}: {layers.length} layers,{" "}
            {duration(modules.reduce((sum, { ms }) => sum + ms, 0))}. Choose one to see what it returns.
          </p>
          <div class="inside">
            <ul class="layers" aria-label="Layers">
              {modules.map((module) => (
                <Layer key={module.path} node={module} chosen={chosen} onChoose={setChosen} isOpen />
              ))}
            </ul>
            {node?.layer && (
              <Output node={node} layer={node.layer} seen={seen?.path === chosen && !isStuck ? seen : undefined} />
            )}
          </div>
        </>
      )}
    </Dialog>
  );
}

async function look(
  { trace, painter }: Session,
  path: string,
  signal: AbortSignal,
): Promise<{ layers: LayerTrace[]; seen: Seen } | undefined> {
  const layers = await trace([path], signal);
  const layer = layers?.find((one) => one.path === path);
  if (!layers || !layer || signal.aborted) return undefined;
  const { values = [] } = layer;
  const shapes = shapesOf(layer);
  const ask = (values: Float32Array, i: number) => painter.ask("layer", { values, shape: shapes[i] }, [values.buffer]);
  const pictures = await Promise.all(values.map(ask)).catch(() => undefined);
  return (
    pictures && { layers, seen: { path, tensors: pictures.map((pictures, i) => ({ shape: shapes[i], pictures })) } }
  );
}

function shapesOf({ output }: LayerTrace): number[][] {
  return Array.isArray(output[0]) ? (output as number[][]) : [output as number[]];
}

function findNode(nodes: readonly Node[], path: string): Node | undefined {
  for (const node of nodes) {
    const found = node.path === path ? node : findNode(node.children, path);
    if (found) return found;
  }
  return undefined;
}

interface LayerProps {
  node: Node;
  chosen: string;
  onChoose(path: string): void;
  isOpen?: boolean;
}

/** A line, and below it what runs inside. */
function Layer({ node, chosen, onChoose, isOpen: isOpenFirst = false }: LayerProps) {
  const [isOpen, setOpen] = useState(isOpenFirst);
  const { path, name, children, layer, ms } = node;
  const hasMore = children.length > 0;
  const line = (
    <>
      <span class="label">
        {name} {node.class !== "" && node.parent && <small>{node.class}</small>}
      </span>
      <span class="shape">{shapeText(node)}</span>
      <span class="ms">{duration(ms)}</span>
    </>
  );
  return (
    <li>
      <div class={node.parent ? "layer" : "layer module"}>
        {hasMore ? (
          <button
            type="button"
            class="fold"
            aria-expanded={isOpen}
            aria-label={`What runs inside of ${name}`}
            onClick={() => setOpen(!isOpen)}
          />
        ) : (
          <span class="fold" />
        )}
        <button
          type="button"
          class="line"
          title={path}
          aria-current={layer && path === chosen}
          onClick={() => (layer ? onChoose(path) : setOpen(!isOpen))}
        >
          {line}
        </button>
      </div>
      {hasMore && isOpen && (
        <ul>
          {children.map((child) => (
            <Layer key={child.path} node={child} chosen={chosen} onChoose={onChoose} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Output({ node, layer, seen }: { node: Node; layer: LayerTrace; seen: Seen | undefined }) {
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (layer.path !== FIRST) section.current!.scrollIntoView({ block: "nearest" }); // on a phone it lies above the list
  }, [layer.path]);
  const source = sourceOf(node);
  const { path, inputs, parameters, gmac, ms } = layer;
  const facts = [
    parameters > 0 && `${count(parameters)} weights`,
    gmac > 0 && `${work(gmac)} multiply-adds`,
    duration(ms),
  ];
  return (
    <section ref={section} class="output" aria-label={`What ${path} returns`} aria-busy={!seen}>
      <h3>
        {path} <small>{layer.class}</small>
      </h3>
      {!seen && <progress aria-label="The layer is looked at" />}
      {seen && (
        <div class="tensors">
          {seen.tensors.map(({ shape, pictures }, i) => (
            <figure key={i}>
              {!pictures[0].numbers && (
                <div class={pictures.length > 1 ? "several" : ""}>
                  {pictures.map((picture, k) => (
                    <Picture key={k} picture={picture} />
                  ))}
                </div>
              )}
              <figcaption>{legend(shape, pictures[0])}</figcaption>
            </figure>
          ))}
        </div>
      )}
      {seen?.tensors.some(({ pictures }) => pictures[0].by === "colours") && (
        <p class="quiet">Colours are the three directions in which the channels of its tokens differ most.</p>
      )}
      <p class="quiet">
        {inputs.map(sizes).join(", ")} → {shapesOf(layer).map(sizes).join(", ")}
        <br />
        {facts.filter(Boolean).join(" · ")}
      </p>
      {source && (
        <>
          {source.about && <p>{source.about}</p>}
          <figure class="source">
            <figcaption>
              {source.file}, line {source.line}
            </figcaption>
            <pre tabIndex={0}>{source.code}</pre>
          </figure>
        </>
      )}
    </section>
  );
}

function Picture({ picture: { width, height, data } }: { picture: LayerPicture }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    canvas.current!.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  }, [data]);
  const kind = width === height ? "map" : "rows";
  return <canvas ref={canvas} class={kind} width={width} height={height} role="img" aria-label="What it returns" />;
}

/** What is seen, and of numbers what their colours mean. */
function legend(shape: readonly number[], { by, most = 0, numbers }: LayerPicture): string {
  if (numbers) return numbers.map((value) => value.toPrecision(3)).join("  ");
  if (by === "colours") return sizes(shape);
  return `${sizes(shape)}, blue −${most.toPrecision(2)} … red ${most.toPrecision(2)}`;
}

function inWords(prompt: Prompt | undefined): string {
  if (!prompt) return "a click in its centre, as there is none yet";
  const { clicks, box } = prompt;
  const clicked = clicks.length === 1 ? "a click" : `${clicks.length} clicks`;
  return [box && "a box", clicks.length > 0 && clicked].filter(Boolean).join(" and ");
}

function duration(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** 96, 4.1 K, 28.8 M */
function count(n: number): string {
  return n < 1e3 ? `${n}` : n < 1e6 ? `${(n / 1e3).toFixed(1)} K` : `${(n / 1e6).toFixed(1)} M`;
}

function work(gmac: number): string {
  return gmac < 0.1 ? `${(gmac * 1e3).toPrecision(2)} M` : `${gmac.toPrecision(3)} G`;
}
