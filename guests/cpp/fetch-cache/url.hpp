// From the job's input to the parts of a request.

#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

// The parts of an `http` or `https` URL. They are views of the text that was parsed.
struct Url {
  bool is_tls;
  std::string_view authority;
  // With its query, and without a fragment; may be empty.
  std::string_view path;

  // Nothing for what is no such URL. The host checks the parts again: this is for a clear message.
  static constexpr std::optional<Url> parse(std::string_view text) {
    // Not std::isgraph, which depends on a locale.
    if (!std::ranges::all_of(text, [](unsigned char byte) { return byte > ' ' && byte <= '~'; })) return std::nullopt;
    bool is_tls = text.starts_with("https://");
    if (!is_tls && !text.starts_with("http://")) return std::nullopt;
    text.remove_prefix(text.find("//") + 2);
    text = text.substr(0, text.find('#'));
    std::size_t end = std::min(text.find_first_of("/?"), text.size());
    if (end == 0) return std::nullopt;
    return Url{.is_tls = is_tls, .authority = text.substr(0, end), .path = text.substr(end)};
  }
};

// Drops the blanks at both ends.
constexpr std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f";
  std::size_t start = text.find_first_not_of(blanks);
  if (start == text.npos) return {};
  return text.substr(start, text.find_last_not_of(blanks) - start + 1);
}
