import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../errors.ts";
import { type HieraConfig, variantConfig } from "../model/config.ts";
import { checkTensors, deriveConfig, isMemoryTensor } from "../model/derive_config.ts";
import { checkpointConfig, expectTensors } from "../model/load.ts";
import { parameters } from "../model/parameters.ts";
import { browserPlatform } from "../platform/browser.ts";
import { browserDownloads } from "../platform/browser_cache.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { numel, type Shape } from "../tensor/shape.ts";
import { type Checkpoint, readCheckpoint } from "./checkpoint.ts";
import { writeSafetensors } from "./safetensors.ts";

setPlatform(nodePlatform);

const FIXTURES = new URL("../../golden/cases/checkpoints/", import.meta.url);
const fixture = (name: string) => new Uint8Array(readFileSync(new URL(name, FIXTURES)));
const ascii = (text: string) => new TextEncoder().encode(text);

function read({ tensors }: Checkpoint, name: string): number[] {
  const stored = tensors.get(name)!;
  const values = new Float32Array(numel(stored.shape));
  stored.read(values);
  return [...values];
}
async function refusal(source: Parameters<typeof readCheckpoint>[0], options = {}): Promise<string> {
  try {
    (await readCheckpoint(source, options)).close();
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
  return "accepted";
}
/** A folder with these files, for as long as `use` runs. */
async function inFolder(files: Record<string, Uint8Array | string>, use: (folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "sam2-test-"));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
async function onServer(listener: RequestListener, use: (address: string) => Promise<void>) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

// ---- where a checkpoint may come from -----------------------------------------------------------------------------------

const PT = fixture("state_dict.pt");
const RAMP = [0, 1, 2, 3, 4, 5].map((i) => i / 8);

const Sources = suite("readCheckpoint: sources");
Sources("bytes, an ArrayBuffer, a Blob, a path and a file URL give the same tensors", async () => {
  const path = new URL("state_dict.pt", FIXTURES);
  for (const source of [PT, PT.slice().buffer, new Blob([PT]), path, decodeURIComponent(path.pathname)]) {
    const checkpoint = await readCheckpoint(source);
    assert.equal(read(checkpoint, "0.weight"), RAMP);
    assert.equal([checkpoint.format, checkpoint.names], ["torch", "meta"]);
    checkpoint.verify();
    checkpoint.close();
  }
});
Sources("an address is downloaded, with progress up to the size, and its file is gone when closed", async () => {
  await onServer(
    (_, response) => response.setHeader("content-length", PT.length).end(PT),
    async (address) => {
      const seen: [number, number | undefined][] = [];
      const onProgress = (loaded: number, total: number | undefined) => seen.push([loaded, total]);
      const checkpoint = await readCheckpoint(`${address}/state_dict.pt`, { onProgress });
      assert.equal(read(checkpoint, "0.weight"), RAMP);
      assert.equal(seen.at(-1), [PT.length, PT.length]);
      checkpoint.close();
      assert.throws(() => read(checkpoint, "0.weight"));
    },
  );
});
Sources("an address that answers 404 is named with its status", async () => {
  await onServer(
    (_, response) => response.writeHead(404).end("no"),
    async (address) =>
      assert.match(await refusal(`${address}/x.pt`), /\/x\.pt: expected the file, got HTTP status 404/),
  );
});
Sources("an address that nobody answers is named", async () => {
  assert.match(
    await refusal("http://127.0.0.1:1/x.pt"),
    /x\.pt: expected an answer, got none \(.+\); check the network, and the proxy/,
  );
});
Sources("an aborted download rejects with the signal's reason, before and during it", async () => {
  await onServer(
    (_, response) => response.write(PT.subarray(0, 100)),
    async (address) => {
      for (const delay of [0, 50]) {
        const controller = new AbortController();
        const reason = new Error("enough");
        setTimeout(() => controller.abort(reason), delay);
        const outcome = await readCheckpoint(`${address}/x.pt`, { signal: controller.signal }).catch((error) => error);
        assert.is(outcome, reason);
      }
    },
  );
});
Sources("a path without a file is named", async () => {
  assert.match(
    await refusal("/no/such/file.pt"),
    /^\/no\/such\/file\.pt: expected a file that can be read, got ENOENT/,
  );
});
Sources("a folder with one checkpoint is that checkpoint; with none or two, its files are listed", async () => {
  await inFolder({ "x.pt": PT, "readme.md": "text" }, async (folder) => {
    const checkpoint = await readCheckpoint(folder);
    assert.is(checkpoint.name, `${folder}/x.pt`);
    checkpoint.close();
    writeFileSync(join(folder, "y.safetensors"), fixture("f32.safetensors"));
    assert.match(await refusal(folder), /a single \.safetensors or \.pt file, got x\.pt, y\.safetensors; name one/);
  });
  await inFolder({}, async (folder) => assert.match(await refusal(folder), /got none; name one/));
});
Sources("in a browser, bytes, a Blob and an address do; a path is refused", async () => {
  setPlatform({ ...browserPlatform, ...browserDownloads });
  try {
    await onServer(
      (_, response) => response.end(PT),
      async (address) => {
        for (const source of [PT, new File([PT], "state_dict.pt"), `${address}/state_dict.pt`]) {
          const checkpoint = await readCheckpoint(source);
          assert.equal(read(checkpoint, "0.weight"), RAMP);
          checkpoint.close();
        }
      },
    );
    await readCheckpoint("state_dict.pt").then(
      () => assert.unreachable(),
      (error) => assert.match(error.message, /state_dict\.pt: expected a platform with files, got a browser/),
    );
  } finally {
    setPlatform(nodePlatform);
  }
});
Sources.run();

// ---- what else is found under such names ----------------------------------------------------------------------------------

const Wrong = suite("readCheckpoint: the usual wrong files are recognised");
const LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 155906050\n";
const wrong: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ["an empty file", new Uint8Array(0), /got an empty file; download it again/],
  ["a Git LFS pointer", ascii(LFS), /got a Git LFS pointer; fetch the file with git lfs pull/],
  ["a web page", ascii("\n<!DOCTYPE html><html>"), /got a web page; download the file itself/],
  ["an XML error", ascii('<?xml version="1.0"?><Error/>'), /got a web page/],
  [
    "a JSON error",
    ascii('{"error":"Repository not found"}'),
    /got JSON; see whether it is an error message; for shards pass the folder/,
  ],
  ["a plain pickle", Uint8Array.of(0x80, 4, 0x95, 0, 0), /got a plain pickle; save the state_dict/],
  ["a TorchScript archive", fixture("script.pt"), /got a TorchScript archive; save model\.state_dict\(\)/],
  ["a file that holds an object of one's own", fixture("foreign.pt"), /got __main__\.Own; save only the state_dict/],
  ["an image", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16, 74, 70, 73, 70), /got a file that begins with "ÿØÿà/],
];
for (const [what, bytes, message] of wrong) {
  Wrong(what, async () => {
    const text = await refusal(bytes);
    assert.match(text, message);
    assert.match(text, /^bytes: /);
  });
}
Wrong.run();

