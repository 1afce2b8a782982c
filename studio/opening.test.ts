// What a visitor may bring by mistake, and all ways to bring a picture, in Chromium: one sentence, and everything is still there.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { still } from "../models/nano/scenes.ts";
import { encodePng } from "../src/io/png.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { expectBuilt } from "../tests/built.ts";
import { launchChromium, runWithChromium } from "../tests/chromium.ts";
import { testWithFfmpeg } from "../tests/ffmpeg.ts";
import { chooseFiles } from "./choose_files.ts";
import { keptWhen } from "./kept_document.ts";
import { areAnswered, click, ready, saidAsNotice, saidAsProblem, THINGS, visit } from "./visit.ts";

const SIDE = 120;

const Opening = suite("studio: opening");
let browser: Browser;
let folder: string;
let png: Buffer;

Opening.before(async () => {
  expectBuilt();
  setPlatform(nodePlatform);
  folder = mkdtempSync(join(tmpdir(), "studio opening "));
  png = Buffer.from(encodePng({ ...still(22, SIDE), channels: 3 }));
  browser = await launchChromium();
});

Opening.after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A file that is no good: the page says so, what was made is there, and the next click is answered. */
async function expectRefused(page: Page, name: string, bytes: Uint8Array | string, sentence: RegExp): Promise<void> {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  await chooseFiles(page, file);
  await saidAsProblem(page, sentence);
  assert.is(await page.locator(".row").count(), 1, name);
}

/** 20,000 by 20,000 pixels by its header. */
function enormous(): Uint8Array {
  const bytes = Uint8Array.from(png);
  const view = new DataView(bytes.buffer);
  for (const at of [16, 20]) view.setUint32(at, 20_000);
  view.setUint32(29, crcOf(bytes.subarray(12, 29)));
  return bytes;
}

