#include "url.h"

#include <string.h>

// Not isspace() of <ctype.h>, which depends on a locale.
static bool is_blank(uint8_t byte) {
  return byte != '\0' && strchr(" \t\r\n\f", byte) != nullptr;
}

sandbox_string_t trim(sandbox_string_t text) {
  while (text.len > 0 && is_blank(text.ptr[0])) text.ptr++, text.len--;
  while (text.len > 0 && is_blank(text.ptr[text.len - 1])) text.len--;
  return text;
}

static bool starts_with(sandbox_string_t text, const char *prefix) {
  return text.len >= strlen(prefix) && memcmp(text.ptr, prefix, strlen(prefix)) == 0;
}

// Where, from a position on, the first of some characters is; the end of the text if there is none.
static size_t find(sandbox_string_t text, size_t position, const char *characters) {
  while (position < text.len && strchr(characters, text.ptr[position]) == nullptr) position++;
  return position;
}

bool parse_url(sandbox_string_t text, url_t *url) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] <= ' ' || text.ptr[i] > '~') return false;
  }
  url->is_tls = starts_with(text, "https://");
  if (!url->is_tls && !starts_with(text, "http://")) return false;
  size_t authority = strlen(url->is_tls ? "https://" : "http://");
  size_t path = find(text, authority, "/?#");
  size_t fragment = find(text, path, "#");
  url->authority = (sandbox_string_t){text.ptr + authority, path - authority};
  url->path = (sandbox_string_t){text.ptr + path, fragment - path};
  return url->authority.len > 0;
}
