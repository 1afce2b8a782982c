// Every shape in a comment of the graph is what runs there. See shape_comments/instrument.ts for what is read.
import { readdirSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { formula } from "./shape_comments/formula.ts";
import type { Group, Spec } from "./shape_comments/instrument.ts";
import { disagreements } from "./shape_comments/recorder.ts";
import { FIXED, observe } from "./shape_comments/scenario.ts";

const { specs, unread, recorder } = await observe();

const Shapes = suite("shape comments of src/model");

Shapes("each is what runs there", () => {
  assert.is([...recorder.wrong, ...disagreements(specs, recorder.seen, FIXED)].join("\n"), "");
});

Shapes("each stands where it can be checked, and is", () => {
  assert.is(unread.join("\n"), "");
  const seen = new Set(recorder.seen.map(({ spec, item }) => `${spec} ${Math.max(0, item)}`));
  const never = specs.flatMap(({ id, items }) =>
    items.flatMap(([{ text }], i) => (seen.has(`${id} ${i}`) ? [] : [`${id} ${text}`])),
  );
  assert.is(never.join("\n"), "");
});

const root = new URL("../src/model/", import.meta.url);
const headOf = (file: string) => /^\/\*\*[^]*?\*\//.exec(readFileSync(new URL(file, root), "utf8"))?.[0] ?? "";
/** Letters of the table. */
const declared = new Set(
  [...headOf("config.ts").matchAll(/(?<= {4,})(H W|Q K|nW|[A-Za-z])(?= )/g)].flatMap(([, name]) => name.split(" ")),
);

/** Longer names speak for themselves. */
const isLetter = (name: string) => /^([A-Za-z]|nW)'*$/.test(name);

Shapes("letters are those of the table in config.ts, or variables in sight", () => {
  const sight = new Map<string, Set<string>>();
  for (const { spec, scope } of recorder.seen) sight.set(spec, new Set([...(sight.get(spec) ?? []), ...scope.keys()]));
  const used = specs.flatMap(({ id, items }) =>
    items
      .flat()
      .flatMap(({ sizes }) =>
        sizes.flatMap(({ letters }) => letters.filter(isLetter).map((letter) => ({ id, letter }))),
      ),
  );
  const unknown = used.filter(
    ({ id, letter }) => !declared.has(letter.replace(/'+$/, "")) && !sight.get(id)?.has(letter),
  );
  assert.is(unknown.map(({ id, letter }) => `${id} ${letter}`).join("\n"), "");
});

Shapes("a file's head names letters of the table only", () => {
  const wrong = readdirSync(root)
    .filter((file) => /(?<!\.test)\.ts$/.test(file) && file !== "config.ts")
    .flatMap((file) =>
      headOf(file)
        .split("\n")
        .filter((line) => line.includes(" · "))
        .flatMap((line) => line.slice(3).split(" · "))
        .flatMap((item) => /^((?:[A-Za-z]W? )+)/.exec(item)?.[1].trim().split(" ") ?? [])
        .filter((letter) => isLetter(letter) && !declared.has(letter))
        .map((letter) => `${file}: ${letter}`),
    );
  assert.is(wrong.join("\n"), "");
  assert.ok(declared.size > 14, [...declared].join(" "));
});

/** The spec with another formula for one size. */
function changed(spec: Spec, item: number, group: Group, axis: number): Spec {
  const sizes = group.sizes.with(axis, formula(`(${group.sizes[axis].text}) + 1`)!);
  return {
    ...spec,
    items: spec.items.with(
      item,
      spec.items[item].map((one) => (one === group ? { ...one, sizes } : one)),
    ),
  };
}

Shapes("none could have another size: every size of every comment, one more, is found", () => {
  const unnoticed: string[] = [];
  const bySpec = new Map(specs.map((spec) => [spec.id, recorder.seen.filter((one) => one.spec === spec.id)]));
  for (const spec of specs) {
    const calls = new Set(bySpec.get(spec.id)!.map(({ call }) => call));
    const near = recorder.seen.filter(({ call }) => calls.has(call));
    for (const [i, groups] of spec.items.entries()) {
      for (const group of groups) {
        for (const axis of group.sizes.keys()) {
          if (/^[HWNS]$/.test(group.sizes[axis].text)) continue; // any size: alone it only gets its name here
          const others = specs.map((one) => (one === spec ? changed(spec, i, group, axis) : one));
          if (disagreements(others, near, FIXED).length === 0) unnoticed.push(`${spec.id} ${group.text}, size ${axis}`);
        }
      }
    }
  }
  assert.is(unnoticed.join("\n"), "");
});

Shapes("a comment that is changed by hand is named, whichever kind it is", async () => {
  const changes: [file: string, from: string, to: string][] = [
    ["hiera.ts", "// [nW, h, N, d]", "// [nW, h, S, d]"],
    ["memory_bank.ts", "@shape tDiffs [n] → [1, n·parts, C]", "@shape tDiffs [n] → [1, parts, C]"],
    ["prompt_encoder.ts", "/** [B, P, 2], pixels", "/** [B, 2, P], pixels"],
  ];
  const found = await observe((file, source) => {
    const change = changes.find(([name]) => name === file);
    assert.ok(!change || source.includes(change[1]), `${file} has another comment now`);
    return change ? source.replace(change[1], change[2]) : source;
  });
  const text = disagreements(found.specs, found.recorder.seen, FIXED).join("\n");
  assert.match(text, /^hiera\.ts:\d+: \[nW, h, S, d\] is \[/m);
  assert.match(text, /^memory_bank\.ts:\d+: \[1, parts, C\] is \[/m);
  assert.match(text, /^prompt_encoder\.ts:\d+: \[B, 2, P\] is \[/m);
});

Shapes.run();
