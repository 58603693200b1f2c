// Counts the lines and words of its input, and greets whom the configuration names.
//
// The modules whose names start with `sandbox:` come from wit/.

import { get } from "sandbox:host/config@0.1.0";
import { log } from "sandbox:host/log@0.1.0";

// The component exports the interface `job`, so this module exports an object of that name. Its functions return what
// WIT calls `ok`, and throw what WIT calls `err`.
export const job = {
  run({ body }) {
    const name = get("name") ?? "world";
    if (name === "") throw { tag: "invalid-config", val: "`name` is empty" };
    const { lines, words } = count(body);
    log("info", "my-job", `bytes=${body.length}`);
    return {
      body: utf8(`Hello, ${name}! lines: ${lines}, words: ${words}\n`),
      contentType: "text/plain; charset=utf-8",
      attributes: [],
    };
  },
};

// The lines, of which the last one need not end with a line feed, and the words, which have blanks between them.
function count(bytes) {
  let lines = 0;
  let words = 0;
  let inWord = false;
  for (const byte of bytes) {
    const isBlank = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
    if (byte === 0x0a) lines++;
    if (!isBlank && !inWord) words++;
    inWord = !isBlank;
  }
  if (bytes.length > 0 && bytes.at(-1) !== 0x0a) lines++;
  return { lines, words };
}

// The bytes of a text in UTF-8. QuickJS has no TextEncoder here, and this is the one encoder that both engines have.
function utf8(text) {
  const escaped = encodeURIComponent(text);
  const bytes = escaped.match(/%..|./g) ?? [];
  return Uint8Array.from(bytes, (byte) => (byte.length > 1 ? parseInt(byte.slice(1), 16) : byte.charCodeAt(0)));
}
