// Fetches a URL once, and answers from a key-value bucket after that.
//
// The specification is in guests/README.md. This file is the component's side: the job and its bucket. The request is
// in fetch.cpp, and what a URL is in url.hpp. The namespaces `exports`, `sandbox`, `wasi` and `wit` are generated from
// wit/.

#include <expected>
#include <string>
#include <string_view>
#include <variant>

#include "fetch.hpp"
#include "sandbox_cpp.h"
#include "url.hpp"

namespace config = wasi::config::store;
namespace job = exports::sandbox::host::job;
namespace keyvalue = wasi::keyvalue::store;
namespace log = sandbox::host::log;

namespace {

// One function for the cases of a variant.
template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::unexpected<Failure> failed(const keyvalue::Error &error) {
  std::string text = "key-value: ";
  text += std::visit(
      Overloaded{
          [](const keyvalue::Error::NoSuchStore &) -> std::string_view { return "no-such-store"; },
          [](const keyvalue::Error::AccessDenied &) -> std::string_view { return "access-denied"; },
          [](const keyvalue::Error::Other &other) { return other.value.get_view(); },
      },
      error.variants);
  return ::failed(text);
}

// Opens the bucket that the configuration names.
std::expected<keyvalue::Bucket, Failure> open_bucket() {
  auto name = config::Get("bucket");
  if (!name) {
    // Both cases of the error have a text, and nothing else.
    return std::visit([](const auto &error) { return ::failed("config: " + error.value.to_string()); },
                      name.error().variants);
  }
  auto bucket = keyvalue::Open(*name ? (*name)->get_view() : "cache");
  if (!bucket) return failed(bucket.error());
  return std::move(*bucket);
}

job::Output answer(wit::vector<std::uint8_t> body, std::string_view how, std::string_view url) {
  log::Log(log::Level::kInfo, "fetch-cache", std::string(how).append(" ").append(url));
  auto attributes = wit::vector<std::tuple<wit::string, wit::string>>::allocate(1);
  attributes.initialize(0, {wit::string::from_view("cache"), wit::string::from_view(how)});
  return {.body = std::move(body), .content_type = std::nullopt, .attributes = std::move(attributes)};
}

}  // namespace

std::expected<job::Output, job::Failure> job::Run(Input input) {
  std::string_view text = trim({reinterpret_cast<const char *>(input.body.data()), input.body.size()});
  auto url = Url::parse(text);
  if (!url) return invalid_url();
  auto bucket = open_bucket();
  if (!bucket) return std::unexpected(std::move(bucket.error()));
  auto cached = bucket->Get(text);
  if (!cached) return failed(cached.error());
  if (*cached) return answer(std::move(**cached), "hit", text);

  auto body = fetch(*url);
  if (!body) return std::unexpected(std::move(body.error()));
  if (auto stored = bucket->Set(text, *body); !stored) return failed(stored.error());
  return answer(wit::vector<std::uint8_t>::from_view(std::span(*body)), "miss", text);
}
