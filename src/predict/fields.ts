import { PromptError } from "../errors.ts";

/** What upstream and other tools call the same things. */
const ELSEWHERE: Record<string, string[]> = {
  points: ["pointcoords", "coords", "coordinates", "clicks", "inputpoints"],
  labels: ["pointlabels", "inputlabels"],
  box: ["boxes", "bbox", "xyxy", "rectangle", "inputboxes"],
  multimask: ["multimaskoutput"],
  object: ["obj", "objid", "objectid", "id"],
  frame: ["frameidx", "frameindex", "frameid"],
  mask: ["segmentation", "maskimage", "maskinput", "maskinputs"],
  maskInput: ["mask", "maskinputs", "masklogits", "lowresmasks"],
  name: ["title"],
};

/**
 * A misspelt field would otherwise be passed over, and another mask come out. Fields of value undefined or null count as
 * left out.
 *
 * @throws PromptError with the first field that is not known, and the known one that is nearest to it
 */
export function expectFields(given: object, known: readonly string[], where: string): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || known.includes(name)) continue;
    const near = nearest(name, known);
    const todo = near === undefined ? "leave it out" : `write "${near}"`;
    throw new PromptError(where, `fields named ${known.join(", ")}`, JSON.stringify(name), todo);
  }
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replace(/[^a-z]/g, "");
  const alias = known.find((field) => ELSEWHERE[field]?.some((other) => other === plain || `${other}s` === plain));
  if (alias !== undefined) return alias;
  const [best] = known
    .map((field) => ({ field, distance: edits(plain, field.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return best.distance <= Math.max(1, best.field.length / 2) ? best.field : undefined;
}

/** Letters to insert, remove or replace. */
export function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
  }
  return row[b.length];
}
