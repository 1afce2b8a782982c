/** The studio's page: `npm run studio` serves it while it is worked on, `npm run studio:build` writes dist/studio. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { layerSources } from "./layer_sources.ts";
import { ADDRESS_WORKER, headersOf, ISOLATION, policyOfPage } from "../src/cli/studio_headers.ts";

/** What the page is told of the source, see src/inside/sources.ts. */
const define = { __LAYER_SOURCES__: JSON.stringify(layerSources()) };

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const NANO = "nano.safetensors";
const SERVICE_WORKER = "sw.js";

/** The package as browsers have it, and for the page's own workers its source, of which they take what they use. */
const sam2 = (entry: string): Plugin => ({
  name: "sam2",
  enforce: "pre",
  resolveId: (id) => (id === "sam2-ts" ? at(entry) : undefined),
});

/** The engine's worker comes from the page's own origin: the copy of it for other pages is left out. */
const noCopyOfTheWorker: Plugin = {
  name: "no-copy-of-the-worker",
  enforce: "pre",
  load: (id) => (/worker-source-\w+\.js$/.test(id) ? 'export default ""' : undefined),
};

/** All styles are in one file, so that nothing is to be had before a piece of the page that comes later. */
const noPreload: Plugin = {
  name: "no-preload",
  enforce: "pre",
  load: (id) => (id.endsWith("vite/preload-helper.js") ? "export const __vitePreload = (load) => load();" : undefined),
};

/**
 * Of mediabunny what a page of pictures never runs: ciphers (an encrypted video is told of), the details of sound, subtitles,
 * and subscribers of its log.
 */
const LEFT_OUT: [file: RegExp, instead: string][] = [
  [
    /aes\.js$/,
    `export const AES_128_BLOCK_SIZE = 16;
export class Aes128CbcContext { constructor() { throw new Error("it is encrypted"); } }
export const createAes128CbcDecryptStream = () => new Aes128CbcContext();`,
  ],
  [
    /aac-misc\.js$/,
    `export const [aacFrequencyTable, aacChannelMap] = [[], []];
export const parseAacAudioSpecificConfig = () => ({ outputNumberOfChannels: null, outputSampleRate: null });
export const [buildAacAudioSpecificConfig, buildAdtsHeaderTemplate, writeAdtsFrameLength] = [];`,
  ],
  [
    /adts-reader\.js$/,
    `export const [MIN_ADTS_FRAME_HEADER_SIZE, MAX_ADTS_FRAME_HEADER_SIZE] = [7, 9];
export const readAdtsFrameHeader = () => null;`,
  ],
  [
    /logging\.js$/,
    `export const LogLevel = {};
export const Logging = { _error: console.error, _warn: console.warn, _info: console.info };`,
  ],
  [
    /subtitles\.js$/,
    `export const [inlineTimestampRegex, SubtitleParser, parseSubtitleTimestamp, formatSubtitleTimestamp] = [];`,
  ],
];
const picturesAlone: Plugin = {
  name: "pictures-alone",
  enforce: "pre",
  load: (id) => (id.includes("mediabunny") ? LEFT_OUT.find(([file]) => file.test(id))?.[1] : undefined),
};

/** The codecs as files beside the page, a quarter smaller than as text in it. */
const codecsAsFiles: Plugin = {
  name: "codecs-as-files",
  enforce: "pre",
  load(id) {
    const [, name] = /(mozjpeg|webp)_dec-\w+\.js$/.exec(id) ?? [];
    if (!name) return undefined;
    const wasm = at(`../node_modules/@jsquash/${name === "webp" ? "webp" : "jpeg"}/codec/dec/${name}_dec.wasm`);
    return `import url from ${JSON.stringify(`${wasm}?url`)};
export default new Uint8Array(await (await fetch(url)).arrayBuffer());`;
  },
};

