// What matches at one position, one function for each kind of data. The specification, which they follow step by step,
// is in guests/README.md.

#pragma once

#include <optional>

#include "text.hpp"

// The part of the text to replace.
struct Span {
  std::size_t start, end;
};

std::optional<Span> match_token(Text text, std::size_t i);
std::optional<Span> match_ipv6(Text text, std::size_t i);
std::optional<Span> match_ipv4(Text text, std::size_t i);
std::optional<Span> match_card(Text text, std::size_t i);

// Remembers how far local parts were read in vain, so that none is read again from its middle.
class EmailMatcher {
public:
  // To be called with growing `i`.
  std::optional<Span> match(Text text, std::size_t i);

private:
  std::size_t tried_ = 0;
};
