// Fetches a URL once, and answers from a key-value bucket after that.
//
// The specification is in guests/README.md. The modules whose names start with `sandbox:` and `wasi:` come from wit/.
// There is `fetch` in this engine, but the interfaces of wasi:http say more precisely why a request failed.

import { log } from "sandbox:host/log@0.1.0";
import { get as config } from "wasi:config/store@0.2.0-rc.1";
import { handle } from "wasi:http/outgoing-handler@0.2.12";
import { Fields, OutgoingRequest, httpErrorCode } from "wasi:http/types@0.2.12";
import { open } from "wasi:keyvalue/store@0.2.0-draft";

// How many bytes of an answer are read at once.
const CHUNK = 65536n;

const INVALID = { tag: "invalid-input", val: "the input is not an http or https URL" };

// The component exports the interface `job`, so this module exports an object of that name. Its functions return what
// WIT calls `ok`, and throw what WIT calls `err`.
export const job = {
  run({ body }) {
    const url = Array.from(body, (byte) => String.fromCharCode(byte)).join("").replace(/^[ \t\r\n\f]+|[ \t\r\n\f]+$/g, "");
    const parts = /^(http|https):\/\/([!"$-.0->@-~]+)([/?][!"$-~]*)?(#[!-~]*)?$/.exec(url);
    if (parts === null) throw INVALID;
    const bucket = keyValue(() => open(config("bucket") ?? "cache"));
    const cached = keyValue(() => bucket.get(url));
    const output = cached ?? fetchBody(parts[1], parts[2], parts[3] ?? "");
    const how = cached == null ? "miss" : "hit";
    if (cached == null) keyValue(() => bucket.set(url, output));
    log("info", "fetch-cache", `${how} ${url}`);
    return { body: output, attributes: [["cache", how]] };
  },
};

// Makes the request and reads the whole answer. How large it may be is for the policy to say.
function fetchBody(scheme, authority, path) {
  const request = new OutgoingRequest(new Fields());
  attempt(() => {
    request.setScheme({ tag: scheme === "http" ? "HTTP" : "HTTPS" });
    request.setAuthority(authority);
    request.setPathWithQuery(path);
  }, () => INVALID);
  const future = attempt(() => handle(request, undefined), (code) => other(code.tag.toLowerCase()));
  const ready = future.subscribe();
  ready.block();
  // Two results in one another: whether the answer was taken before, and what came of the request.
  const { val: answer } = future.get();
  if (answer.tag === "err") throw other(answer.val.tag.toLowerCase());
  const response = answer.val;
  if (response.status() !== 200) throw other(`status ${response.status()}`);
  const stream = response.consume().stream();
  const chunks = [];
  for (;;) {
    const chunk = attempt(() => stream.blockingRead(CHUNK), (error) => {
      if (error.tag === "closed") return undefined;
      return other(httpErrorCode(error.val)?.tag.toLowerCase() ?? error.val.toDebugString());
    });
    if (chunk === undefined) break;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function keyValue(call) {
  return attempt(call, (error) => other(`key-value: ${error.tag === "other" ? error.val : error.tag}`));
}

function other(text) {
  return { tag: "other", val: text };
}

// Makes a call, and throws what `explain` makes of its error. Where that is undefined, so is the result. What has no
// payload is no error of the call's own interface, and goes on as it is.
function attempt(call, explain) {
  try {
    return call();
  } catch (error) {
    const failure = explain(error.payload);
    if (failure !== undefined) throw failure;
    return undefined;
  }
}
