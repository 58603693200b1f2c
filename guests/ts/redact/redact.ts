// Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//
// The specification is in guests/README.md. This file is the component's side: it takes the configuration from the
// host, makes the pass over the input, and sends the counts to the host's log. What matches is in match.ts. The modules
// whose names start with `sandbox:` come from wit/, with their types.

import { get } from "sandbox:host/config@0.1.0";
import type { Failure, Input, Output } from "sandbox:host/job@0.1.0";
import { log } from "sandbox:host/log@0.1.0";

import { Emails, matchCard, matchIpv4, matchIpv6, matchToken, type Span } from "./match.ts";
import { ALNUM, Text, utf8 } from "./text.ts";

/** What can be masked, in the order in which the log counts it. */
const KINDS = ["email", "card", "ipv4", "ipv6", "token"] as const;
type Kind = (typeof KINDS)[number];

/**
 * The component exports the interface `job`, so this module exports an object of that name. Its functions return what
 * WIT calls `ok`, and throw what WIT calls `err`.
 */
export const job = {
  run({ body, contentType }: Input): Output {
    // Where the types say undefined for `none`, QuickJS has null. `??` takes both.
    const masked = parseMask(get("mask") ?? KINDS.join(","));
    const redactor = new Redactor(new Set(masked), get("replacement") ?? "[{kind}]");
    const output = redactor.redact(body);
    log("info", "redact", redactor.counts());
    return { body: output, contentType, attributes: [] };
  },
} satisfies typeof import("sandbox:host/job@0.1.0");

/** The kinds that the value of the key `mask` names. */
function parseMask(mask: string): Kind[] {
  return mask.split(",").map((name) => {
    const kind = KINDS.find((kind) => kind === name);
    if (kind !== undefined) return kind;
    const problem = name === "" ? "an empty element" : `the unknown kind \`${name}\``;
    const val = `\`mask\` has ${problem}: the kinds are ${KINDS.join(", ")}`;
    throw { tag: "invalid-config", val } satisfies Failure;
  });
}

/** One value for each kind. */
function perKind<T>(value: (kind: Kind) => T): Record<Kind, T> {
  return Object.fromEntries(KINDS.map((kind) => [kind, value(kind)])) as Record<Kind, T>;
}

/** The pass over one text. */
class Redactor {
  readonly #masked: ReadonlySet<Kind>;
  readonly #replacements: Record<Kind, Uint8Array>;
  readonly #counts = perKind(() => 0);
  readonly #emails = new Emails();

  constructor(masked: ReadonlySet<Kind>, template: string) {
    this.#masked = masked;
    this.#replacements = perKind((kind) => utf8(template.replaceAll("{kind}", kind)));
  }

  redact(body: Uint8Array): Uint8Array {
    const text = new Text(body);
    const pieces: Uint8Array[] = [];
    let copied = 0;
    let i = 0;
    while (i < body.length) {
      const found = this.#find(text, i);
      if (found === undefined) {
        i++;
        continue;
      }
      pieces.push(body.subarray(copied, found.start), this.#replacements[found.kind]);
      this.#counts[found.kind]++;
      copied = i = found.end;
    }
    pieces.push(body.subarray(copied));
    return concatenate(pieces);
  }

  /** The message for the log. */
  counts(): string {
    return KINDS.map((kind) => `${kind}=${this.#counts[kind]}`).join(" ");
  }

  /** The first of the masked kinds that matches at `i`, in an order that the specification fixes. */
  #find(text: Text, i: number): (Span & { kind: Kind }) | undefined {
    // Only e-mail addresses start in the middle of a word. To say so here spares an interpreter most of its work.
    const isWordStart = !text.is(i - 1, ALNUM);
    const masks = (kind: Kind) => this.#masked.has(kind);
    let span: Span | undefined;
    if (isWordStart && masks("token") && (span = matchToken(text, i))) return { kind: "token", ...span };
    if (masks("email") && (span = this.#emails.match(text, i))) return { kind: "email", ...span };
    if (!isWordStart) return undefined;
    if (masks("ipv6") && (span = matchIpv6(text, i))) return { kind: "ipv6", ...span };
    if (masks("ipv4") && (span = matchIpv4(text, i))) return { kind: "ipv4", ...span };
    if (masks("card") && (span = matchCard(text, i))) return { kind: "card", ...span };
    return undefined;
  }
}

function concatenate(pieces: Uint8Array[]): Uint8Array {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new Uint8Array(length);
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return bytes;
}
