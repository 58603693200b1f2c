// What matches at one position, one function for each kind of data. The specification, which they follow step by step,
// is in guests/README.md.

import { ALNUM, BLANK, CREDENTIAL, DIGIT, HEX, LEAD, LETTER, LOCAL, type Text } from "./text.ts";

/** The part of the text to replace. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const ZERO = "0".charCodeAt(0);
const SPACE = " ".charCodeAt(0);
const HYPHEN = "-".charCodeAt(0);

// ---- bearer tokens

/** Shorter credentials count only in an authorization header: prose has bearers of bad news. */
const SHORTEST_IN_PROSE = 16;

export function matchToken(text: Text, i: number): Span | undefined {
  if (text.is(i - 1, ALNUM) || !text.hasWord(i, "bearer")) return undefined;
  const schemeEnd = i + "bearer".length;
  const start = text.run(schemeEnd, BLANK);
  if (start === schemeEnd) return undefined;
  const end = text.run(start, CREDENTIAL);
  const length = end - start;
  const isEnough = length >= SHORTEST_IN_PROSE || (length >= 1 && inAuthorization(text, i));
  return isEnough ? { start, end } : undefined;
}

/** Whether what stands before `i` is `authorization`, with nothing but a colon, quotes and the like in between. */
function inAuthorization(text: Text, i: number): boolean {
  while (text.is(i - 1, LEAD)) i--;
  return text.hasWord(i - "authorization".length, "authorization");
}

// ---- e-mail addresses

/**
 * Finds e-mail addresses in one pass from left to right. It remembers how far local parts were read in vain, so that
 * none is read again from its middle.
 */
export class Emails {
  #tried = 0;

