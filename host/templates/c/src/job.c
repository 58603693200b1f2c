// Counts the lines and words of its input, and greets whom the configuration names.
//
// The functions and types that start with `sandbox_` and `exports_` are generated from wit/; see bindings/.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox_pure.h"

static bool is_blank(uint8_t byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

// Lines end with a line feed, but for the last one, which need not.
static size_t count_lines(sandbox_pure_list_u8_t text) {
  size_t lines = 0;
  for (size_t i = 0; i < text.len; i++) lines += text.ptr[i] == '\n' || i + 1 == text.len;
  return lines;
}

// Words have blanks between them.
static size_t count_words(sandbox_pure_list_u8_t text) {
  size_t words = 0;
  for (size_t i = 0; i < text.len; i++) words += !is_blank(text.ptr[i]) && (i == 0 || is_blank(text.ptr[i - 1]));
  return words;
}

// The value of a key of the configuration, or another where the operator did not set it.
static sandbox_pure_string_t get_config(const char *key, const char *otherwise) {
  sandbox_pure_string_t name, value;
  sandbox_pure_string_set(&name, key);
  if (!sandbox_host_config_get(&name, &value)) sandbox_pure_string_set(&value, otherwise);
  return value;
}

static void log_size(size_t bytes) {
  char text[32];
  snprintf(text, sizeof text, "bytes=%zu", bytes);
  sandbox_pure_string_t context, message;
  sandbox_pure_string_set(&context, "my-job");
  sandbox_pure_string_set(&message, text);
  sandbox_host_log_log(SANDBOX_HOST_LOG_LEVEL_INFO, &context, &message);
}

// Returns whether there is an output. The generated code frees the output or the failure, so what is in them comes from
// malloc. Nothing else is freed: a host calls `run` once in a fresh instance.
bool exports_sandbox_host_job_run(exports_sandbox_host_job_input_t *input, exports_sandbox_host_job_output_t *output,
                                  exports_sandbox_host_job_failure_t *failure) {
  sandbox_pure_string_t name = get_config("name", "world");
  if (name.len == 0) {
    failure->tag = EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_CONFIG;
    sandbox_pure_string_dup(&failure->val.invalid_config, "`name` is empty");
    return false;
  }
  log_size(input->body.len);

  const char *hello = "Hello, ";
  char counts[64];
  snprintf(counts, sizeof counts, "! lines: %zu, words: %zu\n", count_lines(input->body), count_words(input->body));
  size_t length = strlen(hello) + name.len + strlen(counts);
  uint8_t *body = malloc(length);
  if (body == nullptr) abort();
  memcpy(body, hello, strlen(hello));
  memcpy(body + strlen(hello), name.ptr, name.len);
  memcpy(body + strlen(hello) + name.len, counts, strlen(counts));

  *output = (exports_sandbox_host_job_output_t){.body = {body, length}};
  output->content_type.is_some = true;
  sandbox_pure_string_dup(&output->content_type.val, "text/plain; charset=utf-8");
  return true;
}
