// From the job's input to the parts of a request.

#ifndef URL_H
#define URL_H

#include "sandbox.h"

typedef struct {
  bool is_tls;
  // The path is with its query and without a fragment, and may be empty. Both are parts of the text that was parsed.
  sandbox_string_t authority, path;
} url_t;

// Drops the blanks at both ends.
sandbox_string_t trim(sandbox_string_t text);

// Returns whether the text is an `http` or `https` URL. The host checks the parts again: this is for a clear message.
bool parse_url(sandbox_string_t text, url_t *url);

#endif
