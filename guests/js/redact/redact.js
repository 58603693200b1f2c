// Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//
// The specification is in guests/README.md. This file is the component's side: it takes the configuration from the
// host, makes the pass over the input, and sends the counts to the host's log. What matches is in match.js. The modules
// whose names start with `sandbox:` come from wit/.

import { get } from "sandbox:host/config@0.1.0";
import { log } from "sandbox:host/log@0.1.0";

import { Emails, matchCard, matchIpv4, matchIpv6, matchToken } from "./match.js";
import { ALNUM, Text, utf8 } from "./text.js";

// What can be masked, in the order in which the log counts it.
const KINDS = ["email", "card", "ipv4", "ipv6", "token"];

// The component exports the interface `job`, so this module exports an object of that name. Its functions return what
// WIT calls `ok`, and throw what WIT calls `err`.
export const job = {
  run({ body, contentType }) {
    const masked = parseMask(get("mask") ?? KINDS.join(","));
    const template = get("replacement") ?? "[{kind}]";
    const { output, counts } = redact(body, masked, template);
    log("info", "redact", KINDS.map((kind) => `${kind}=${counts[kind]}`).join(" "));
    return { body: output, contentType, attributes: [] };
  },
};

// The kinds that the value of the key `mask` names.
function parseMask(mask) {
  const names = mask.split(",");
  const wrong = names.find((name) => !KINDS.includes(name));
  if (wrong !== undefined) {
    const problem = wrong === "" ? "an empty element" : `the unknown kind \`${wrong}\``;
    throw { tag: "invalid-config", val: `\`mask\` has ${problem}: the kinds are email, card, ipv4, ipv6, token` };
  }
  return new Set(names);
}

function redact(body, masked, template) {
  const text = new Text(body);
  const emails = new Emails();
  const replacements = {};
  const counts = {};
  for (const kind of KINDS) {
    replacements[kind] = utf8(template.replaceAll("{kind}", kind));
    counts[kind] = 0;
  }
  const pieces = [];
  let copied = 0;
  let i = 0;
  while (i < body.length) {
    const found = find(text, i, masked, emails);
    if (found === undefined) {
      i++;
      continue;
    }
    const [kind, [start, end]] = found;
    pieces.push(body.subarray(copied, start), replacements[kind]);
    counts[kind]++;
    copied = i = end;
  }
  pieces.push(body.subarray(copied));
  return { output: concatenate(pieces), counts };
}

// The first of the masked kinds that matches at `i`, in an order that the specification fixes, and what it matches.
function find(text, i, masked, emails) {
  // Only e-mail addresses start in the middle of a word. To say so here spares an interpreter most of its work.
  const isWordStart = !text.is(i - 1, ALNUM);
  let span;
  if (isWordStart && masked.has("token") && (span = matchToken(text, i))) return ["token", span];
  if (masked.has("email") && (span = emails.match(text, i))) return ["email", span];
  if (!isWordStart) return undefined;
  if (masked.has("ipv6") && (span = matchIpv6(text, i))) return ["ipv6", span];
  if (masked.has("ipv4") && (span = matchIpv4(text, i))) return ["ipv4", span];
  if (masked.has("card") && (span = matchCard(text, i))) return ["card", span];
  return undefined;
}

function concatenate(pieces) {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new Uint8Array(length);
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return bytes;
}
