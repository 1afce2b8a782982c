// FLAGS.md against the values that golden/reference/export_flags.py took from PyTorch's builders, and against the code.
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import flags from "../../golden/flags.json" with { type: "json" };

type Values = { "2.1": unknown; "2.0": unknown };
const theirs = new Map<string, Values>(Object.entries(flags));
const here = (file: string) => readFileSync(new URL(file, import.meta.url), "utf8");
const rows = [...here("FLAGS.md").matchAll(/^\| `(\S+)` +\| (.*?) +\| (.*?) +\|$/gm)].map(([, flag, value, where]) => ({
  flag,
  value,
  where,
}));

/** The table's notation of a value. */
function written(values: Values): string {
  const [newer, older] = [values["2.1"], values["2.0"]].map((value) => JSON.stringify(value).replaceAll(",", ", "));
  return newer === older ? newer : `2.1: ${newer}, 2.0: ${older}`;
}

const Flags = suite("FLAGS.md");

Flags("every value is PyTorch's", () => {
  assert.ok(rows.length > 50, `${rows.length} rows`);
  const wrong = rows.flatMap(({ flag, value }) => {
    const values = theirs.get(flag);
    if (!values) return [`${flag}: PyTorch has no such flag`];
    const isSize = value === "a size" && typeof values["2.1"] === "number";
    return isSize || value === written(values) ? [] : [`${flag}: ${value} here, ${written(values)} there`];
  });
  assert.is(wrong.join("\n"), "");
});

Flags("no flag of SAM2Base is left out", () => {
  const known = new Set(rows.map(({ flag }) => flag));
  const left = [...theirs.keys()].filter(
    (flag) => !/^(image|memory)_(encoder|attention)\./.test(flag) && !known.has(flag),
  );
  assert.is(left.join("\n"), "");
});

Flags("every place that it names is there: a file, and code in it", () => {
  const missing = rows.flatMap(({ flag, where }) => {
    const quoted = [...where.matchAll(/`([^`]+)`/g)].map(([, text]) => text);
    let source = "";
    return quoted.flatMap((text) => {
      if (/^\w+\.ts$/.test(text)) source = here(text);
      else if (!source.includes(text)) return [`${flag}: ${text}`];
      return [];
    });
  });
  assert.is(missing.join("\n"), "");
});

Flags.run();
