// The input as the specification sees it: bytes that can be asked for at any position, and classes of bytes.

const DIGIT = 1;
const LETTER = 2;
const HEX = 4;
const BLANK = 8;
const LEAD = 16;
const LOCAL = 32;
const CREDENTIAL = 64;
export const ALNUM = DIGIT | LETTER;
export { DIGIT, LETTER, HEX, BLANK, LEAD, LOCAL, CREDENTIAL };

// The classes of each byte, as bits. Byte 0 has none.
const classes = new Uint8Array(256);

function add(bytes, bits) {
  for (const byte of bytes) classes[byte.charCodeAt(0)] |= bits;
}

add("0123456789", DIGIT | HEX | LOCAL | CREDENTIAL);
add("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", LETTER | LOCAL | CREDENTIAL);
add("abcdefABCDEF", HEX);
add(" \t", BLANK | LEAD);
add("\"':=", LEAD);
add("._%+-", LOCAL);
add("-._~+/=", CREDENTIAL);

export class Text {
  constructor(bytes) {
    this.bytes = bytes;
  }

  // The byte at a position. Before the start and past the end it is 0, which is in no class, so that no match needs to
  // check for the ends.
  at(position) {
    return this.bytes[position] ?? 0;
  }

  // Whether the byte at a position is in a class, or in one of several.
  is(position, bits) {
    return (classes[this.bytes[position]] & bits) !== 0;
  }

  // Whether the byte at a position is this character.
  has(position, character) {
    return this.bytes[position] === character.charCodeAt(0);
  }

  // Where the run of bytes of a class that starts at a position ends.
  run(position, bits) {
    while (this.is(position, bits)) position++;
    return position;
  }

  // Whether a word, given in lower case, stands at a position in any mixture of upper and lower case.
  hasWord(position, word) {
    for (let k = 0; k < word.length; k++) {
      if (!this.is(position + k, LETTER) || (this.at(position + k) | 0x20) !== word.charCodeAt(k)) return false;
    }
    return true;
  }
}

// The bytes of a text in UTF-8. QuickJS has no TextEncoder here, and this is the one encoder that both engines have.
export function utf8(text) {
  const escaped = encodeURIComponent(text);
  const bytes = escaped.match(/%..|./g) ?? [];
  return Uint8Array.from(bytes, (byte) => (byte.length > 1 ? parseInt(byte.slice(1), 16) : byte.charCodeAt(0)));
}
