import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expectBuilt } from "../tests/built.ts";
import type { FilmTimes } from "./film_page/page.ts";
import { onPage } from "./page.ts";

/** What a frame of film.mp4 in `folder` costs with the model there, in a page of Chromium that uses the built package. */
export function filmInChromium(folder: string, imageSize: number | undefined, filling: number): Promise<FilmTimes> {
  expectBuilt();
  const here = fileURLToPath(new URL(".", import.meta.url));
  const files = Object.fromEntries(["film.mp4", "model.safetensors"].map((name) => [name, join(folder, name)]));
  const alias = { "sam2-ts": join(here, "../dist/browser/index.js") };
  return onPage(
    join(here, "film_page"),
    files,
    (page) => page.evaluate<FilmTimes>(`follow(${JSON.stringify({ imageSize })}, ${filling})`),
    { alias, ready: "globalThis.follow" },
  );
}
