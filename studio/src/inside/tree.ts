/** The layers of a trace as a tree, by module: which runs inside of which follows from paths and order. */
import type { LayerTrace } from "sam2-ts";

export interface Node {
  /** of the layer; of a stage those of its first block and its last */
  path: string;
  /** path below the node above, or what people call it */
  name: string;
  class: string;
  ms: number;
  /** absent of what is no layer itself */
  layer?: LayerTrace;
  parent?: Node;
  children: Node[];
}

const MODULES = {
  image_encoder: "Image encoder",
  sam_prompt_encoder: "Prompt encoder",
  sam_mask_decoder: "Mask decoder",
};

/** The modules of the model, with what runs in each. */
export function modulesOf(layers: readonly LayerTrace[]): Node[] {
  const modules = Object.entries(MODULES).map(([path, name]): Node => ({ path, name, class: "", ms: 0, children: [] }));
  const open: Node[] = [];
  for (const layer of layers) {
    const { path, ms } = layer;
    const module = modules.find((one) => path === one.path || path.startsWith(`${one.path}.`));
    if (!module) continue;
    if (path === module.path) {
      Object.assign(module, { layer, class: layer.class });
      module.ms += ms;
      open.splice(0, open.length, module);
      continue;
    }
    while (open.length > 0 && !path.startsWith(`${open.at(-1)!.path}.`)) open.pop();
    const parent = open.at(-1) ?? module;
    if (open.length === 0) module.ms += ms; // before the module itself runs
    const parts = path.slice(parent.path.length + 1).split(".");
    const node: Node = {
      path,
      name: parts.length > 3 ? `… ${parts.slice(-2).join(".")}` : parts.join("."), // of what runs ahead of its module
      class: layer.class,
      ms,
      layer,
      parent,
      children: [],
    };
    parent.children.push(node);
    open.push(node);
  }
  for (const { children } of modules[0].children.filter(({ name }) => name === "trunk")) {
    children.splice(0, children.length, ...inStages(children));
  }
  return modules;
}

/** Hiera's blocks follow each other without a name for a stage: those that return one shape are one. */
function inStages(blocks: readonly Node[]): Node[] {
  const nodes: Node[] = [];
  for (const block of blocks) {
    const stage = nodes.at(-1);
    if (!/^blocks\.\d+$/.test(block.name)) nodes.push(block);
    else if (stage && !stage.layer && shapeText(stage) === shapeText(block)) {
      stage.children.push(block);
      stage.ms += block.ms;
      block.parent = stage;
    } else {
      const { path, parent, ms } = block;
      const number = nodes.filter(({ layer }) => !layer).length + 1;
      const made: Node = { path: `${path} …`, name: `stage ${number}`, class: "", ms, parent, children: [block] };
      nodes.push(made);
      block.parent = made;
    }
  }
  return nodes;
}

/** 64×64×256, of what a node returns; the first of several. */
export function shapeText(node: Node): string {
  const output = (node.layer ?? node.children.at(-1)?.layer)?.output ?? [];
  const [first] = output;
  const shape = Array.isArray(first) ? first : (output as number[]);
  const more = Array.isArray(first) && output.length > 1 ? ` +${output.length - 1}` : "";
  return `${sizes(shape)}${more}`;
}

/** Without the batch, which is one. */
export function sizes(shape: readonly number[]): string {
  return (shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape).join("×");
}