function crcOf(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

Opening(
  "wrong, empty, damaged and too large files are refused in a sentence each, and all that was made stays",
  async () => {
    await visit(browser, async (page) => {
      await click(page, ...THINGS[0]);
      await keptWhen(page, areAnswered(1));
      const project = (version: number) =>
        zipSync({ "project.json": strToU8(JSON.stringify({ format: "sam2-studio", version })) });
      const coco = (width: number) => {
        const annotation = {
          id: 1,
          image_id: 1,
          category_id: 1,
          segmentation: { size: [width, width], counts: [0, width ** 2] },
        };
        const image = { id: 1, file_name: "another.jpg", width, height: width };
        return JSON.stringify({ images: [image], annotations: [annotation], categories: [] });
      };
      await expectRefused(
        page,
        "letter.pdf",
        "%PDF-1.4\n",
        /^letter\.pdf is nothing that this browser can show; save it as PNG, JPEG or MP4\.$/,
      );
      await expectRefused(page, "empty.png", "", /^empty\.png is empty\.$/);
      await expectRefused(page, "half.png", png.subarray(0, png.length / 2), /^half\.png is damaged/);
      await expectRefused(
        page,
        "enormous.png",
        enormous(),
        /^enormous\.png has 400 million pixels; scale it down to 134 million/,
      );
      await expectRefused(page, "photo.mp4", png, /^photo\.mp4 has no video that can be read; save it as MP4/);
      await expectRefused(page, "empty.webm", "", /^empty\.webm is empty\.$/);
      await expectRefused(
        page,
        "others.zip",
        zipSync({ "a.txt": strToU8("a") }),
        /^others\.zip is no project of this page/,
      );
      await expectRefused(
        page,
        "later.zip",
        project(9),
        /^later\.zip is a project of version 9, this page opens version 1/,
      );
      await expectRefused(page, "list.json", "[]", /^list\.json is no COCO file/);
      await expectRefused(page, "half.json", '{"images": [', /^half\.json is damaged/);
      await expectRefused(
        page,
        "other.json",
        coco(5),
        /^other\.json has no picture that is named A drawing or has 640 by 640 pixels/,
      );
      await expectRefused(page, "empty.pt", "", /^empty\.pt: expected a \.pt or \.safetensors file, got an empty file/);
      await page.keyboard.press("Enter");
      await click(page, ...THINGS[1]);
      await keptWhen(page, areAnswered(2));
    });
  },
);

testWithFfmpeg(
  Opening,
  "videos without pictures, of an unknown codec, or damaged are refused in a sentence each, and all that was made stays",
  async () => {
    const made = (name: string, ...args: string[]) => {
      const file = join(folder, name);
      execFileSync("ffmpeg", ["-v", "error", "-y", ...args, file]);
      return readFileSync(file);
    };
    const picture = ["-f", "lavfi", "-i", "testsrc=s=320x240:d=1:r=10"];
    const sound = made("sound.mp4", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac");
    const old = made("old.mp4", ...picture, "-c:v", "mpeg4");
    const key = "76a6c65c5ea762046bd749a2e632ccbb";
    const cipher = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key];
    const secret = made("secret.mp4", ...picture, "-c:v", "libx264", "-pix_fmt", "yuv420p", ...cipher);
    const pieces = ["-movflags", "frag_keyframe+empty_moov"];
    const stream = made("stream.mp4", ...picture, "-c:v", "libx264", "-pix_fmt", "yuv420p", ...cipher, ...pieces);
    const whole = made("whole.mp4", ...picture, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart");
    await visit(browser, async (page) => {
      await click(page, ...THINGS[0]);
      await keptWhen(page, areAnswered(1));
      await expectRefused(page, "sound.mp4", sound, /^sound\.mp4 has no video that can be read/);
      await expectRefused(
        page,
        "old.mp4",
        old,
        /^This browser cannot decode old\.mp4; save it as MP4 \(H\.264\) or WebM/,
      );
      for (const [name, bytes] of [
        ["secret.mp4", secret],
        ["stream.mp4", stream],
      ] as const) {
        await expectRefused(page, name, bytes, /^\w+\.mp4 is encrypted; open a copy that is not\.$/);
      }
      await expectRefused(page, "half.mp4", whole.subarray(0, 1500), /^half\.mp4 (is damaged|has no video)/);
      await page.keyboard.press("Enter");
      await click(page, ...THINGS[1]);
      await keptWhen(page, areAnswered(2));
    });
  },
);

/** A host of pictures: /photo.png for all pages, the rest is of no use. */
async function withHost(use: (address: string) => Promise<void>): Promise<void> {
  const server: Server = createServer(({ url }, response) => {
    const headers = { "access-control-allow-origin": "*" };
    if (url === "/photo.png") response.writeHead(200, { ...headers, "content-type": "image/png" }).end(png);
    else if (url === "/page") response.writeHead(200, { ...headers, "content-type": "text/html" }).end("<p>a page</p>");
    else if (url === "/mine.png") response.writeHead(200, { "content-type": "image/png" }).end(png);
    else if (url === "/secret.png") response.writeHead(403, headers).end();
    else response.writeHead(404, headers).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

Opening("a picture is fetched from its address; one that gives none is told of in a sentence", async () => {
  await withHost(async (host) => {
    await visit(browser, async (page) => {
      await click(page, ...THINGS[0]);
      await keptWhen(page, areAnswered(1));
      const fetchFrom = async (address: string) => {
        await page.keyboard.press("o");
        await page.getByRole("textbox", { name: "Address of a picture" }).fill(address);
        await page.keyboard.press("Enter");
      };
      for (const [path, sentence] of [
        ["/gone.png", /has nothing at this address \(HTTP 404\)\.$/],
        ["/secret.png", /refuses it \(HTTP 403\)\. Save it there, then drop the file here\.$/],
        ["/page", /has a web page at this address, not a picture: copy the address of the picture itself\.$/],
        ["/mine.png", /does not answer, or does not give its picture to other pages\. Save it there/],
      ] as const) {
        await fetchFrom(`${host}${path}`);
        await saidAsProblem(page, sentence);
        assert.is(await page.locator(".row").count(), 1, path);
      }
      await fetchFrom("ftp://example.org/a.png");
      await saidAsProblem(page, /is no address of the web\.$/);
      await fetchFrom(`${host}/photo.png`);
      await expectPhoto(page, "photo.png");
      assert.is(await page.locator("[role=alert]").count(), 0);
    });
  });
});

async function expectPhoto(page: Page, name: string): Promise<void> {
  await page.waitForFunction(
    ([name, side]) =>
      document.querySelector(".stage")!.getAttribute("aria-label")!.startsWith(name) &&
      document.querySelector<HTMLCanvasElement>(".picture")!.width === side,
    [name, SIDE] as const,
  );
  await ready(page);
}

/** A WebP that moves: two pictures of a pixel. */
function movingWebp(): Uint8Array {
  const chunk = (name: string, ...data: Buffer[]) => {
    const size = Buffer.alloc(4);
    const all = Buffer.concat(data);
    size.writeUInt32LE(all.length);
    return Buffer.concat([Buffer.from(name), size, all, Buffer.alloc(all.length % 2)]);
  };
  const pixel = chunk("VP8L", Buffer.from("2f00000010071011118888fe07", "hex"));
  const shown = chunk("ANMF", Buffer.alloc(12), Buffer.from([100, 0, 0, 0]), pixel); // for 100 ms
  const head = [chunk("VP8X", Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0, 0])), chunk("ANIM", Buffer.alloc(6))];
  return chunk("RIFF", Buffer.from("WEBP"), ...head, shown, shown);
}

Opening("of a picture that moves the first one is open, which is said, and clicks in it are answered", async () => {
  const file = join(folder, "moving.webp");
  writeFileSync(file, movingWebp());
  await visit(browser, async (page) => {
    await chooseFiles(page, file);
    await saidAsNotice(page, /^moving\.webp moves, and this is its first picture\. Save it as MP4/);
    await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width === 1);
    await ready(page);
    await click(page, 0.5, 0.5);
    await keptWhen(page, areAnswered(1));
  });
});

Opening("undo goes back over any number of pictures, and clicks are answered there", async () => {
  const sides = [61, 62, 63, 64, 65, 66, 67, 68];
  await visit(browser, async (page) => {
    const isOpen = (side: number) =>
      page.waitForFunction((side) => document.querySelector<HTMLCanvasElement>(".picture")!.width === side, side);
    await click(page, ...THINGS[0]);
    await keptWhen(page, areAnswered(1));
    for (const side of sides) {
      const file = join(folder, `${side}.png`);
      writeFileSync(file, encodePng({ ...still(22, side), channels: 3 }));
      await chooseFiles(page, file);
      await isOpen(side);
    }
    for (const side of [...sides.slice(0, -1).reverse(), 640]) {
      await page.keyboard.press("Control+z");
      await isOpen(side);
    }
    await ready(page);
    await page.keyboard.press("Enter");
    await click(page, ...THINGS[1]);
    await keptWhen(page, areAnswered(2));
  });
});

Opening("a picture is opened by dropping it, and by pasting it out of the clipboard; undo goes back", async () => {
  await visit(browser, async (page, context) => {
    await page.evaluate(
      ([bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(bytes)], "dropped.png", { type: "image/png" }));
        document
          .querySelector(".stage")!
          .dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
      },
      [[...png]],
    );
    await expectPhoto(page, "dropped.png");
    await page.keyboard.press("Control+z");
    await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width === 640);

    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.evaluate(
      async (bytes) => {
        const blob = new Blob([Uint8Array.from(bytes)], { type: "image/png" });
        await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
      },
      [...png],
    );
    await page.keyboard.press("Control+v");
    await expectPhoto(page, "image.png");
  });
});

runWithChromium(Opening, "studio: opening", 6);
