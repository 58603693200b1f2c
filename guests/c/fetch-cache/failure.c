#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool fail_with_invalid_url(failure_t *failure) {
  failure->tag = EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_INPUT;
  sandbox_string_dup(&failure->val.invalid_input, "the input is not an http or https URL");
  return false;
}

bool fail(failure_t *failure, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  if (length < 0) abort();
  // From malloc, because the generated code frees it.
  char *text = malloc((size_t)length + 1);
  if (text == nullptr) abort();
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  failure->tag = EXPORTS_SANDBOX_HOST_JOB_FAILURE_OTHER;
  failure->val.other = (sandbox_string_t){(uint8_t *)text, (size_t)length};
  return false;
}
