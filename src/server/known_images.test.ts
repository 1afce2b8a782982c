import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HEIGHT, photo, WIDTH } from "../../tests/server_fixture.ts";
import { Sam2 } from "../engine/sam2.ts";
import { UsageError } from "../errors.ts";
import { decodeImage } from "../io/image.ts";
import { featureBytes } from "../predict/image_predictor.ts";
import { KnownImages } from "./known_images.ts";

const sam2 = await Sam2.fromPretrained("nano", { threads: 1, video: false });
const { signal } = new AbortController();
const BYTES = featureBytes(sam2.config);

const Known = suite("KnownImages");
Known.after(() => sam2.dispose());

const add = async (images: KnownImages, key: string) => images.add(key, await decodeImage(photo(Number(key))), signal);
const keys = (images: KnownImages) => ["1", "2", "3", "4"].filter((key) => images.get(key)).join("");

Known("holds as many as fit into its bytes, and at most its count", () => {
  assert.is(new KnownImages(sam2, { count: 5, bytes: 3 * BYTES + 1 }).capacity, 3);
  assert.is(new KnownImages(sam2, { count: 2, bytes: 9 * BYTES }).capacity, 2);
  assert.throws(
    () => new KnownImages(sam2, { bytes: BYTES - 1 }),
    (error: unknown) => error instanceof UsageError,
  );
});

Known("of those that nobody asks about, the one that was not used for longest goes", async () => {
  const images = new KnownImages(sam2, { count: 2 });
  await add(images, "1");
  await add(images, "2");
  assert.equal(images.get("1"), { ...images.get("1"), width: WIDTH, height: HEIGHT });
  await images.use("1", async () => {});
  await add(images, "3");
  assert.is(keys(images), "13");
  await images.use("1", async () => {
    await images.use("3", async () => {});
    await add(images, "4"); // 1 is older, but asked about
    assert.is(keys(images), "14");
  });
  assert.is(await images.use("3", async () => "asked"), undefined, "it is not known any more");
});

Known("an image that is given up leaves no trace, and its predictor to the next", async () => {
  const images = new KnownImages(sam2, { count: 1 });
  const stop = AbortSignal.abort(new Error("gone"));
  const given = await images.add("1", await decodeImage(photo(1)), stop).catch((error) => error.message);
  assert.is(given, "gone");
  assert.is(images.size, 0);
  await add(images, "2");
  const ask = async (known: KnownImages) => known.use("2", (one) => one.predict({ points: [[40, 30]] }));
  const undisturbed = new KnownImages(sam2, { count: 1 });
  await add(undisturbed, "2");
  assert.equal([...(await ask(images))!.iouPredictions], [...(await ask(undisturbed))!.iouPredictions]);
});

Known.run();
