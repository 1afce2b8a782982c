import { rmSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder } from "../../tests/cli_fixture.ts";
import { drawPng } from "../../tests/pictures.ts";
import { encodePalettePng } from "../io/masks.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { type TrackPrompt, withMasks } from "../jobs/track_prompts.ts";
import { readInput } from "../platform/node_files.ts";
import { addPromptOptions, trackPromptsFromFile } from "./track_prompts.ts";

setPlatform(nodePlatform);
const { leave } = enterFolder();
writeFileSync("ids.png", encodePalettePng(Uint8Array.of(0, 1, 1, 7), 2, 2));
writeFileSync("plain.png", drawPng({ width: 2, height: 2, samples: [0, 255, 255, 0] }, { depth: 8, colour: "grey" }));
writeFileSync("dark.png", drawPng({ width: 2, height: 2, samples: [0, 9, 9, 0] }, { depth: 8, colour: "grey" }));

function flags(...args: string[]): TrackPrompt[] {
  const command = new Command().exitOverride();
  const prompts = addPromptOptions(command);
  command.parse(args, { from: "user" });
  return prompts;
}

async function read(...args: string[]) {
  const told: string[] = [];
  const prompts = await withMasks(flags(...args), readInput, (text) => told.push(text));
  return {
    prompts: prompts.map(({ object, frame, picture }) => [
      object,
      frame,
      picture && [...picture({ width: 6, height: 4 }).mask],
    ]),
    told,
  };
}

async function refuses(call: () => Promise<unknown>, message: RegExp): Promise<void> {
  try {
    await call();
  } catch (error) {
    assert.match((error as Error).message, message);
    return;
  }
  assert.unreachable(`not refused: ${message}`);
}

const Track = suite("prompts of track");
Track.after(leave);

Track("a map of ids gives one object for each when none is open, on whatever frame, and that is said", async () => {
  const want = [
    [1, 0, [0, 1, 1, 0]],
    [7, 0, [0, 0, 0, 1]],
  ];
  assert.equal(await read("--mask", "ids.png"), { prompts: want, told: ["ids.png: read as a map of ids: 1, 7"] });
  const later = (await read("--frame", "5", "--mask", "ids.png")).prompts;
  assert.equal(later, want.map(([id, , mask]) => [id, 5, mask])); // prettier-ignore
});

Track(
  "with an object open, a map of one id is its mask, and one of several is refused with the list of them",
  async () => {
    const { prompts } = await read("--object", "3", "--mask", "dark.png");
    assert.equal(prompts, [[3, 0, [0, 1, 1, 0]]]);
    await refuses(
      () => read("--object", "3", "--mask", "ids.png"),
      /ids\.png: expected one object, got a map of ids: 1, 7/,
    );
  },
);

Track("plain black and white is object 1 without a word", async () => {
  assert.equal(await read("--mask", "plain.png"), { prompts: [[1, 0, [0, 1, 1, 0]]], told: [] });
});

Track("a second --box or --mask for the same object and frame is refused, naming --prompts", async () => {
  const box = ["--box", "1,1,2,2"];
  await refuses(
    async () => flags(...box, ...box),
    /--box: expected one for an object on a frame, got a second; .*--prompts/,
  );
  const mask = ["--mask", "plain.png"];
  await refuses(async () => flags("--object", "1", ...mask, ...mask), /--mask: .*--prompts/);
  assert.is(flags("--object", "1", ...box, "--object", "2", ...box, "--frame", "4", ...box).length, 3);
});

Track(
  "a file holds one object or a list; names stay, unknown fields are refused with the nearest known one",
  async () => {
    const parse = (value: unknown) => {
      writeFileSync("prompts.json", JSON.stringify(value));
      return trackPromptsFromFile("prompts.json");
    };
    const [one] = await parse({ object: 2, points: [[1, 2]], name: "left dog" });
    assert.equal([one.object, one.frame, one.name], [2, 0, "left dog"]);
    assert.is((await parse([{ points: [[1, 2]] }, { points: [[3, 4]] }])).length, 2);
    await refuses(
      () => parse([{ obj_id: 1 }]),
      /prompts\.json\[0\]: expected fields named .*, got "obj_id"; write "object"/,
    );
    await refuses(() => parse({ frame_idx: 1 }), /prompts\.json: .*got "frame_idx"; write "frame"/);
    await refuses(() => parse({ points: [{ x: 1, y: 2 }] }), /prompts\.json\.points: expected a list of \[x, y\]/);
    rmSync("prompts.json");
  },
);

Track.run();
