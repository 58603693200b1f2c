#include "match.h"

#include <string.h>

// ---- bearer tokens

static bool is_blank(uint8_t byte) {
  return byte == ' ' || byte == '\t';
}

static bool is_credential(uint8_t byte) {
  return is_alnum(byte) || (byte != 0 && strchr("-._~+/=", byte) != nullptr);
}

static bool is_lead(uint8_t byte) {
  return is_blank(byte) || (byte != 0 && strchr("\"':=", byte) != nullptr);
}

// Whether a word, given in lower case, stands at a position in any mixture of upper and lower case.
static bool has_word(text_t text, size_t position, const char *word) {
  for (; *word != '\0'; word++, position++) {
    uint8_t byte = at(text, position);
    if (!is_letter(byte) || (byte | 0x20) != *word) return false;
  }
  return true;
}

// Whether what stands before `i` is `authorization`, with nothing but a colon, quotes and the like in between.
static bool in_authorization(text_t text, size_t i) {
  const char *word = "authorization";
  while (is_lead(at(text, i - 1))) i--;
  return i >= strlen(word) && has_word(text, i - strlen(word), word);
}

bool match_token(text_t text, size_t i, span_t *found) {
  // Shorter credentials count only in an authorization header: prose has bearers of bad news.
  constexpr size_t shortest_in_prose = 16;
  if (is_alnum(at(text, i - 1)) || !has_word(text, i, "bearer")) return false;
  size_t scheme_end = i + strlen("bearer");
  size_t start = run_end(text, scheme_end, is_blank);
  if (start == scheme_end) return false;
  size_t end = run_end(text, start, is_credential);
  size_t length = end - start;
  if (length < shortest_in_prose && (length == 0 || !in_authorization(text, i))) return false;
  *found = (span_t){start, end};
  return true;
}

// ---- e-mail addresses

static bool is_local(uint8_t byte) {
  return is_alnum(byte) || (byte != 0 && strchr("._%+-", byte) != nullptr);
}

// Where the label at `start` ends. Hyphens belong to it only in its middle.
static size_t label_end(text_t text, size_t start) {
  size_t end = run_end(text, start, is_alnum);
  for (;;) {
    size_t after_hyphens = run_end(text, end, is_hyphen);
    if (after_hyphens == end || !is_alnum(at(text, after_hyphens))) return end;
    end = run_end(text, after_hyphens, is_alnum);
  }
}

// Where the longest domain at `start` ends whose last label starts with a letter and has two bytes, or 0.
static size_t domain_end(text_t text, size_t start) {
  size_t domain = start, end = 0;
  while (is_alnum(at(text, start))) {
    size_t label = label_end(text, start);
    if (start != domain && is_letter(at(text, start)) && label - start >= 2) end = label;
    if (at(text, label) != '.') break;
    start = label + 1;
  }
  return end;
}

bool match_email(text_t text, size_t i, size_t *tried, span_t *found) {
  if (i < *tried || !is_local(at(text, i))) return false;
  size_t local_end = run_end(text, i, is_local);
  size_t end = at(text, local_end) == '@' ? domain_end(text, local_end + 1) : 0;
  if (end == 0) {
    *tried = local_end;
    return false;
  }
  *found = (span_t){i, end};
  return true;
}

// ---- IP addresses

// Whether the text goes on with a dot and a digit, so that a number before it is not complete.
static bool has_fraction(text_t text, size_t position) {
  return at(text, position) == '.' && is_digit(at(text, position + 1));
}

// Moves `*p` past a number of at most three digits that is at most 255.
static bool read_octet(text_t text, size_t *p) {
  unsigned value = 0, length = 0;
  while (length < 4 && is_digit(at(text, *p + length))) value = value * 10 + (at(text, *p + length++) - '0');
  if (length < 1 || length > 3 || value > 255) return false;
  *p += length;
  return true;
}

// Moves `*p` past four octets with dots between them, or leaves it alone.
static bool read_quad(text_t text, size_t *p) {
  size_t q = *p;
  for (int octet = 0; octet < 4; octet++) {
    if (octet > 0 && at(text, q++) != '.') return false;
    if (!read_octet(text, &q)) return false;
  }
  *p = q;
  return true;
}

