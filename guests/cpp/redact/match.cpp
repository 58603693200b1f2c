#include "match.hpp"

#include <algorithm>
#include <array>

namespace {

// ---- bearer tokens

bool is_blank(unsigned char byte) {
  return is_one_of(byte, " \t");
}

bool is_credential(unsigned char byte) {
  return is_alnum(byte) || is_one_of(byte, "-._~+/=");
}

bool is_lead(unsigned char byte) {
  return is_blank(byte) || is_one_of(byte, "\"':=");
}

// Whether a word, given in lower case, stands at a position in any mixture of upper and lower case.
bool has_word(Text text, std::size_t position, std::string_view word) {
  return std::ranges::all_of(word, [&](char letter) {
    unsigned char byte = text[position++];
    return is_letter(byte) && (byte | 0x20) == letter;
  });
}

// Whether what stands before `i` is `authorization`, with nothing but a colon, quotes and the like in between.
bool in_authorization(Text text, std::size_t i) {
  constexpr std::string_view word = "authorization";
  while (is_lead(text[i - 1])) --i;
  return i >= word.size() && has_word(text, i - word.size(), word);
}

// ---- e-mail addresses

bool is_local(unsigned char byte) {
  return is_alnum(byte) || is_one_of(byte, "._%+-");
}

// Where the label at `start` ends. Hyphens belong to it only in its middle.
std::size_t label_end(Text text, std::size_t start) {
  std::size_t end = text.run(start, is_alnum);
  for (;;) {
    std::size_t after_hyphens = text.run(end, [](unsigned char byte) { return byte == '-'; });
    if (after_hyphens == end || !is_alnum(text[after_hyphens])) return end;
    end = text.run(after_hyphens, is_alnum);
  }
}

// Where the longest domain at `start` ends whose last label starts with a letter and has two bytes.
std::optional<std::size_t> domain_end(Text text, std::size_t start) {
  std::optional<std::size_t> end;
  for (bool is_first = true; is_alnum(text[start]); is_first = false) {
    std::size_t label = label_end(text, start);
    if (!is_first && is_letter(text[start]) && label - start >= 2) end = label;
    if (text[label] != '.') break;
    start = label + 1;
  }
  return end;
}

// ---- IP addresses

// Whether the text goes on with a dot and a digit, so that a number before it is not complete.
bool has_fraction(Text text, std::size_t position) {
  return text[position] == '.' && is_digit(text[position + 1]);
}

// Where the number at `position` ends that has at most three digits and is at most 255.
std::optional<std::size_t> octet_end(Text text, std::size_t position) {
  std::size_t length = 0;
  for (unsigned value = 0; length < 4 && is_digit(text[position + length]); ++length) {
    value = value * 10 + (text[position + length] - '0');
    if (value > 255) return std::nullopt;
  }
  if (length < 1 || length > 3) return std::nullopt;
  return position + length;
}

// Where the four octets with dots between them at `position` end.
std::optional<std::size_t> quad_end(Text text, std::size_t position) {
  auto end = octet_end(text, position);
  for (int octet = 1; octet < 4 && end; ++octet) {
    end = text[*end] == '.' ? octet_end(text, *end + 1) : std::nullopt;
  }
  return end;
}

// Where the one to four hexadecimal digits at `position` end that nothing alphanumeric follows.
std::optional<std::size_t> group_end(Text text, std::size_t position) {
  std::size_t length = 0;
  while (length < 5 && is_hex(text[position + length])) ++length;
  if (length < 1 || length > 4 || is_alnum(text[position + length])) return std::nullopt;
  return position + length;
}

// Whether another colon or a group stands before the colon at `colon`.
bool has_group_before(Text text, std::size_t colon) {
  if (text[colon - 1] == ':') return true;
  std::size_t length = 0;
  bool all_hex = true;
  for (; length < 5 && is_alnum(text[colon - 1 - length]); ++length) {
    all_hex = all_hex && is_hex(text[colon - 1 - length]);
  }
  return length >= 1 && length <= 4 && all_hex;
}

// Whether an IPv6 address may start at `i`, judged by what stands there and before it.
bool can_start_ipv6(Text text, std::size_t i) {
  unsigned char before = text[i - 1];
  if (is_alnum(before)) return false;
  if (text[i] == ':') return text[i + 1] == ':' && before != ':';
  // In `source:fe80::1` a name precedes the colon, which is fine; a group would make this the middle of an address.
  return group_end(text, i) && !(before == ':' && has_group_before(text, i - 1));
}

}  // namespace

