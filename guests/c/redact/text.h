// The input as the specification sees it: bytes that can be asked for at any position, and classes of bytes.

#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const uint8_t *bytes;
  size_t length;
} text_t;

// The byte at a position. Past the end, and before the start (which wraps around to past the end), it is 0, which is in
// no class, so that no match needs to check for the ends.
static inline uint8_t at(text_t text, size_t position) {
  return position < text.length ? text.bytes[position] : 0;
}

// Not the ones of <ctype.h>: those depend on a locale, and take anything but an unsigned char badly.
static inline bool is_digit(uint8_t byte) {
  return byte >= '0' && byte <= '9';
}

static inline bool is_letter(uint8_t byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static inline bool is_hex(uint8_t byte) {
  return is_digit(byte) || (byte >= 'A' && byte <= 'F') || (byte >= 'a' && byte <= 'f');
}

static inline bool is_alnum(uint8_t byte) {
  return is_digit(byte) || is_letter(byte);
}

static inline bool is_hyphen(uint8_t byte) {
  return byte == '-';
}

// Where the run of bytes of one class that starts at a position ends.
static inline size_t run_end(text_t text, size_t position, bool is_in_class(uint8_t)) {
  while (is_in_class(at(text, position))) position++;
  return position;
}

#endif
