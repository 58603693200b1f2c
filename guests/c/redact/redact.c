// Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//
// The specification is in guests/README.md. This file is the component's side: it takes the configuration from the
// host, makes the pass over the input, and sends the counts to the host's log. What matches is in match.c. The
// functions and types that start with `sandbox_` and `exports_` are generated from wit/.

#include <stdckdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"
#include "sandbox_pure.h"

// What can be masked, in the order in which the log counts it.
typedef enum { EMAIL, CARD, IPV4, IPV6, TOKEN, KINDS } kind_t;

static const char *const names[KINDS] = {"email", "card", "ipv4", "ipv6", "token"};

// Bytes that grow. There is no hurry to free them: a host calls `run` once in a fresh instance.
typedef struct {
  uint8_t *bytes;
  size_t length, capacity;
} buffer_t;

static void append(buffer_t *buffer, const void *bytes, size_t length) {
  if (length == 0) return;
  if (length > buffer->capacity - buffer->length) {
    // Twice what is needed now, so that few bytes are copied twice. Where there is no such room, the program stops, and
    // the host says which limit was reached.
    if (ckd_add(&buffer->capacity, buffer->length, length) || ckd_mul(&buffer->capacity, buffer->capacity, 2)) abort();
    buffer->bytes = realloc(buffer->bytes, buffer->capacity);
    if (buffer->bytes == nullptr) abort();
  }
  memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
}

static void append_text(buffer_t *buffer, const char *text) {
  append(buffer, text, strlen(text));
}

// The value of a key. Without one, `value` stays as it is.
static bool get_config(const char *key, text_t *value) {
  sandbox_pure_string_t name, found;
  sandbox_pure_string_set(&name, key);
  if (!sandbox_host_config_get(&name, &found)) return false;
  *value = (text_t){found.ptr, found.len};
  return true;
}

// Marks one kind as masked, or says in `problem` why `name` is none.
static bool mask_kind(text_t name, bool masked[KINDS], buffer_t *problem) {
  for (kind_t kind = 0; kind < KINDS; kind++) {
    if (name.length == strlen(names[kind]) && memcmp(name.bytes, names[kind], name.length) == 0) {
      masked[kind] = true;
      return true;
    }
  }
  if (name.length == 0) {
    append_text(problem, "`mask` has an empty element");
  } else {
    append_text(problem, "`mask` has the unknown kind `");
    append(problem, name.bytes, name.length);
    append_text(problem, "`");
  }
  append_text(problem, ": the kinds are email, card, ipv4, ipv6, token");
  return false;
}

// Reads the list of kinds in `mask`.
static bool read_mask(text_t mask, bool masked[KINDS], buffer_t *problem) {
  size_t start = 0;
  for (size_t end = 0; end <= mask.length; end++) {
    if (end < mask.length && mask.bytes[end] != ',') continue;
    if (!mask_kind((text_t){mask.bytes + start, end - start}, masked, problem)) return false;
    start = end + 1;
  }
  return true;
}

// The text to put in place of a kind: the template with each `{kind}` replaced by the kind's name.
static buffer_t make_replacement(text_t template, kind_t kind) {
  const char *place = "{kind}";
  buffer_t text = {};
  for (size_t i = 0; i < template.length;) {
    if (template.length - i >= strlen(place) && memcmp(template.bytes + i, place, strlen(place)) == 0) {
      append_text(&text, names[kind]);
      i += strlen(place);
    } else {
      append(&text, &template.bytes[i++], 1);
    }
  }
  return text;
}

// The first of the masked kinds that matches at `i`, in an order that the specification fixes; KINDS if there is none.
static kind_t find(text_t text, size_t i, const bool masked[KINDS], size_t *tried, span_t *found) {
  if (masked[TOKEN] && match_token(text, i, found)) return TOKEN;
  if (masked[EMAIL] && match_email(text, i, tried, found)) return EMAIL;
  if (masked[IPV6] && match_ipv6(text, i, found)) return IPV6;
  if (masked[IPV4] && match_ipv4(text, i, found)) return IPV4;
  if (masked[CARD] && match_card(text, i, found)) return CARD;
  return KINDS;
}

static void log_counts(const unsigned counts[KINDS]) {
  char message[128];
  snprintf(message, sizeof message, "email=%u card=%u ipv4=%u ipv6=%u token=%u", counts[EMAIL], counts[CARD],
           counts[IPV4], counts[IPV6], counts[TOKEN]);
  sandbox_pure_string_t context, text;
  sandbox_pure_string_set(&context, "redact");
  sandbox_pure_string_set(&text, message);
  sandbox_host_log_log(SANDBOX_HOST_LOG_LEVEL_INFO, &context, &text);
}

// Returns whether there is an output. Both an output and a failure are freed by the generated code, so what goes into
// them comes from malloc.
bool exports_sandbox_host_job_run(exports_sandbox_host_job_input_t *input, exports_sandbox_host_job_output_t *output,
                                  exports_sandbox_host_job_failure_t *failure) {
  bool masked[KINDS] = {true, true, true, true, true};
  text_t mask;
  if (get_config("mask", &mask)) {
    buffer_t problem = {};
    memset(masked, false, sizeof masked);
    if (!read_mask(mask, masked, &problem)) {
      failure->tag = EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_CONFIG;
      failure->val.invalid_config = (sandbox_pure_string_t){problem.bytes, problem.length};
      return false;
    }
  }
  text_t template = {(const uint8_t *)"[{kind}]", strlen("[{kind}]")};
  get_config("replacement", &template);
  buffer_t replacements[KINDS];
  for (kind_t kind = 0; kind < KINDS; kind++) replacements[kind] = make_replacement(template, kind);

  text_t text = {input->body.ptr, input->body.len};
  buffer_t body = {};
  unsigned counts[KINDS] = {};
  size_t tried = 0, copied = 0;
  for (size_t i = 0; i < text.length;) {
    span_t found;
    kind_t kind = find(text, i, masked, &tried, &found);
    if (kind == KINDS) {
      i++;
      continue;
    }
    append(&body, text.bytes + copied, found.start - copied);
    append(&body, replacements[kind].bytes, replacements[kind].length);
    counts[kind]++;
    copied = i = found.end;
  }
  append(&body, text.bytes + copied, text.length - copied);
  log_counts(counts);

  // The content type moves from the input to the output; the rest of the input goes with the instance.
  *output = (exports_sandbox_host_job_output_t){
      .body = {body.bytes, body.length},
      .content_type = input->content_type,
  };
  return true;
}
