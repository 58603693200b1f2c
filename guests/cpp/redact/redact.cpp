// Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//
// The specification is in guests/README.md. This file is the component's side: it takes the configuration from the
// host, makes the pass over the input, and sends the counts to the host's log. What matches is in match.cpp. The
// namespaces `sandbox`, `exports` and `wit` are generated from wit/.

#include <algorithm>
#include <array>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "match.hpp"
#include "sandbox_pure_cpp.h"

namespace config = sandbox::host::config;
namespace job = exports::sandbox::host::job;
namespace log = sandbox::host::log;

namespace {

// What can be masked, in the order in which the log counts it.
enum Kind : std::size_t { Email, Card, Ipv4, Ipv6, Token };

constexpr std::array<std::string_view, 5> names = {"email", "card", "ipv4", "ipv6", "token"};

template <class T>
using PerKind = std::array<T, names.size()>;

// Which kinds the value of the key `mask` names, or why it makes no sense.
std::expected<PerKind<bool>, std::string> parse_mask(std::string_view mask) {
  PerKind<bool> masked = {};
  // Not std::views::split, which has no elements for an empty text, where there is an empty one.
  for (std::size_t start = 0, end = 0; end != mask.npos; start = end + 1) {
    end = mask.find(',', start);
    std::string_view name = mask.substr(start, end == mask.npos ? end : end - start);
    auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      std::string problem = name.empty() ? "an empty element" : "the unknown kind `" + std::string(name) + "`";
      return std::unexpected("`mask` has " + problem + ": the kinds are email, card, ipv4, ipv6, token");
    }
    masked[static_cast<std::size_t>(found - names.begin())] = true;
  }
  return masked;
}

// The text to put in place of a kind: the pattern with each `{kind}` replaced by the kind's name.
std::string make_replacement(std::string_view pattern, std::string_view name) {
  constexpr std::string_view place = "{kind}";
  std::string text;
  for (std::size_t at; (at = pattern.find(place)) != pattern.npos; pattern.remove_prefix(at + place.size())) {
    text.append(pattern.substr(0, at)).append(name);
  }
  return text.append(pattern);
}

// The pass over one text.
class Redactor {
public:
  Redactor(const PerKind<bool> &masked, std::string_view pattern) : masked_(masked) {
    for (std::size_t kind = 0; kind < names.size(); ++kind) {
      replacements_[kind] = make_replacement(pattern, names[kind]);
    }
  }

  std::vector<unsigned char> redact(std::span<const unsigned char> bytes) {
    Text text(bytes);
    std::vector<unsigned char> output;
    output.reserve(bytes.size());
    std::size_t copied = 0;
    for (std::size_t i = 0; i < bytes.size();) {
      auto match = find(text, i);
      if (!match) {
        ++i;
        continue;
      }
      auto [kind, span] = *match;
      output.append_range(bytes.subspan(copied, span.start - copied));
      output.append_range(replacements_[kind]);
      ++counts_[kind];
      copied = i = span.end;
    }
    output.append_range(bytes.subspan(copied));
    return output;
  }

  // The message for the log.
  std::string counts() const {
    std::string text;
    for (std::size_t kind = 0; kind < names.size(); ++kind) {
      if (kind > 0) text += ' ';
      text.append(names[kind]).append("=").append(std::to_string(counts_[kind]));
    }
    return text;
  }

private:
  struct Match {
    Kind kind;
    Span span;
  };

  // The first of the masked kinds that matches at `i`, in an order that the specification fixes.
  std::optional<Match> find(Text text, std::size_t i) {
    std::optional<Span> span;
    if (masked_[Token] && (span = match_token(text, i))) return Match{Token, *span};
    if (masked_[Email] && (span = emails_.match(text, i))) return Match{Email, *span};
    if (masked_[Ipv6] && (span = match_ipv6(text, i))) return Match{Ipv6, *span};
    if (masked_[Ipv4] && (span = match_ipv4(text, i))) return Match{Ipv4, *span};
    if (masked_[Card] && (span = match_card(text, i))) return Match{Card, *span};
    return std::nullopt;
  }

  PerKind<bool> masked_;
  PerKind<std::string> replacements_;
  PerKind<unsigned> counts_ = {};
  EmailMatcher emails_;
};

}  // namespace

std::expected<job::Output, job::Failure> job::Run(Input input) {
  PerKind<bool> masked;
  masked.fill(true);
  if (auto mask = config::Get("mask")) {
    auto parsed = parse_mask(mask->get_view());
    if (!parsed) return std::unexpected(Failure{Failure::InvalidConfig{wit::string::from_view(parsed.error())}});
    masked = *parsed;
  }
  auto pattern = config::Get("replacement");
  Redactor redactor(masked, pattern ? pattern->get_view() : "[{kind}]");

  auto body = redactor.redact(input.body.get_const_view());
  log::Log(log::Level::kInfo, "redact", redactor.counts());
  return Output{
      .body = wit::vector<uint8_t>::from_view(std::span(body)),
      .content_type = std::move(input.content_type),
      .attributes = {},
  };
}
