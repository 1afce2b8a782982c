// verify_official.ts from end to end without the internet: a server of this process has a file of the structure of Meta's
// tiny 2.1, with hash weights, and a drawn photo; what PyTorch says of these two stands in the goldens.
import { readdirSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { zipSync } from "fflate";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Output } from "../src/cli/io.ts";
import { encodePng } from "../src/io/png.ts";
import { parameters } from "../src/model/parameters.ts";
import { numel, type Shape } from "../src/tensor/shape.ts";
import { enterFolder } from "../tests/cli_fixture.ts";
import { Golden } from "./golden.ts";
import { goldenImage } from "./hash_image.ts";
import { hashWeights } from "./hash_weights.ts";
import { compare, type PublishedExample, TRUCK, verifyOfficial } from "./verify_official.ts";

const golden = new Golden("tiny.point");
const { seed, width, height } = golden.entry.image!;

const files: Record<string, Uint8Array> = {
  "/sam2.1_hiera_tiny.pt": torchFile(),
  "/photo.png": encodePng({ width, height, channels: 3, data: goldenImage(seed, width, height) }),
};
const http = createServer(({ url = "" }, response) => {
  const body = files[url];
  if (body) response.writeHead(200, { "content-length": body.length, etag: '"one"' }).end(body);
  else response.writeHead(404).end();
});
const server = await listen(http);
const closed = createServer();
const nobody = await listen(closed);
closed.close();

const example: PublishedExample = {
  model: "tiny",
  photo: `${server}/photo.png`,
  point: golden.entry.prompt!.point_coords![0],
  iouPredictions: [...golden.tensor("output.iou_predictions").data].sort((a, b) => b - a),
};

const { leave } = enterFolder();
const Verify = suite("verify:official");
Verify.after(() => {
  leave();
  http.close();
});

async function verify(changes: Partial<PublishedExample> = {}, from = server) {
  const texts = { stdout: "", stderr: "" };
  const collect = (name: "stdout" | "stderr"): Output => ({
    write: (text) => {
      texts[name] += text;
    },
  });
  const code = await verifyOfficial(
    { ...example, ...changes },
    {
      stdout: collect("stdout"),
      stderr: collect("stderr"),
      env: { SAM2_CACHE: join(process.cwd(), "cache"), SAM2_DOWNLOAD_URL: from },
      signal: new AbortController().signal,
    },
  );
  return { code, ...texts };
}

Verify("without a network: one line that says what was expected, and exit code 1", async () => {
  const { code, stdout, stderr } = await verify({}, nobody);
  assert.equal([code, stdout], [1, ""]);
  assert.match(
    stderr,
    /^sam2: \S+hiera_tiny\.pt: expected an answer, got none \(ECONNREFUSED\); check the network.*\n$/,
  );
});

Verify("downloads checkpoint and photo, clicks, and finds the figures of PyTorch", async () => {
  const { code, stdout, stderr } = await verify();
  assert.equal([code, stderr], [0, ""], stdout);
  assert.match(stdout, /\n3 of 3 agree within 0\.001\n$/);
  assert.equal(readdirSync("cache").sort(), [
    "photo.png",
    "photo.png.sha256",
    "sam2.1_hiera_tiny.pt",
    "sam2.1_hiera_tiny.pt.sha256",
  ]);
});

Verify("a figure that differs by more than 0.001 is an error, and the table says which", () => {
  const [table, agree] = compare(TRUCK.iouPredictions, [0.9556, 0.4952, 0.0418]);
  assert.is(agree, false);
  assert.match(table, /0\.4932 +0\.4952 +2\.0e-3 {2}✘\n/);
  assert.match(table, /\n2 of 3 agree within 0\.001\n$/);
  assert.is(compare(TRUCK.iouPredictions, TRUCK.iouPredictions)[1], true);
});

Verify("a photo that cannot be had, or is another one, is a typed error", async () => {
  const missing = await verify({ photo: `${server}/other.png` });
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /^sam2: \S+other\.png: expected the file, got HTTP status 404; .*\n$/);
  files["/third.png"] = new Uint8Array(8);
  const other = await verify({ photo: `${server}/third.png`, photoSha256: TRUCK.photoSha256 });
  assert.is(other.code, 1);
  assert.match(other.stderr, /^sam2: \S+third\.png: expected SHA-256 941715e7\w+, got \w+; name a copy.*\n$/);
});

Verify.run();

async function listen(http: Server): Promise<string> {
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

/** tiny 2.1 with hash weights, as torch.save({"model": state_dict}) writes it: all tensors in one storage. */
function torchFile(): Uint8Array {
  const tensors = [...hashWeights(parameters(golden.entry.model))];
  const total = tensors.reduce((sum, [, { shape }]) => sum + numel(shape), 0);
  const values = new Float32Array(total);
  const text = (s: string) => `X${word(s.length)}${s}`;
  const int = (n: number) => `J${word(n)}`;
  const ints = (list: Shape) => `(${list.map(int).join("")}t`;
  const storage = `(${text("storage")}ctorch\nFloatStorage\n${text("0")}${text("cpu")}${int(total)}tQ`;
  let pickle = `\x80\x02}(${text("model")}}(`;
  let offset = 0;
  for (const [name, { shape, read }] of tensors) {
    const stride = shape.map((_, axis) => numel(shape.slice(axis + 1)));
    const view = `${storage}${int(offset)}${ints(shape)}${ints(stride)}\x89ccollections\nOrderedDict\n)R`;
    pickle += `${text(name)}ctorch._utils\n_rebuild_tensor_v2\n(${view}tR`;
    read(values.subarray(offset, offset + numel(shape)));
    offset += numel(shape);
  }
  const latin1 = (s: string) => Uint8Array.from(s, (c) => c.charCodeAt(0));
  const records = { "tiny/data.pkl": latin1(`${pickle}uu.`), "tiny/data/0": new Uint8Array(values.buffer) };
  return zipSync(records, { level: 0 });
}

/** 32 bits, the lowest first. */
function word(n: number): string {
  return String.fromCharCode(n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24);
}
