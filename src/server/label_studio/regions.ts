// Regions as Label Studio has them: coordinates are percents of the image, and one region may come as several results of one
// id, its shape and its labels.
import { PromptError } from "../../errors.ts";
import { decodeBrushRle } from "../../io/formats/brush_rle.ts";
import { type PromptSet, promptSet } from "../../jobs/prompts.ts";
import type { Region } from "../schemas.ts";

type Size = { width: number; height: number };

/** What is said of one object. */
export interface Wanted {
  /** undefined where nothing was chosen */
  label: string | undefined;
  set: PromptSet;
}

interface Shape extends Region {
  id?: unknown;
  label: string | undefined;
  where: string;
}

interface Click {
  point: [x: number, y: number];
  label: 0 | 1;
}

interface Group {
  box?: [number, number, number, number];
  clicks: Click[];
  brush?: Shape;
  where: string;
}

const SHAPES = /^(keypoint|rectangle|brush)(labels)?$/i;

/**
 * The prompts that regions of one image are. Every rectangle and every brush stroke is an object; clicks refine the one of
 * their label that they lie in, or the only one, and are an object of their own together where there is none.
 *
 * @throws PromptError naming the region
 */
export function promptsOf(regions: readonly Region[], size: Size): Wanted[] {
  const shapes = shapesOf(regions);
  const labels = [...new Set(shapes.map(({ label }) => label))];
  return labels.flatMap((label) => {
    const own = shapes.filter((shape) => shape.label === label);
    return groupsOf(own, size).map((group) => ({ label, set: setOf(group, size) }));
  });
}

/** The regions with their labels. */
function shapesOf(regions: readonly Region[]): Shape[] {
  return regions.flatMap((region, i) => {
    const where = `context.result[${i}]`;
    const { type, id, image_rotation: rotation } = region;
    if (/^(labels|choices|textarea|rating|number|relation)$/i.test(type)) return []; // what is said of a region
    if (!SHAPES.test(type)) {
      const expected = "keypointlabels, rectanglelabels or brushlabels";
      throw new PromptError(where, expected, JSON.stringify(type), "use one of these as smart tools");
    }
    if (typeof rotation === "number" && rotation % 360 !== 0) {
      throw new PromptError(where, "an image that is not turned", `${rotation}°`, "turn it back in Label Studio");
    }
    const sameId = [region, ...(id === undefined ? [] : regions.filter((other) => other.id === id))];
    const label = sameId.flatMap(({ value }) => Object.entries(value)).find(([key]) => /labels$/i.test(key))?.[1];
    return [{ ...region, label: Array.isArray(label) ? (label[0] as string) : undefined, where }];
  });
}

function groupsOf(shapes: readonly Shape[], size: Size): Group[] {
  const groups: Group[] = [];
  const clicks: (Click & { where: string })[] = [];
  for (const shape of shapes) {
    const { type, where } = shape;
    if (/^keypoint/i.test(type)) {
      const [x, y] = percentsOf(shape, ["x", "y"]);
      const point: Click["point"] = [(x / 100) * size.width, (y / 100) * size.height];
      clicks.push({ point, label: isPositive(shape) ? 1 : 0, where });
    } else if (/^rectangle/i.test(type)) groups.push({ box: boxOf(shape, size), clicks: [], where });
    else groups.push({ brush: shape, clicks: [], where });
  }
  for (const click of clicks) {
    const around = groups.filter(({ box }) => box && isInside(click.point, box)).sort((a, b) => areaOf(a) - areaOf(b));
    const shaped = groups.filter(({ box, brush }) => box || brush);
    let group = around[0] ?? (shaped.length === 1 ? shaped[0] : groups.find(({ box, brush }) => !box && !brush));
    if (!group) {
      group = { clicks: [], where: click.where };
      groups.push(group);
    }
    group.clicks.push(click);
  }
  return groups;
}

function setOf({ box, clicks, brush, where }: Group, size: Size): PromptSet {
  if (!box && !brush && !clicks.some(({ label }) => label === 1)) {
    throw new PromptError(
      where,
      "a click on the object",
      "clicks beside it alone",
      "click on it, or draw a box, first",
    );
  }
  const prompt = {
    ...(clicks.length > 0 && {
      points: clicks.map(({ point }) => point),
      labels: clicks.map(({ label }) => label),
    }),
    ...(box && { box }),
  };
  return promptSet(prompt, brush && maskOf(brush, size), undefined, where);
}

function maskOf({ value, where }: Shape, { width, height }: Size) {
  const { rle } = value as { rle?: unknown };
  if (!Array.isArray(rle)) throw new PromptError(where, "a brush with value.rle", "none", "send the region whole");
  const mask = decodeBrushRle(rle, width, height, where);
  if (!mask.includes(1)) throw new PromptError(where, "a brush with a pixel", "none", "paint on the object");
  return { width, height, kind: "mask" as const, ids: [1], labels: Uint16Array.from(mask) };
}

/** Label Studio has it beside `value`; without a word the click is on the object. */
function isPositive({ is_positive, value }: Shape): boolean {
  const said = is_positive ?? (value as { is_positive?: unknown }).is_positive ?? true;
  return said === true || said === 1;
}

/** The box around a rectangle, which may be turned about its top left corner. @units pixels */
export function boxOf(
  region: { value: object; where: string },
  { width: W, height: H }: Size,
): [number, number, number, number] {
  const [x, y, w, h] = percentsOf(region, ["x", "y", "width", "height"]);
  const { rotation } = region.value as { rotation?: unknown };
  const angle = ((typeof rotation === "number" ? rotation : 0) * Math.PI) / 180;
  const [right, down] = [(w / 100) * W, (h / 100) * H];
  const corners = [
    [0, 0],
    [right, 0],
    [right, down],
    [0, down],
  ].map(([dx, dy]) => [
    (x / 100) * W + dx * Math.cos(angle) - dy * Math.sin(angle),
    (y / 100) * H + dx * Math.sin(angle) + dy * Math.cos(angle),
  ]);
  const [xs, ys] = [corners.map(([px]) => px), corners.map(([, py]) => py)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function percentsOf({ value, where }: { value: object; where: string }, names: readonly string[]): number[] {
  return names.map((name) => {
    const number = (value as Record<string, unknown>)[name];
    if (typeof number === "number" && Number.isFinite(number)) return number;
    throw new PromptError(`${where}.value.${name}`, "a percentage", JSON.stringify(number) ?? "none", "send a number");
  });
}

function isInside([x, y]: Click["point"], [x0, y0, x1, y1]: NonNullable<Group["box"]>): boolean {
  return x >= x0 && x <= x1 && y >= y0 && y <= y1;
}

function areaOf({ box }: Group): number {
  const [x0, y0, x1, y1] = box!;
  return (x1 - x0) * (y1 - y0);
}
