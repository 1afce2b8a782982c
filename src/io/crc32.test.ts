import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nodePlatform } from "../platform/node.ts";
import { crc32 } from "./crc32.ts";

const Tests = suite("crc32");
Tests("the check value of the polynomial is CBF43926", () => {
  assert.is(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});
Tests("16 bytes at once and one at a time give equal sums, for lengths 0 … 100", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 167 + 31) & 255);
  for (let length = 0; length <= 100; length++) {
    let single = 0;
    for (let i = 0; i < length; i++) single = crc32(bytes.subarray(i, i + 1), single);
    assert.is(crc32(bytes.subarray(0, length)), single, `${length} bytes`);
  }
});
Tests("the platform's sums are the same, from any sum on", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 167 + 31) & 255);
  for (const crc of [0, 1, 0xffffffff]) assert.is(nodePlatform.crc32!(bytes, crc), crc32(bytes, crc));
});
Tests.run();
