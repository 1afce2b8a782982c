import { UsageError } from "../../errors.ts";
import { SaxesParser } from "../vendor.ts";

/** A tag that people label with, e.g. <BrushLabels name="brush" toName="image">. */
export interface Control {
  tag: string;
  name: string;
  toName: readonly string[];
  /** of its <Label>s; none where they come with the tasks */
  labels: readonly string[];
}

/** A tag that is labelled, e.g. <Image name="image" value="$photo"/>. */
export interface Labelled {
  tag: string;
  name: string;
  /** the field of a task's data */
  field: string;
}

/** A labelling interface: what is labelled, and with what. */
export interface Labelling {
  controls: readonly Control[];
  labelled: readonly Labelled[];
}

/** @throws UsageError if it is no XML, with the place */
export function parseLabelling(xml: string): Labelling {
  const controls: (Control & { labels: string[] })[] = [];
  const labelled: Labelled[] = [];
  const open: ((Control & { labels: string[] }) | undefined)[] = [];
  const parser = new SaxesParser();
  parser.on("error", ({ message }) => {
    throw new UsageError(
      "label_config",
      "well-formed XML",
      message.slice(0, 100),
      "copy the labelling interface whole",
    );
  });
  parser.on("opentag", ({ name: tag, attributes }) => {
    const { name, toName, value, alias } = attributes as Record<string, string | undefined>;
    const around = open.findLast((control) => control !== undefined);
    let control: (typeof controls)[number] | undefined;
    if (name !== undefined && toName !== undefined) {
      control = { tag, name, toName: toName.split(",").map((one) => one.trim()), labels: [] };
      controls.push(control);
    } else if (tag === "Label" && around && (alias ?? value) !== undefined) around.labels.push((alias ?? value)!);
    else if (name !== undefined && value?.startsWith("$")) labelled.push({ tag, name, field: value.slice(1) });
    open.push(control);
  });
  parser.on("closetag", () => void open.pop());
  parser.write(xml).close();
  return { controls, labelled };
}

/** The tag that results are given to: the first of these that labels `toName`. @throws UsageError if there is none */
export function controlFor({ controls }: Labelling, tag: string, toName: string): Control {
  const control = controls.find((one) => one.tag.toLowerCase() === tag.toLowerCase() && one.toName.includes(toName));
  if (control) return control;
  const expected = `a <${tag}> with toName="${toName}"`;
  throw new UsageError("label_config", expected, "none", "add it to the labelling interface: masks are given to it");
}

/** What of the task is labelled. @throws UsageError */
export function fieldOf({ labelled }: Labelling, toName: string, tag: string): string {
  const found = labelled.find(({ name }) => name === toName);
  if (found && found.tag.toLowerCase() === tag.toLowerCase()) return found.field;
  const got = found ? `<${found.tag}>` : "none";
  throw new UsageError("label_config", `a <${tag} name="${toName}" value="$…">`, got, "see docs/serve.md");
}
