import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Refuse to test `dist/` and `build/` as somebody built them before the source changed.
 *
 * @throws Error if they are not there, or older than a file that they are made from
 */
export function expectBuilt(): void {
  for (const [built, source] of [
    ["dist/browser/index.js", "src"],
    ["build/kernels.wasm", "kernels"],
  ]) {
    const newest = newestOf(source);
    if (existsSync(join(root, built)) && changed(built) >= changed(newest)) continue;
    throw new Error(`${built}: expected a build of the source as it is, got none since ${newest}; run: npm run build`);
  }
}

function newestOf(folder: string): string {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => join(folder, file))
    .reduce((one, other) => (changed(other) > changed(one) ? other : one));
}

function changed(file: string): number {
  return statSync(join(root, file)).mtimeMs;
}
