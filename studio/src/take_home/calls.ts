/** What the page and the workers that make files to take home say to each other. */
import type { Document, Source } from "../state/document.ts";
import type { Brought } from "./coco_in.ts";
import type { Maker, Timing, Order } from "./maker.ts";
import type { Taken } from "./save.ts";

export interface MakerCalls {
  begin: { asks: Order; answers: Pick<Maker, "frames" | "needsPicture"> };
  add: { asks: Timing & { picture?: ImageBitmap }; answers: void };
  end: { asks: undefined; answers: Taken };
}

export interface HomeCalls extends MakerCalls {
  readProject: { asks: { file: File }; answers: { doc: Document; files: File[] } };
  readCoco: {
    asks: { file: File; source: Source; names: readonly string[] | undefined; frame: number };
    answers: { objects: Brought[]; without: number };
  };
}

/** The worker's side of a maker. */
export function answersOf(make: (order: Order) => Maker | Promise<Maker>): {
  [K in keyof MakerCalls]: (asks: MakerCalls[K]["asks"]) => Promise<MakerCalls[K]["answers"]>;
} {
  let maker: Maker;
  return {
    async begin(order) {
      maker = await make(order);
      const { frames, needsPicture } = maker;
      return { frames, needsPicture };
    },
    async add({ picture, ...timing }) {
      await maker.add(timing, picture);
      picture?.close();
    },
    end: () => maker.end(),
  };
}
