/**
 * Next.js with Turbopack, by hand: a client component and an API route that import the package, built and started.
 *
 *     mkdir app && cd app && npm init -y && npm install next@16 react react-dom
 *     npx tsx tests/bundlers/next.ts APP      # prints what both answer
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expectBuilt } from "../built.ts";
import { launchChromium, withPage } from "../chromium.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const app = resolve(process.argv[2]);
const PORT = 3717;
const URL_OF_APP = `http://localhost:${PORT}/`;

const CONFIG = `export default {
  headers: async () => [{ source: "/:path*", headers: [
    { key: "Cross-Origin-Opener-Policy", value: "same-origin" },
    { key: "Cross-Origin-Embedder-Policy", value: "require-corp" },
  ] }],
};`;
const SEGMENT = `const sam2 = await Sam2.fromPretrained(undefined, { threads: 2 });
  const predictor = new ImagePredictor(sam2);
  await predictor.setImage({ width: 64, height: 48, data: new Uint8Array(64 * 48 * 3) });
  const { masks } = await predictor.predict({ points: [[30, 20]] });
  await sam2.dispose();
  const answer = { threads: sam2.threads, masks: masks.length };`;
const FILES: Record<string, string> = {
  "package.json": JSON.stringify({ name: "app", private: true, type: "module" }),
  "next.config.mjs": CONFIG,
  "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;",
  "app/page.js": `"use client";
import { useEffect } from "react";
import { ImagePredictor, Sam2 } from "sam2-ts";
export default function Page() {
  useEffect(() => { globalThis.answer = async () => { ${SEGMENT} return answer; }; }, []);
  return null;
}`,
  "app/api/segment/route.js": `import { ImagePredictor, Sam2 } from "sam2-ts";
export const dynamic = "force-dynamic";
export async function GET() { ${SEGMENT} return Response.json(answer); }`,
};

expectBuilt();
for (const old of ["app", ".next", "node_modules/sam2-ts"]) rmSync(join(app, old), { recursive: true, force: true });
for (const [name, text] of Object.entries(FILES)) {
  mkdirSync(join(app, name, ".."), { recursive: true });
  writeFileSync(join(app, name), text);
}
for (const part of ["dist", "build", "models/nano", "package.json"]) {
  cpSync(join(root, part), join(app, "node_modules/sam2-ts", part), { recursive: true });
}
for (const name of ["@jsquash/jpeg", "@jsquash/webp"]) {
  cpSync(join(root, "node_modules", name), join(app, "node_modules", name), { recursive: true });
}
const next = join(app, "node_modules/next/dist/bin/next");
const { status } = spawnSync(process.execPath, [next, "build"], { cwd: app, stdio: "inherit" });
if (status !== 0) process.exit(1);
const server = spawn(process.execPath, [next, "start", "-p", `${PORT}`], { cwd: app });
await new Promise<void>((ready) => server.stdout.on("data", (text) => `${text}`.includes("Ready") && ready()));
const browser = await launchChromium();
try {
  console.log("API route:", await (await fetch(new URL("api/segment", URL_OF_APP))).text());
  await withPage(browser, URL_OF_APP, async (page) => {
    await page.waitForFunction("globalThis.answer");
    console.log("page:", JSON.stringify(await page.evaluate("answer()")));
  });
} finally {
  await browser.close();
  server.kill();
}
