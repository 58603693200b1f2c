#include "fetch.hpp"

#include <array>
#include <string>
#include <utility>
#include <variant>

namespace http = wasi::http::types;
namespace streams = wasi::io::streams;

namespace {

using Body = std::vector<std::uint8_t>;

// How many bytes of an answer are read at once.
constexpr std::uint64_t chunk_size = 64 * 1024;

// The names of the errors, in the order of WIT.
constexpr auto error_names = std::to_array<std::string_view>({
    "dns-timeout",
    "dns-error",
    "destination-not-found",
    "destination-unavailable",
    "destination-ip-prohibited",
    "destination-ip-unroutable",
    "connection-refused",
    "connection-terminated",
    "connection-timeout",
    "connection-read-timeout",
    "connection-write-timeout",
    "connection-limit-reached",
    "tls-protocol-error",
    "tls-certificate-error",
    "tls-alert-received",
    "http-request-denied",
    "http-request-length-required",
    "http-request-body-size",
    "http-request-method-invalid",
    "http-request-uri-invalid",
    "http-request-uri-too-long",
    "http-request-header-section-size",
    "http-request-header-size",
    "http-request-trailer-section-size",
    "http-request-trailer-size",
    "http-response-incomplete",
    "http-response-header-section-size",
    "http-response-header-size",
    "http-response-body-size",
    "http-response-trailer-section-size",
    "http-response-trailer-size",
    "http-response-transfer-coding",
    "http-response-content-coding",
    "http-response-timeout",
    "http-upgrade-failed",
    "http-protocol-error",
    "loop-detected",
    "configuration-error",
    "internal-error",
});
static_assert(error_names.size() == std::variant_size_v<decltype(http::ErrorCode::variants)>);

std::unexpected<Failure> failed(const http::ErrorCode &code) {
  return ::failed(error_names[code.variants.index()]);
}

std::expected<Body, Failure> read_all(const http::InputStream &stream) {
  Body body;
  for (;;) {
    auto chunk = stream.BlockingRead(chunk_size);
    if (chunk) {
      body.append_range(chunk->get_const_view());
      continue;
    }
    auto *failure = std::get_if<streams::StreamError::LastOperationFailed>(&chunk.error().variants);
    if (failure == nullptr) return body;
    if (auto code = http::HttpErrorCode(failure->value)) return failed(*code);
    return ::failed(failure->value.ToDebugString().get_view());
  }
}

}  // namespace

std::expected<Body, Failure> fetch(const Url &url) {
  http::OutgoingRequest request{http::Fields()};
  http::Scheme scheme;
  if (url.is_tls) scheme.variants = http::Scheme::Https();
  if (!request.SetScheme(std::move(scheme)) || !request.SetAuthority(url.authority) ||
      !request.SetPathWithQuery(url.path)) {
    return invalid_url();
  }
  auto future = wasi::http::outgoing_handler::Handle(std::move(request), std::nullopt);
  if (!future) return failed(future.error());
  future->Subscribe().Block();
  // Two results in one another: whether the answer was taken before, and what came of the request.
  auto taken = future->Get();
  if (!taken || !*taken) return ::failed("internal-error");
  auto &response = **taken;
  if (!response) return failed(response.error());
  if (response->Status() != 200) return ::failed("status " + std::to_string(response->Status()));
  // The stream is a part of the body, and goes before it does.
  auto body = response->Consume();
  if (!body) return ::failed("internal-error");
  auto stream = body->Stream();
  if (!stream) return ::failed("internal-error");
  return read_all(*stream);
}
