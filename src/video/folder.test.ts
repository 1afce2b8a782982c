import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ImageError } from "../errors.ts";
import { framesOfFolder } from "./folder.ts";

const order = (...files: string[]) => framesOfFolder("clip", files).map(({ name }) => name);

const Folder = suite("frames of a folder");

Folder("numbers within names count as numbers, whatever stands around them", () => {
  assert.equal(order("frame_10.jpg", "frame_2.jpg", "frame_1.jpg"), ["frame_1.jpg", "frame_2.jpg", "frame_10.jpg"]);
  assert.equal(order("img (10).png", "img (2).png", "img.png"), ["img (2).png", "img (10).png", "img.png"]);
  assert.equal(order("b1.webp", "A10.JPG", "a9.jpeg"), ["a9.jpeg", "A10.JPG", "b1.webp"]);
  assert.equal(order("t1_2.png", "t1_10.png", "t0_30.png"), ["t0_30.png", "t1_2.png", "t1_10.png"]);
});

Folder("where all names are numbers they are in the order of these, with decimals too", () => {
  assert.equal(order("10.jpg", "9.jpg", "008.jpg"), ["008.jpg", "9.jpg", "10.jpg"]);
  assert.equal(order("0.1.png", "0.033.png", "1.5.png"), ["0.033.png", "0.1.png", "1.5.png"]);
  const long = ["90071992547409930001.png", "90071992547409930002.png"];
  assert.equal(order(...[...long].reverse()), long);
});

Folder("other files are passed over", () => {
  assert.equal(order("2.jpg", "notes.txt", ".hidden.png", "1.PNG", "clip.mp4"), ["1.PNG", "2.jpg"]);
});

Folder("names that would share a mask, or a number, are refused, and so is a folder without frames", () => {
  for (const files of [["a.jpg", "a.png"], ["3.png", "03.png"], ["notes.txt"], []]) {
    assert.throws(
      () => order(...files),
      (error: Error) => error instanceof ImageError && error.message.startsWith("clip: expected frames "),
    );
  }
});

Folder.run();