// ---- transformers ---------------------------------------------------------------------------------------------------------

/** The Sam2VideoModel that transformers_names.json tells of, under Meta's names. */
const CONFIG: HieraConfig = {
  ...variantConfig("tiny", "2.1"),
  name: "custom",
  stages: [1, 1, 1, 1],
  memoryAttentionLayers: 1,
  fuserLayers: 1,
  globalAttBlocks: [2],
};
const CONFIG_JSON = {
  image_size: 1024,
  vision_config: {
    backbone_config: {
      num_attention_heads: 1,
      num_attention_heads_per_stage: [1, 2, 4, 8],
      window_size_per_stage: [8, 4, 14, 7],
      global_attention_blocks: [2],
      image_size: [512, 512],
    },
  },
};

function flatten(tree: object, path: string[] = []): [string, Shape][] {
  return Object.entries(tree).flatMap(([name, below]): [string, Shape][] =>
    Array.isArray(below) ? [[[...path, name].join("."), below]] : flatten(below, [...path, name]),
  );
}
const SHAPES = flatten(JSON.parse(new TextDecoder().decode(fixture("transformers_names.json"))));

/** A safetensors file of I8 zeros: its header alone matters. */
function zeros(shapes: readonly [string, Shape][]): Uint8Array {
  let end = 0;
  const entries = shapes.map(([name, shape]) => {
    const start = end;
    end += numel(shape);
    return [name, { dtype: "I8", shape, data_offsets: [start, end] }];
  });
  const header = ascii(JSON.stringify(Object.fromEntries(entries)));
  const bytes = new Uint8Array(8 + header.length + end);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 8);
  return bytes;
}