/** Without what nothing refers to; with licences, headers for static hosts, and a service worker that knows all files. */
const wholeSite: Plugin = {
  name: "whole-site",
  enforce: "post",
  generateBundle(_, bundle) {
    const texts = Object.values(bundle).flatMap((file) => {
      const text = file.type === "chunk" ? file.code : file.source;
      return typeof text === "string" ? [text] : [];
    });
    for (const [name, file] of Object.entries(bundle)) {
      if (!name.startsWith("assets/") || (file.type === "chunk" && file.isEntry)) continue;
      const base = name.slice("assets/".length);
      if (!texts.some((text) => text.includes(base))) delete bundle[name];
    }
    const files = Object.keys(bundle).filter((name) => name !== SERVICE_WORKER);
    const version = createHash("sha256").update(texts.join()).digest("hex").slice(0, 12);
    const worker = bundle[SERVICE_WORKER];
    if (worker.type === "chunk") {
      const headers = Object.fromEntries(["", ADDRESS_WORKER].map((path) => [path, headersOf(path)]));
      const values = { __FILES__: files, __VERSION__: version, __HEADERS__: headers };
      for (const [name, value] of Object.entries(values)) {
        worker.code = worker.code.replaceAll(name, JSON.stringify(value));
      }
    }
    const emit = (fileName: string, source: string) => this.emitFile({ type: "asset", fileName, source });
    const rule = (path: string, headers: Record<string, string>) =>
      [path, ...Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`)].join("\n");
    const paths = ["/", "/index.html", "/assets/*", `/${NANO}`, `/${SERVICE_WORKER}`, `/${ADDRESS_WORKER}`];
    emit("_headers", `${paths.map((path) => rule(path, headersOf(path.slice(1)))).join("\n\n")}\n`);
    const own = [
      ["preact", "MIT"],
      ["mediabunny", "MPL-2.0, source at https://github.com/Vanilagy/mediabunny"],
    ].map(([name, terms]) => `${name}, ${terms}\n\n${readFileSync(at(`../node_modules/${name}/LICENSE`), "utf8")}`);
    const others = readFileSync(at("../dist/browser/LICENSES.txt"), "utf8"); // fflate's too
    emit("LICENSES.txt", [...own, others].join(`\n${"-".repeat(80)}\n\n`));
  },
};

/** The policy of the headers once more, for hosts that send none. */
const policyInThePage: Plugin = {
  name: "policy-in-the-page",
  apply: "build",
  transformIndexHtml: () => [
    {
      tag: "meta",
      attrs: { "http-equiv": "Content-Security-Policy", content: policyOfPage() },
      injectTo: "head-prepend",
    },
  ],
};

export default defineConfig({
  root: at("."),
  base: "./",
  define,
  plugins: [sam2("../dist/browser/index.js"), noCopyOfTheWorker, noPreload, codecsAsFiles, policyInThePage, wholeSite],
  worker: {
    format: "es", // in pieces
    plugins: () => [sam2("../src/index.ts"), picturesAlone],
    rolldownOptions: {
      output: {
        chunkFileNames: "assets/[name]-[hash].js",
        comments: { legal: false }, // LICENSES.txt has them
        entryFileNames: ({ name }) => (name === "address_worker" ? ADDRESS_WORKER : "assets/[name]-[hash].js"),
      },
    },
  },
  // of workers, which are not searched for what they import: found later, the page would be loaded anew
  optimizeDeps: { include: ["fflate", "mediabunny"] },
  server: { headers: ISOLATION, host: "127.0.0.1" },
  build: {
    outDir: at("../dist/studio"),
    emptyOutDir: true,
    target: "es2023",
    modulePreload: false,
    rolldownOptions: {
      input: { index: at("index.html"), sw: at("src/sw.ts") },
      output: {
        entryFileNames: ({ name }) => (name === "sw" ? SERVICE_WORKER : "assets/[name]-[hash].js"),
        // nano keeps its name: the command serves it from the package, which has it once
        assetFileNames: ({ names }) => (names.includes(NANO) ? NANO : "assets/[name]-[hash][extname]"),
      },
    },
  },
});