  /** To be called with growing `i`. */
  match(text: Text, i: number): Span | undefined {
    if (i < this.#tried || !text.is(i, LOCAL)) return undefined;
    const localEnd = text.run(i, LOCAL);
    const end = text.has(localEnd, "@") ? domain(text, localEnd + 1) : undefined;
    if (end === undefined) {
      this.#tried = localEnd;
      return undefined;
    }
    return { start: i, end };
  }
}

/** Where the longest domain at `start` ends whose last label starts with a letter and has two bytes. */
function domain(text: Text, start: number): number | undefined {
  let end: number | undefined;
  for (let isFirst = true; text.is(start, ALNUM); isFirst = false) {
    const labelEnd = label(text, start);
    if (!isFirst && text.is(start, LETTER) && labelEnd - start >= 2) end = labelEnd;
    if (!text.has(labelEnd, ".")) break;
    start = labelEnd + 1;
  }
  return end;
}

/** Where the label at `start` ends. Hyphens belong to it only in its middle. */
function label(text: Text, start: number): number {
  let end = text.run(start, ALNUM);
  for (;;) {
    let afterHyphens = end;
    while (text.at(afterHyphens) === HYPHEN) afterHyphens++;
    if (afterHyphens === end || !text.is(afterHyphens, ALNUM)) return end;
    end = text.run(afterHyphens, ALNUM);
  }
}

// ---- IP addresses

export function matchIpv4(text: Text, i: number): Span | undefined {
  if (text.is(i - 1, ALNUM) || (text.has(i - 1, ".") && text.is(i - 2, DIGIT))) return undefined;
  const end = quad(text, i);
  if (end === undefined || text.is(end, ALNUM) || hasFraction(text, end)) return undefined;
  return { start: i, end };
}

export function matchIpv6(text: Text, i: number): Span | undefined {
  if (!canStartIpv6(text, i)) return undefined;
  let groups = 0;
  let isShort = text.has(i, ":"); // Whether `::` was seen.
  let p = isShort ? i + 2 : i;
  while (!(isShort && groups === 7)) {
    const quadEnd = (isShort ? groups <= 5 : groups === 6) ? quad(text, p) : undefined;
    if (quadEnd !== undefined) {
      p = quadEnd;
      groups += 2;
      break;
    }
    const end = group(text, p);
    if (end === undefined) break;
    p = end;
    groups++;
    if (groups === 8 || !text.has(p, ":")) break;
    if (text.has(p + 1, ":") && !isShort) {
      isShort = true;
      p += 2;
    } else if (group(text, p + 1) !== undefined) {
      p += 1;
    } else {
      break;
    }
  }
  const isWhole = isShort ? groups >= 1 && groups <= 7 : groups === 8;
  const goesOn = text.has(p, ":") && (text.has(p + 1, ":") || group(text, p + 1) !== undefined);
  if (!isWhole || goesOn || text.is(p, ALNUM) || hasFraction(text, p)) return undefined;
  return { start: i, end: p };
}

/** Whether an IPv6 address may start at `i`, judged by what stands there and before it. */
function canStartIpv6(text: Text, i: number): boolean {
  if (text.is(i - 1, ALNUM)) return false;
  if (text.has(i, ":")) return text.has(i + 1, ":") && !text.has(i - 1, ":");
  if (group(text, i) === undefined) return false;
  // In `source:fe80::1` a name precedes the colon, which is fine; a group would make this the middle of an address.
  return !text.has(i - 1, ":") || !hasGroupBefore(text, i - 1);
}

/** Whether another colon or a group stands before the colon at `colon`. */
function hasGroupBefore(text: Text, colon: number): boolean {
  if (text.has(colon - 1, ":")) return true;
  let start = colon;
  let allHex = true;
  while (colon - start < 5 && text.is(start - 1, ALNUM)) {
    start--;
    allHex &&= text.is(start, HEX);
  }
  const length = colon - start;
  return length >= 1 && length <= 4 && allHex;
}

/** Where the one to four hexadecimal digits at `start` end that nothing alphanumeric follows. */
function group(text: Text, start: number): number | undefined {
  let end = start;
  while (end - start < 5 && text.is(end, HEX)) end++;
  const length = end - start;
  return length >= 1 && length <= 4 && !text.is(end, ALNUM) ? end : undefined;
}

/** Where the four octets with dots between them at `start` end. */
function quad(text: Text, start: number): number | undefined {
  let end = octet(text, start);
  for (let k = 1; k < 4 && end !== undefined; k++) {
    end = text.has(end, ".") ? octet(text, end + 1) : undefined;
  }
  return end;
}

/** Where the number at `start` ends that has at most three digits and is at most 255. */
function octet(text: Text, start: number): number | undefined {
  let end = start;
  let value = 0;
  while (end - start < 4 && text.is(end, DIGIT)) value = value * 10 + text.at(end++) - ZERO;
  const length = end - start;
  return length >= 1 && length <= 3 && value <= 255 ? end : undefined;
}

/** Whether the text goes on with a dot and a digit, so that a number before it is not complete. */
function hasFraction(text: Text, position: number): boolean {
  return text.has(position, ".") && text.is(position + 1, DIGIT);
}

// ---- payment card numbers

const SHORTEST_CARD = 13;
const LONGEST_CARD = 19;

export function matchCard(text: Text, i: number): Span | undefined {
  if (!text.is(i, DIGIT) || text.is(i - 1, ALNUM)) return undefined;
  // The Luhn check doubles every second digit from the right. Which ones that are is known only at the end, so both sums
  // are kept: with the first, third and so on doubled, and with the second, fourth and so on.
  let doubledFirst = 0;
  let doubledSecond = 0;
  let separator: number | undefined; // The one that this number uses, once it is known.
  let longest: Span | undefined;
  let p = i;
  for (let count = 1; count <= LONGEST_CARD; count++) {
    let byte = text.at(p);
    if (separator === undefined ? byte === SPACE || byte === HYPHEN : byte === separator) {
      separator = byte;
      byte = text.at(++p);
    }
    const digit = byte - ZERO;
    if (digit < 0 || digit > 9) break;
    p++;
    const doubled = digit > 4 ? digit * 2 - 9 : digit * 2;
    const isOdd = count % 2 === 1;
    doubledFirst += isOdd ? doubled : digit;
    doubledSecond += isOdd ? digit : doubled;
    const sum = isOdd ? doubledSecond : doubledFirst;
    if (count >= SHORTEST_CARD && sum % 10 === 0 && !text.is(p, ALNUM)) longest = { start: i, end: p };
  }
  return longest;
}
