// A request to the outside.

#pragma once

#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "sandbox_cpp.h"
#include "url.hpp"

using exports::sandbox::host::job::Failure;

// Any failure that is not the caller's fault.
inline std::unexpected<Failure> failed(std::string_view text) {
  return std::unexpected(Failure{Failure::Other{wit::string::from_view(text)}});
}

inline std::unexpected<Failure> invalid_url() {
  constexpr std::string_view text = "the input is not an http or https URL";
  return std::unexpected(Failure{Failure::InvalidInput{wit::string::from_view(text)}});
}

// Makes a GET request and reads the whole answer. How large it may be is for the policy to say.
std::expected<std::vector<std::uint8_t>, Failure> fetch(const Url &url);