const PE = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";
const small = (tensors: Record<string, [Shape, number[]]>) =>
  writeSafetensors(
    new Map(Object.entries(tensors).map(([name, [shape, data]]) => [name, { shape, data: Float32Array.from(data) }])),
  );
const POS_EMBED: Record<string, [Shape, number[]]> = { "vision_encoder.backbone.pos_embed": [[1], [0]] };

const Transformers = suite("readCheckpoint: transformers' names");
Transformers("every name of a Sam2VideoModel becomes Meta's, with its shape, and none is left over", async () => {
  const checkpoint = await readCheckpoint(zeros(SHAPES));
  assert.is(checkpoint.names, "transformers");
  assert.is(checkpoint.tensors.size, parameters(CONFIG).size);
  assert.equal(checkTensors(CONFIG, checkpoint.tensors), { missing: [], unexpected: [], wrongShape: [] });
});
Transformers("config.json tells heads, windows, global blocks and image size", async () => {
  await inFolder({ "model.safetensors": zeros(SHAPES), "config.json": JSON.stringify(CONFIG_JSON) }, async (folder) => {
    for (const path of [
      folder,
      `${folder}/`,
      join(folder, "model.safetensors"),
      pathToFileURL(join(folder, "model.safetensors")),
    ]) {
      const checkpoint = await readCheckpoint(path);
      assert.equal(checkpointConfig(checkpoint), CONFIG);
      expectTensors(checkpoint, CONFIG, "video");
      checkpoint.close();
    }
  });
});
Transformers("an image-only model does for images; video names what is missing", async () => {
  const image = SHAPES.filter(([name]) =>
    /^(vision|prompt|mask)_(en|de)coder\.|^shared_|^no_memory_embedding/.test(name),
  );
  const checkpoint = await readCheckpoint(zeros(image));
  const config = deriveConfig(checkpoint.tensors, { ...CONFIG_JSON, ...CONFIG });
  const { missing } = checkTensors(config, checkpoint.tensors);
  assert.ok(missing.length > 50 && missing.every(isMemoryTensor), missing.join());
  expectTensors(checkpoint, config, "image");
  assert.throws(
    () => expectTensors(checkpoint, config, "video"),
    /SAM 2\.1 custom, got missing maskmem_tpos_enc, .* and \d+ more; it does for images; to track, load a file/,
  );
});
Transformers("point embeddings are rows of one tensor", async () => {
  const points: [Shape, number[]] = [
    [4, 2],
    [0, 1, 2, 3, 4, 5, 6, 7],
  ];
  const checkpoint = await readCheckpoint(small({ ...POS_EMBED, "prompt_encoder.point_embed.weight": points }));
  assert.equal(read(checkpoint, "sam_prompt_encoder.point_embeddings.2.weight"), [4, 5]);
  assert.not(checkpoint.tensors.has("sam_prompt_encoder.point_embed.weight"));
});
Transformers("point embeddings of another number stay one tensor, to be reported", async () => {
  const points: [Shape, number[]] = [[1_000_000_000, 0], []];
  const checkpoint = await readCheckpoint(small({ ...POS_EMBED, "prompt_encoder.point_embed.weight": points }));
  assert.ok(checkpoint.tensors.has("sam_prompt_encoder.point_embed.weight"));
});
Transformers("the Fourier matrix may stand under either name, or under both with equal values", async () => {
  const names = ["shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding"];
  const matrix: [Shape, number[]] = [
    [2, 1],
    [3, 4],
  ];
  for (const used of [names, names.slice(0, 1), names.slice(1)]) {
    const checkpoint = await readCheckpoint(
      small({ ...POS_EMBED, ...Object.fromEntries(used.map((name) => [name, matrix])) }),
    );
    assert.equal(read(checkpoint, PE), [3, 4]);
  }
  const different = small({
    ...POS_EMBED,
    [names[0]]: matrix,
    [names[1]]: [
      [2, 1],
      [3, 5],
    ],
  });
  assert.match(await refusal(different), /positional_embedding: expected the values that .* already has, got others/);
});
Transformers("unknown names stay, to be reported as unexpected", async () => {
  const checkpoint = await readCheckpoint(small({ ...POS_EMBED, "lm_head.weight": [[1], [0]] }));
  assert.ok(checkpoint.tensors.has("lm_head.weight"));
});
Transformers.run();

