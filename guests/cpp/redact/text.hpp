// The input as the specification sees it: bytes that can be asked for at any position, and classes of bytes.

#pragma once

#include <cstddef>
#include <span>
#include <string_view>

class Text {
public:
  constexpr explicit Text(std::span<const unsigned char> bytes) : bytes_(bytes) {}

  // The byte at a position. Past the end, and before the start (which wraps around to past the end), it is 0, which is
  // in no class, so that no match needs to check for the ends.
  constexpr unsigned char operator[](std::size_t position) const {
    return position < bytes_.size() ? bytes_[position] : 0;
  }

  constexpr std::size_t size() const { return bytes_.size(); }

  // Where the run of bytes of one class that starts at a position ends.
  constexpr std::size_t run(std::size_t position, auto is_in_class) const {
    while (is_in_class((*this)[position])) ++position;
    return position;
  }

private:
  std::span<const unsigned char> bytes_;
};

// Not the ones of <cctype>: those depend on a locale.

constexpr bool is_digit(unsigned char byte) {
  return byte >= '0' && byte <= '9';
}

constexpr bool is_letter(unsigned char byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

constexpr bool is_hex(unsigned char byte) {
  return is_digit(byte) || (byte >= 'A' && byte <= 'F') || (byte >= 'a' && byte <= 'f');
}

constexpr bool is_alnum(unsigned char byte) {
  return is_digit(byte) || is_letter(byte);
}

constexpr bool is_one_of(unsigned char byte, std::string_view bytes) {
  return bytes.contains(static_cast<char>(byte));
}
