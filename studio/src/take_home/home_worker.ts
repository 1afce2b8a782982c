/** Makes what is taken home but for videos, and reads what comes in, so that the page is never held up. */
import { cutout } from "../masks/silhouette.ts";
import { answerCalls } from "../media/worker_calls.ts";
import { answersOf, type HomeCalls } from "./calls.ts";
import { readCoco } from "./coco_in.ts";
import { type Maker, MAKERS, type Order, pictures } from "./maker.ts";
import { readProject } from "./project.ts";

function cutouts({ doc }: Order): Maker {
  return pictures(
    doc,
    "cut-out",
    async ({ parts }, picture) => new Uint8Array(await (await cutout(picture!, parts))!.arrayBuffer()),
    true,
  );
}

answerCalls<HomeCalls>({
  ...answersOf((order) => (order.kind === "cutouts" ? cutouts(order) : MAKERS[order.kind]!(order))),
  readProject: ({ file }) => readProject(file, file.name),
  async readCoco({ file, source, names, frame }) {
    return readCoco(await file.text(), file.name, source, names, frame);
  },
});