// ---- shards ---------------------------------------------------------------------------------------------------------------

const INDEX = "model.safetensors.index.json";
const shards = {
  "model-1.safetensors": small({ a: [[1], [1]] }),
  "model-2.safetensors": small({ b: [[1], [2]], c: [[1], [3]] }),
};
const map = { a: "model-1.safetensors", b: "model-2.safetensors", c: "model-2.safetensors" };
const index = (weight_map: unknown) => JSON.stringify({ metadata: { total_size: 12 }, weight_map });

const Shards = suite("readCheckpoint: shards");
Shards("a folder, the path of its index and the address of its index give the union", async () => {
  await inFolder({ ...shards, [INDEX]: index(map) }, async (folder) => {
    const listener: RequestListener = ({ url }, response) => response.end(readFileSync(join(folder, url!.slice(1))));
    await onServer(listener, async (address) => {
      for (const source of [folder, join(folder, INDEX), `${address}/${INDEX}`]) {
        const checkpoint = await readCheckpoint(source);
        assert.equal(
          ["a", "b", "c"].map((name) => read(checkpoint, name)),
          [[1], [2], [3]],
        );
        checkpoint.close();
      }
    });
  });
});
const broken: [what: string, content: string, message: RegExp][] = [
  ["an index without a map", "{}", /weight_map: expected names of \.safetensors files/],
  ["an empty map", index({}), /weight_map: expected names of \.safetensors files/],
  [
    "a map to a file elsewhere",
    index({ a: "../model-1.safetensors" }),
    /weight_map: expected names .* in the same folder/,
  ],
  ["a map to a number", index({ a: 1 }), /weight_map: expected names/],
  ["an index that is not JSON", "{", /index\.json: expected JSON in UTF-8/],
  [
    "a tensor named twice",
    `{"weight_map":{"a":"model-1.safetensors","a":"model-2.safetensors"}}`,
    /expected every key once, got "a" again/,
  ],
  [
    "a shard that is missing",
    index({ ...map, d: "model-3.safetensors" }),
    /model-3\.safetensors: expected a file that can be read/,
  ],
  [
    "a tensor in another shard",
    index({ ...map, b: "model-1.safetensors" }),
    /model-2\.safetensors: b: expected this file as its place in the index, got model-1/,
  ],
  [
    "a tensor that the index lacks",
    index({ a: map.a, b: map.b }),
    /model-2\.safetensors: c: expected this file as its place in the index, got none/,
  ],
  [
    "a tensor that the shard lacks",
    index({ ...map, d: "model-2.safetensors" }),
    /model-2\.safetensors: d: expected a tensor, as the index says/,
  ],
];
for (const [what, content, message] of broken) {
  Shards(`${what} is refused`, () =>
    inFolder({ ...shards, [INDEX]: content }, async (folder) => assert.match(await refusal(folder), message)),
  );
}
Shards.run();

