/** What was said of the selected object, drawn over the picture at the screen's size. */
import type { Prompt } from "../state/document.ts";
import type { Gesture, Layout } from "./geometry.ts";

interface Props {
  prompt: Prompt | undefined;
  layout: Layout;
  colour: string;
  draft: Gesture | undefined;
  /** of the brush. @units pixels of the picture */
  radius: number;
}

export function Prompts({ prompt, layout, colour, draft, radius }: Props) {
  const { scale, left, top } = layout;
  const at = ([x, y]: readonly [number, number]) => [left + x * scale, top + y * scale];
  const [x0, y0, x1, y1] = prompt?.box ?? [];
  return (
    <svg class="prompts" aria-hidden="true">
      {prompt?.box && (
        <g class="box" style={{ "--colour": colour }}>
          {["back", "front"].map((name) => (
            <rect
              key={name}
              class={name}
              x={left + x0! * scale}
              y={top + y0! * scale}
              width={(x1! - x0!) * scale}
              height={(y1! - y0!) * scale}
              rx="2"
            />
          ))}
        </g>
      )}
      {draft?.type === "stroke" && (
        <polyline
          class={draft.erases ? "stroke erases" : "stroke"}
          style={{ "--colour": colour }}
          points={draft.points.map((point) => at(point).join(",")).join(" ")}
          stroke-width={2 * radius * scale}
        />
      )}
      {prompt?.clicks.map(({ x, y, label }, index) => {
        const [cx, cy] = at([x, y]);
        return (
          <g key={index} class={label ? "click adds" : "click takes"} transform={`translate(${cx} ${cy})`}>
            <circle r="8" />
            <path d={label ? "M-4 0H4M0 -4V4" : "M-4 0H4"} />
          </g>
        );
      })}
      {draft?.type === "hover" && draft.radius !== undefined && (
        <circle class="brush" cx={at(draft.at)[0]} cy={at(draft.at)[1]} r={draft.radius * scale} />
      )}
    </svg>
  );
}

export function Crosshair({
  at: [x, y],
  layout: { scale, left, top },
}: {
  at: readonly [number, number];
  layout: Layout;
}) {
  return (
    <svg class="prompts" aria-hidden="true">
      <g class="cross" transform={`translate(${left + x * scale} ${top + y * scale})`}>
        <path class="back" d="M-16 0H-5M5 0H16M0 -16V-5M0 5V16" />
        <path class="front" d="M-16 0H-5M5 0H16M0 -16V-5M0 5V16" />
      </g>
    </svg>
  );
}
