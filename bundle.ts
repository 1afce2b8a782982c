/**
 * dist/browser/: the package as browsers have it, by esbuild. index.js has all it depends on in it; worker.js is one file
 * without imports, kernels included, and lies in a chunk of index.js once more for pages that cannot load it as a file. The
 * codecs lie in chunks of index.js.
 *
 * vendor.js and vendor.node.js of dist/server/ and dist/platform/: of the packages that are named there, what is used, so that
 * they are installed for building alone.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type BuildOptions, type Metafile, type Plugin } from "esbuild";

const OUT = "dist/browser";

/** A codec looks for its wasm file beside itself unless it is given it, as it always is: bundlers would look there too. */
const givenWasm: Plugin = {
  name: "given-wasm",
  setup({ onLoad }) {
    onLoad({ filter: /@jsquash.+codec.+\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace(/new URL\("[^"]+\.wasm",\s*import\.meta\.url\)\.href/, '""'),
    }));
  },
};

const OPTIONS: BuildOptions = {
  bundle: true,
  target: "es2022",
  loader: { ".wasm": "binary" },
  minify: true,
  metafile: true,
  plugins: [givenWasm],
  logLevel: "warning",
  logOverride: { "empty-import-meta": "silent" }, // the worker is told where nano lies
};

/** Files of videos are decoded by ffmpeg: browsers have neither it nor paths, so nothing asks for what is left out here. */
const noVideoFiles: Plugin = {
  name: "no-video-files",
  setup({ onLoad }) {
    onLoad({ filter: /src.video.video_file\.ts$/ }, () => ({ contents: "export const VideoFile = undefined" }));
  },
};

const ISC = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
`;

rmSync(OUT, { recursive: true, force: true });
const worker = await build({
  ...OPTIONS,
  entryPoints: ["src/engine/worker.browser.ts"],
  outfile: join(OUT, "worker.js"),
  format: "iife",
  plugins: [givenWasm, noVideoFiles],
});

const workerSource: Plugin = {
  name: "worker-source",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker-source$/ }, ({ path }) => ({ path, namespace: "packed" }));
    onLoad({ filter: /.*/, namespace: "packed" }, () => {
      const packed = gzipSync(readFileSync(join(OUT, "worker.js")), { level: 9 }).toString("base64");
      return { contents: `export default "${packed}"` };
    });
  },
};
const page = await build({
  ...OPTIONS,
  entryPoints: { index: "src/index.browser.ts" },
  outdir: OUT,
  format: "esm",
  splitting: true,
  plugins: [givenWasm, workerSource],
});
writeFileSync(join(OUT, "LICENSES.txt"), licences(worker.metafile, page.metafile));

await vendor("server");
await vendor("platform");

/** What a room of src/ takes from other packages, in the place of the files that name it. */
async function vendor(room: string): Promise<void> {
  const options: BuildOptions = {
    ...OPTIONS,
    outdir: `dist/${room}`,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
  };
  const require = 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);';
  const results = [
    await build({ ...options, entryPoints: [`src/${room}/vendor.ts`] }),
    await build({ ...options, entryPoints: [`src/${room}/vendor.node.ts`], banner: { js: require } }), // of Node's modules
  ];
  writeFileSync(`dist/${room}/LICENSES.txt`, licences(...results.map(({ metafile }) => metafile)));
}

/** The text of a licence that a package names, but does not come with. */
function stated(name: string, license: string, author: string | { name: string }): string {
  const texts: Record<string, () => string> = { ISC: () => ISC, "Apache-2.0": () => readFileSync("LICENSE", "utf8") };
  const text = texts[license];
  if (!text || !author)
    throw new Error(`${name}: expected a licence whose text is known, and an author, got ${license}`);
  return `Copyright (c) ${typeof author === "string" ? author : author.name}\n\n${text()}`;
}

/** Of every package that lies in the bundles. */
function licences(...metafiles: readonly (Metafile | undefined)[]): string {
  const files = metafiles.flatMap((metafile) => Object.keys(metafile!.inputs));
  const packages = new Set(files.flatMap((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
  const texts = [...packages].sort().map((name) => {
    const folder = join("node_modules", name);
    const { version, license, author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const found = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
      /LICENSE[^/]*$/.test(file),
    );
    const own = found.map((file) => readFileSync(join(folder, file), "utf8"));
    return [`${name} ${version}, ${license}`, ...(own.length > 0 ? own : [stated(name, license, author)])].join("\n\n");
  });
  return `${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}