// ---- from the file to the configuration -------------------------------------------------------------------------------------

const Config = suite("checkpointConfig");
const withMetadata = (metadata: Record<string, string>, config = variantConfig("tiny", "2.1")) => {
  const tensors = [...parameters(config)].map(([name, shape]): [string, Shape] => [name, shape]);
  const bytes = zeros(tensors);
  const headerSize = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerSize)));
  const text = ascii(JSON.stringify({ __metadata__: metadata, ...header }));
  const changed = new Uint8Array(8 + text.length + bytes.length - 8 - headerSize);
  new DataView(changed.buffer).setUint32(0, text.length, true);
  changed.set(text, 8);
  return changed;
};
const SMALL: HieraConfig = { ...CONFIG, dModel: 32, memDim: 16, embedDim: 8, decoderMlpDim: 64 };
const { imageSize, numHeads, windowSpec, globalAttBlocks } = SMALL;
Config("the entry config of the metadata tells what the shapes do not", async () => {
  const config = JSON.stringify({ name: "mine", imageSize, numHeads, windowSpec, globalAttBlocks });
  const checkpoint = await readCheckpoint(withMetadata({ config }, SMALL));
  assert.equal(checkpointConfig(checkpoint), { ...SMALL, name: "mine" });
});
Config("a named configuration and an image size count more than the file", async () => {
  const config = JSON.stringify({ imageSize: 256, numHeads: 2 });
  const checkpoint = await readCheckpoint(withMetadata({ config }));
  assert.is((checkpointConfig(checkpoint) as HieraConfig).numHeads, 2);
  assert.equal(checkpointConfig(checkpoint, { config: "2.0:tiny" }), variantConfig("tiny", "2.1"));
  assert.is(checkpointConfig(checkpoint, { config: "tiny", imageSize: 512 }).imageSize, 512);
  assert.equal(checkpointConfig(checkpoint, { config: "tiny_512" }), {
    ...variantConfig("tiny", "2.1"),
    imageSize: 512,
  });
  assert.is(checkpointConfig(checkpoint, { config: "tiny_512", imageSize: 768 }).imageSize, 768);
});
Config("an unknown name and one that does not fit are refused", async () => {
  const checkpoint = await readCheckpoint(withMetadata({}));
  assert.throws(
    () => checkpointConfig(checkpoint, { config: "huge" }),
    /config: expected tiny, small, base_plus, large, got "huge"/,
  );
  assert.throws(
    () => checkpointConfig(checkpoint, { config: "tiny_500" }),
    /imageSize: expected a multiple of 32, got 500/,
  );
  assert.throws(
    () => checkpointConfig(checkpoint, { config: "large" }),
    /config: expected tiny, whose shapes the file has, got "large"/,
  );
});
Config("a config entry that is no JSON object is refused", async () => {
  assert.match(await refusal(withMetadata({ config: "[1]" })), /metadata: config: expected a JSON object/);
});
Config("missing and unexpected tensors are refused by full name", async () => {
  const tensors = [...parameters(variantConfig("tiny", "2.1"))].map(([name, shape]): [string, Shape] => [name, shape]);
  tensors[tensors.findIndex(([name]) => name === "sam_mask_decoder.iou_token.weight")][0] = "iou_token";
  const checkpoint = await readCheckpoint(zeros(tensors));
  const message =
    /the tensors of SAM 2\.1 tiny, got missing sam_mask_decoder\.iou_token\.weight; unexpected iou_token; it looks like SAM 2\.1 tiny, .* see all/;
  assert.throws(() => checkpointConfig(checkpoint), message);
});
Config.run();
