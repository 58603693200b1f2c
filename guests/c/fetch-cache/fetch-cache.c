// Fetches a URL once, and answers from a key-value bucket after that.
//
// The specification is in guests/README.md. This file is the component's side: the job and its bucket. The request is
// in fetch.c, and what a URL is in url.c. The functions and types that start with `sandbox_`, `wasi_` and `exports_` are
// generated from wit/. Handles are dropped when they have done their duty, since the host counts those that are open;
// memory that is small goes with the instance, in which a host calls `run` once.

#include <stdio.h>
#include <stdlib.h>

#include "failure.h"
#include "fetch.h"
#include "url.h"

static bool fail_with_store(failure_t *failure, const wasi_keyvalue_store_error_t *error) {
  switch (error->tag) {
    case WASI_KEYVALUE_STORE_ERROR_NO_SUCH_STORE:
      return fail(failure, "key-value: no-such-store");
    case WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED:
      return fail(failure, "key-value: access-denied");
    default:
      return fail(failure, "key-value: %.*s", (int)error->val.other.len, error->val.other.ptr);
  }
}

// Opens the bucket that the configuration names.
static bool open_bucket(wasi_keyvalue_store_own_bucket_t *bucket, failure_t *failure) {
  sandbox_string_t key, name;
  sandbox_string_set(&key, "bucket");
  sandbox_option_string_t value;
  wasi_config_store_error_t problem;
  if (!wasi_config_store_get(&key, &value, &problem)) {
    // Both cases of the error have a text, and nothing else.
    return fail(failure, "config: %.*s", (int)problem.val.io.len, problem.val.io.ptr);
  }
  if (value.is_some) {
    name = value.val;
  } else {
    sandbox_string_set(&name, "cache");
  }
  wasi_keyvalue_store_error_t error;
  return wasi_keyvalue_store_open(&name, bucket, &error) || fail_with_store(failure, &error);
}

// The body from the bucket, or else from the network and into the bucket.
static bool get(wasi_keyvalue_store_borrow_bucket_t bucket, sandbox_string_t text, const url_t *url,
                sandbox_list_u8_t *body, bool *hit, failure_t *failure) {
  sandbox_option_list_u8_t cached;
  wasi_keyvalue_store_error_t error;
  if (!wasi_keyvalue_store_method_bucket_get(bucket, &text, &cached, &error)) return fail_with_store(failure, &error);
  *hit = cached.is_some;
  if (cached.is_some) {
    *body = cached.val;
    return true;
  }
  return fetch(url, body, failure) &&
         (wasi_keyvalue_store_method_bucket_set(bucket, &text, body, &error) || fail_with_store(failure, &error));
}

static void log_outcome(const char *how, sandbox_string_t url) {
  size_t size = url.len + sizeof "miss ";
  char *message = malloc(size);
  if (message == nullptr) abort();
  snprintf(message, size, "%s %.*s", how, (int)url.len, url.ptr);
  sandbox_string_t context, text;
  sandbox_string_set(&context, "fetch-cache");
  sandbox_string_set(&text, message);
  sandbox_host_log_log(SANDBOX_HOST_LOG_LEVEL_INFO, &context, &text);
}

// Returns whether there is an output. Both an output and a failure are freed by the generated code, so what goes into
// them comes from malloc.
bool exports_sandbox_host_job_run(exports_sandbox_host_job_input_t *input, exports_sandbox_host_job_output_t *output,
                                  failure_t *failure) {
  sandbox_string_t text = trim((sandbox_string_t){input->body.ptr, input->body.len});
  url_t url;
  if (!parse_url(text, &url)) return fail_with_invalid_url(failure);
  wasi_keyvalue_store_own_bucket_t bucket;
  if (!open_bucket(&bucket, failure)) return false;
  sandbox_list_u8_t body;
  bool hit;
  bool ok = get(wasi_keyvalue_store_borrow_bucket(bucket), text, &url, &body, &hit, failure);
  wasi_keyvalue_store_bucket_drop_own(bucket);
  if (!ok) return false;

  const char *how = hit ? "hit" : "miss";
  log_outcome(how, text);
  sandbox_tuple2_string_string_t *attribute = malloc(sizeof *attribute);
  if (attribute == nullptr) abort();
  sandbox_string_dup(&attribute->f0, "cache");
  sandbox_string_dup(&attribute->f1, how);
  *output = (exports_sandbox_host_job_output_t){.body = body, .attributes = {attribute, 1}};
  return true;
}
