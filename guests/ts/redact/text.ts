// The input as the specification sees it: bytes that can be asked for at any position, and classes of bytes.

/** Sets of classes of bytes, as bits. */
export const DIGIT = 1;
export const LETTER = 2;
export const ALNUM = DIGIT | LETTER;
export const HEX = 4;
export const BLANK = 8;
export const LEAD = 16;
export const LOCAL = 32;
export const CREDENTIAL = 64;

/** The classes of each byte. Byte 0 has none. */
const classes = new Uint8Array(256);

function add(bytes: string, bits: number): void {
  for (const byte of bytes) {
    const code = byte.charCodeAt(0);
    classes[code] = (classes[code] ?? 0) | bits;
  }
}

add("0123456789", DIGIT | HEX | LOCAL | CREDENTIAL);
add("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", LETTER | LOCAL | CREDENTIAL);
add("abcdefABCDEF", HEX);
add(" \t", BLANK | LEAD);
add("\"':=", LEAD);
add("._%+-", LOCAL);
add("-._~+/=", CREDENTIAL);

export class Text {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The byte at a position. Before the start and past the end it is 0, so that no match needs to check for the ends. */
  at(position: number): number {
    return this.#bytes[position] ?? 0;
  }

  /** Whether the byte at a position is in a class, or in one of several. */
  is(position: number, bits: number): boolean {
    return ((classes[this.at(position)] ?? 0) & bits) !== 0;
  }

  /** Whether the byte at a position is this character. */
  has(position: number, character: string): boolean {
    return this.#bytes[position] === character.charCodeAt(0);
  }

  /** Where the run of bytes of a class that starts at a position ends. */
  run(position: number, bits: number): number {
    while (this.is(position, bits)) position++;
    return position;
  }

  /** Whether a word, given in lower case, stands at a position in any mixture of upper and lower case. */
  hasWord(position: number, word: string): boolean {
    for (let k = 0; k < word.length; k++) {
      if (!this.is(position + k, LETTER) || (this.at(position + k) | 0x20) !== word.charCodeAt(k)) return false;
    }
    return true;
  }
}

/** The bytes of a text in UTF-8. The engine has no TextEncoder here, as that would come from WASI's side of it. */
export function utf8(text: string): Uint8Array {
  const bytes = encodeURIComponent(text).match(/%..|./g) ?? [];
  return Uint8Array.from(bytes, (byte) => (byte.length > 1 ? parseInt(byte.slice(1), 16) : byte.charCodeAt(0)));
}
