import { CheckpointError } from "../errors.ts";
import { notify } from "../platform/notices.ts";

/** nano: small enough to come with the package, trained on drawn scenes alone. */
export const DEMO_MODEL = {
  name: "nano",
  get url() {
    return new URL("../../models/nano/nano.safetensors", import.meta.url);
  },
  /** for those who named no model: what they got, and the line that gets an official one */
  notice:
    "no model was named, so this is nano, a demo model that has seen drawn scenes only; for photos run: sam2 download tiny",
};

let told = false;

/** The demo model's file, for those who named no model: the console says so once, on stderr. */
export function unnamedModel(): URL {
  if (!told) notify(DEMO_MODEL.notice);
  told = true;
  try {
    return DEMO_MODEL.url;
  } catch (cause) {
    const todo = "copy models/nano/nano.safetensors of the package beside the page, and pass its address";
    throw new CheckpointError("nano", "its file beside the package", "a bundle that has no address", todo, { cause });
  }
}
