import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { KernelChoice } from "../src/runtime/create.ts";
import stored from "./ceilings.json" with { type: "json" };
import type { Comparison, Golden } from "./golden.ts";
import { runCases } from "./run_case.ts";

/** Tables of kernels that are compared with PyTorch. */
export const TABLES = ["portable", "auto"] as const satisfies KernelChoice[];
type Table = (typeof TABLES)[number];

/**
 * Models, or cases of one, that are compared on "auto" alone. What their portable kernels would be asked, others have answered:
 * tests of kernels hold every portable one to the bits of the scalar loops, whatever the sizes; tiny runs the same graph on them at
 * 1024×1024, small_a memory attention, edgetam_512 EdgeTAM.
 */
const ON_AUTO_ALONE = [
  ...["small.", "base_plus.", "large.", "edgetam."],
  ...["tiny_640.", "tiny_768.", "edgetam_768.", "tiny.memory_attention."],
];

/** The tables on which a case is compared, in the order of its ceilings. */
export function tablesOf(name: string): readonly Table[] {
  return ON_AUTO_ALONE.some((prefix) => name.startsWith(prefix)) ? ["auto"] : TABLES;
}

/** case → tensor → max |Δ| that was measured, rounded up, on each of `tablesOf` the case */
export const ceilings = stored as unknown as Record<string, Record<string, readonly number[]>>;

/** A tensor that is this many times closer to PyTorch than its ceiling asks for a lower one. */
const IMPROVED = 3;

/**
 * One test a tensor and table: it is as close to PyTorch as it was when its ceiling was measured. Tests stand in the
 * order in which layers finish, so the first ✘ is the culprit.
 *
 * @param relative a further bound for every tensor: max |Δ| ≤ relative · its standard deviation
 */
export async function goldenSuites(names: readonly string[], relative = Number.POSITIVE_INFINITY): Promise<void> {
  for (const table of TABLES) {
    const compared = names.filter((name) => tablesOf(name).includes(table));
    for await (const { golden, results } of runCases(compared, table)) testCase(golden, table, results, relative);
  }
}

function testCase(golden: Golden, table: Table, results: readonly Comparison[], relative: number): void {
  const title = `${golden.name} (${table})`;
  const Case = suite(title);
  const ceilingsOf = ceilings[golden.name] ?? {};
  const column = tablesOf(golden.name).indexOf(table);
  const seen = new Set(results.map(({ path }) => path));
  for (const { path, maxAbs, std, text } of results) {
    const ceiling = ceilingsOf[path]?.[column];
    Case(`${path} is within ${ceiling}`, () => {
      assert.ok(ceiling !== undefined, `${path} has no ceiling; run: npx tsx golden/measure.ts ${golden.name}`);
      assert.ok(maxAbs <= ceiling!, `${path}: ${text}; at most ${ceiling}`);
      assert.ok(maxAbs <= relative * std, `${path}: ${text}; at most ${relative} of the standard deviation ${std}`);
      if (maxAbs * IMPROVED < ceiling! && ceiling! > 1e-6)
        console.log(`improved: ${title} ${path} ${maxAbs} < ${ceiling}`);
    });
  }
  Case("every tensor of the reference is compared, but for those with a reason", () => {
    const left = golden.entry.layers.map(({ path }) => path).filter((path) => !seen.has(path) && !explained(path));
    assert.is(left.join("\n"), "");
  });
  Case("every ceiling is of a tensor and a table that are compared", () => {
    const tables = tablesOf(golden.name).length;
    const unread = Object.entries(ceilingsOf).filter(([path, list]) => !seen.has(path) || list.length !== tables);
    assert.is(unread.map(([path]) => path).join("\n"), "");
  });
  Case.run();
}

/** Tensors of the reference that our graph does not have as such, and why. */
const EXPLAINED: [pattern: RegExp, reason: string][] = [
  [
    /(mlp|mlps\.\d|_head|obj_ptr_proj)\.layers\.[01]$/,
    "the activation joins the linear layer; PyTorch's `act` is compared instead",
  ],
  [/fuser\.layers\.\d\.pwconv1$/, "the activation joins the linear layer; PyTorch's `act` is compared instead"],
  [/memory_attention\.layers\.\d\.linear1$/, "the activation joins the linear layer; linear2 is compared"],
  [
    /cross_attn_image\.v_proj$/,
    "joined to out_proj, after the attention; memory_attention.test.ts compares both forms",
  ],
  [
    /cross_attn_image\.k_proj$/,
    "where many maps are seen, keys are not projected; compared where few are, and memory_attention.test.ts compares both forms",
  ],
  [/mask_downsampler\.encoder(\.(2|5|8|11))?$/, "a container, and its GELUs, functions here"],
  [/\.pool(@\d+)?$/, "a function here; the block is compared"],
  [/neck\.convs\.\d$/, "a container of one `conv`"],
  [/position_encoding|neck#[4-7]|^image_encoder#[3-5]/, "positions of the levels: read by memory attention alone"],
  [/mask_downscaling\.[25]$|output_upscaling\.2$/, "GELU, a function here"],
  [/predict_masks#|stability_scores$/, "steps inside of MaskDecoder; what it returns is compared"],
  [/pe_layer$|dense_pe$/, "checked when the graph is built, in position_encoding.test.ts"],
  [/^spatial_perceiver#1$/, "positions of the latents: read by memory attention alone"],
  [/trunk\.pos_embed$/, "made when the graph is built; `pos_added` holds it"],
];

function explained(path: string): boolean {
  return EXPLAINED.some(([pattern]) => pattern.test(path));
}