// Moves `*p` past one to four hexadecimal digits that nothing alphanumeric follows, or leaves it alone.
static bool read_group(text_t text, size_t *p) {
  size_t length = 0;
  while (length < 5 && is_hex(at(text, *p + length))) length++;
  if (length < 1 || length > 4 || is_alnum(at(text, *p + length))) return false;
  *p += length;
  return true;
}

static bool has_group(text_t text, size_t position) {
  return read_group(text, &position);
}

bool match_ipv4(text_t text, size_t i, span_t *found) {
  uint8_t before = at(text, i - 1);
  if (is_alnum(before) || (before == '.' && is_digit(at(text, i - 2)))) return false;
  size_t end = i;
  if (!read_quad(text, &end) || is_alnum(at(text, end)) || has_fraction(text, end)) return false;
  *found = (span_t){i, end};
  return true;
}

// Whether a group ends with the byte before the colon at `colon`, or there is another colon.
static bool colon_continues(text_t text, size_t colon) {
  if (at(text, colon - 1) == ':') return true;
  bool all_hex = true;
  size_t length = 0;
  for (; length < 5 && is_alnum(at(text, colon - 1 - length)); length++) {
    all_hex = all_hex && is_hex(at(text, colon - 1 - length));
  }
  return length >= 1 && length <= 4 && all_hex;
}

// Whether an IPv6 address may start at `i`, judged by what stands there and before it.
static bool can_start_ipv6(text_t text, size_t i) {
  uint8_t before = at(text, i - 1);
  if (is_alnum(before)) return false;
  if (at(text, i) == ':') return at(text, i + 1) == ':' && before != ':';
  // In `source:fe80::1` a name precedes the colon, which is fine; a group would make this the middle of an address.
  return has_group(text, i) && !(before == ':' && colon_continues(text, i - 1));
}

bool match_ipv6(text_t text, size_t i, span_t *found) {
  if (!can_start_ipv6(text, i)) return false;
  int groups = 0;
  bool is_short = at(text, i) == ':';  // Whether `::` was seen.
  size_t p = is_short ? i + 2 : i;
  while (!(is_short && groups == 7)) {
    if ((is_short ? groups <= 5 : groups == 6) && read_quad(text, &p)) {
      groups += 2;
      break;
    }
    if (!read_group(text, &p)) break;
    groups++;
    if (groups == 8 || at(text, p) != ':') break;
    if (at(text, p + 1) == ':' && !is_short) {
      is_short = true;
      p += 2;
    } else if (has_group(text, p + 1)) {
      p += 1;
    } else {
      break;
    }
  }
  bool is_whole = is_short ? groups >= 1 && groups <= 7 : groups == 8;
  bool goes_on = at(text, p) == ':' && (at(text, p + 1) == ':' || has_group(text, p + 1));
  if (!is_whole || goes_on || is_alnum(at(text, p)) || has_fraction(text, p)) return false;
  *found = (span_t){i, p};
  return true;
}

// ---- payment card numbers

bool match_card(text_t text, size_t i, span_t *found) {
  constexpr size_t shortest = 13, longest = 19;
  if (!is_digit(at(text, i)) || is_alnum(at(text, i - 1))) return false;
  // The Luhn check doubles every second digit from the right. Which ones that are is known only at the end, so both sums
  // are kept: with the first, third and so on doubled, and with the second, fourth and so on.
  unsigned sums[2] = {};
  uint8_t separator = 0;  // The one that this number uses, once it is known.
  size_t p = i, end = 0;
  for (size_t count = 1; count <= longest; count++) {
    uint8_t byte = at(text, p);
    if (!is_digit(byte)) {
      bool fits = (byte == ' ' || byte == '-') && (separator == 0 || byte == separator);
      if (!fits || !is_digit(at(text, p + 1))) break;
      separator = byte;
      byte = at(text, ++p);
    }
    unsigned digit = byte - '0';
    sums[count % 2] += digit;
    sums[(count + 1) % 2] += digit > 4 ? digit * 2 - 9 : digit * 2;
    p++;
    // The longest number that fits counts, so a later one takes the place of an earlier one.
    if (count >= shortest && sums[count % 2] % 10 == 0 && !is_alnum(at(text, p))) end = p;
  }
  *found = (span_t){i, end};
  return end != 0;
}
