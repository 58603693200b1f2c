// Counts the lines and words of its input, and greets whom the configuration names.
//
// The namespaces `sandbox`, `exports` and `wit` are generated from wit/; see bindings/.

#include <algorithm>
#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "sandbox_pure_cpp.h"

namespace config = sandbox::host::config;
namespace job = exports::sandbox::host::job;
namespace log = sandbox::host::log;

namespace {

bool is_blank(unsigned char byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

// Lines end with a line feed, but for the last one, which need not.
std::size_t count_lines(std::span<const unsigned char> text) {
  bool is_open = !text.empty() && text.back() != '\n';
  return static_cast<std::size_t>(std::ranges::count(text, '\n')) + (is_open ? 1 : 0);
}

// Words have blanks between them.
std::size_t count_words(std::span<const unsigned char> text) {
  std::size_t words = 0;
  bool after_blank = true;
  for (unsigned char byte : text) {
    words += after_blank && !is_blank(byte);
    after_blank = is_blank(byte);
  }
  return words;
}

}  // namespace

std::expected<job::Output, job::Failure> job::Run(Input input) {
  auto configured = config::Get("name");
  std::string_view name = configured ? configured->get_view() : "world";
  if (name.empty()) {
    return std::unexpected(Failure{Failure::InvalidConfig{wit::string::from_view("`name` is empty")}});
  }
  auto text = input.body.get_const_view();
  log::Log(log::Level::kInfo, "my-job", "bytes=" + std::to_string(text.size()));

  std::string body = "Hello, ";
  body.append(name).append("! lines: ").append(std::to_string(count_lines(text)));
  body.append(", words: ").append(std::to_string(count_words(text))).append("\n");
  return Output{
      .body = wit::vector<uint8_t>::from_view(std::span(reinterpret_cast<const uint8_t *>(body.data()), body.size())),
      .content_type = wit::string::from_view("text/plain; charset=utf-8"),
      .attributes = {},
  };
}