std::optional<Span> match_token(Text text, std::size_t i) {
  // Shorter credentials count only in an authorization header: prose has bearers of bad news.
  constexpr std::size_t shortest_in_prose = 16;
  constexpr std::string_view scheme = "bearer";
  if (is_alnum(text[i - 1]) || !has_word(text, i, scheme)) return std::nullopt;
  std::size_t start = text.run(i + scheme.size(), is_blank);
  if (start == i + scheme.size()) return std::nullopt;
  std::size_t end = text.run(start, is_credential);
  std::size_t length = end - start;
  if (length < shortest_in_prose && (length == 0 || !in_authorization(text, i))) return std::nullopt;
  return Span{start, end};
}

std::optional<Span> EmailMatcher::match(Text text, std::size_t i) {
  if (i < tried_ || !is_local(text[i])) return std::nullopt;
  std::size_t local_end = text.run(i, is_local);
  auto end = text[local_end] == '@' ? domain_end(text, local_end + 1) : std::nullopt;
  if (!end) {
    tried_ = local_end;
    return std::nullopt;
  }
  return Span{i, *end};
}

std::optional<Span> match_ipv4(Text text, std::size_t i) {
  if (is_alnum(text[i - 1]) || (text[i - 1] == '.' && is_digit(text[i - 2]))) return std::nullopt;
  auto end = quad_end(text, i);
  if (!end || is_alnum(text[*end]) || has_fraction(text, *end)) return std::nullopt;
  return Span{i, *end};
}

std::optional<Span> match_ipv6(Text text, std::size_t i) {
  if (!can_start_ipv6(text, i)) return std::nullopt;
  int groups = 0;
  bool is_short = text[i] == ':';  // Whether `::` was seen.
  std::size_t p = is_short ? i + 2 : i;
  while (!(is_short && groups == 7)) {
    if (is_short ? groups <= 5 : groups == 6) {
      if (auto end = quad_end(text, p)) {
        p = *end;
        groups += 2;
        break;
      }
    }
    auto end = group_end(text, p);
    if (!end) break;
    p = *end;
    ++groups;
    if (groups == 8 || text[p] != ':') break;
    if (text[p + 1] == ':' && !is_short) {
      is_short = true;
      p += 2;
    } else if (group_end(text, p + 1)) {
      p += 1;
    } else {
      break;
    }
  }
  bool is_whole = is_short ? groups >= 1 && groups <= 7 : groups == 8;
  bool goes_on = text[p] == ':' && (text[p + 1] == ':' || group_end(text, p + 1));
  if (!is_whole || goes_on || is_alnum(text[p]) || has_fraction(text, p)) return std::nullopt;
  return Span{i, p};
}

std::optional<Span> match_card(Text text, std::size_t i) {
  constexpr std::size_t shortest = 13, longest = 19;
  if (!is_digit(text[i]) || is_alnum(text[i - 1])) return std::nullopt;
  // The Luhn check doubles every second digit from the right. Which ones that are is known only at the end, so both sums
  // are kept: with the first, third and so on doubled, and with the second, fourth and so on.
  std::array<unsigned, 2> sums = {};
  unsigned char separator = 0;  // The one that this number uses, once it is known.
  std::optional<Span> longest_match;
  std::size_t p = i;
  for (std::size_t count = 1; count <= longest; ++count) {
    if (!is_digit(text[p])) {
      bool fits = is_one_of(text[p], " -") && (separator == 0 || text[p] == separator);
      if (!fits || !is_digit(text[p + 1])) break;
      separator = text[p++];
    }
    unsigned digit = text[p++] - unsigned{'0'};
    sums[count % 2] += digit;
    sums[(count + 1) % 2] += digit > 4 ? digit * 2 - 9 : digit * 2;
    if (count >= shortest && sums[count % 2] % 10 == 0 && !is_alnum(text[p])) longest_match = {i, p};
  }
  return longest_match;
}
