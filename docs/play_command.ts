/** The command line of docs/play.ts. */
import { parseArgs } from "node:util";
import { click as clicks, corners, count } from "../src/cli/options.ts";
import { Sam2Error, UsageError } from "../src/errors.ts";
import type { Kernels } from "../src/runtime/kernels.ts";
import { click, type Exercise, scenes, survey, track } from "./exercises.ts";
import { CLIP, SCENE } from "./nano.ts";

const HELP = `npx tsx docs/play.ts EXERCISE [options]

Exercises with nano, the demo model: run one as it is, guess what a change will do, run it changed.

  click    three masks for one click on a drawn scene, beside what should have been found
  survey   one click on every object of six scenes, as the model is and tampered with
  track    one object through a clip of 16 frames, from one click on the first
  scenes   what there is to click: objects, their codes, and where each would be clicked

Look inside:
  --watch PATH        (click, track) print each layer at or below PATH as it runs: class, shapes in → shapes out.
                      sam2 trace nano --depth 2 --video shows all paths

Tamper:
  --without TENSOR    (click, survey, track) a weight of the checkpoint becomes 0
  --scalar KERNEL     (click, survey, track) a kernel runs as the scalar loops of src/runtime/reference.ts
  --memories 1…7      (track) maps that the memory bank shows

Choose:
  --scene SEED        (click, scenes) another scene than ${SCENE.seed}
  --object CODE       (click) another object of it than ${SCENE.code}; "scenes" lists them
  --point X,Y[,0]     (click) clicks of your own, in pixels of the scene; with 0 it is not the object; may be repeated
  --box X0,Y0,X1,Y1   (click) a box; alone it needs no click
  --clip SEED         (track) another clip than ${CLIP.seed}

Try:
  npx tsx docs/play.ts click                                     the click of the tour
  npx tsx docs/play.ts click --point 200,180 --point 210,300,0   with a negative click
  npx tsx docs/play.ts click --watch sam_mask_decoder.transformer.layers.0
  npx tsx docs/play.ts track --watch memory_attention.layers.1   the memory grows from frame to frame
  npx tsx docs/play.ts track --without obj_ptr_proj.layers.2.weight
  npx tsx docs/play.ts survey --without sam_mask_decoder.iou_token.weight
`;

/** What each exercise takes. */
const EXERCISES: Record<string, { run: Exercise; takes: readonly string[] }> = {
  click: { run: click, takes: ["watch", "without", "scalar", "scene", "object", "point", "box"] },
  survey: { run: survey, takes: ["without", "scalar"] },
  track: { run: track, takes: ["watch", "without", "scalar", "memories", "clip"] },
  scenes: { run: scenes, takes: ["scene"] },
};

/** Run a command line; what it prints goes to the console. @returns the exit code */
export async function play(args: readonly string[]): Promise<number> {
  try {
    await exercise(args);
    return 0;
  } catch (error) {
    const isWrongUse = error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
    if (!isWrongUse && !(error instanceof Sam2Error)) throw error;
    console.error(`play: ${(error as Error).message.split(". ")[0]}`);
    return isWrongUse ? 2 : 1;
  }
}

async function exercise(args: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      watch: { type: "string" },
      without: { type: "string" },
      scalar: { type: "string" },
      memories: { type: "string" },
      scene: { type: "string" },
      object: { type: "string" },
      point: { type: "string", multiple: true },
      box: { type: "string" },
      clip: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const [name, ...more] = positionals;
  if (values.help || name === undefined) return console.log(HELP);
  const asked = Object.hasOwn(EXERCISES, name) ? EXERCISES[name] : undefined;
  const names = Object.keys(EXERCISES).join(", ");
  if (!asked || more.length > 0)
    throw new UsageError("exercise", `one of ${names}`, positionals.join(" "), "see --help");
  for (const option of Object.keys(values)) {
    if (asked.takes.includes(option)) continue;
    const taken = asked.takes.map((one) => `--${one}`).join(", ");
    throw new UsageError(name, `only ${taken}`, `--${option}`, "see --help");
  }
  const whole = (option: "scene" | "object" | "clip" | "memories", least: number) => {
    const text = values[option];
    return text === undefined ? undefined : count(`--${option}`, least)(text);
  };
  await asked.run({
    how: {
      without: values.without,
      scalar: values.scalar as keyof Kernels | undefined,
      memories: whole("memories", 1),
    },
    watch: values.watch,
    scene: whole("scene", 0),
    object: whole("object", 1),
    clip: whole("clip", 0),
    clicks: values.point?.reduce((list, text) => clicks(text, list), [] as ReturnType<typeof clicks>),
    box: values.box === undefined ? undefined : corners(values.box),
  });
}
