/** The studio's page: `npm run studio` serves it while it is worked on, `npm run studio:build` writes dist/studio. */
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { ISOLATION } from "../src/cli/studio_headers.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

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

export default defineConfig({
  root: at("."),
  base: "./",
  plugins: [sam2("../dist/browser/index.js"), noCopyOfTheWorker],
  worker: { plugins: () => [sam2("../src/index.ts")] },
  server: { headers: ISOLATION, host: "127.0.0.1" },
  build: {
    outDir: at("../dist/studio"),
    emptyOutDir: true,
    target: "es2023",
    modulePreload: false,
    rolldownOptions: {
      output: {
        // nano keeps its name: the command serves it from the package, which has it once
        assetFileNames: ({ names }) =>
          names.includes("nano.safetensors") ? "[name][extname]" : "assets/[name]-[hash][extname]",
      },
    },
  },
});
