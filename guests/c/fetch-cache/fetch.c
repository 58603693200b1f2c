#include "fetch.h"

#include <ctype.h>
#include <stdckdint.h>
#include <stdlib.h>
#include <string.h>

// How many bytes of an answer are read at once.
constexpr uint64_t CHUNK = 64 * 1024;

// Fails with the name of the error, as it is in WIT but in lower case.
static bool fail_with_code(failure_t *failure, const wasi_http_types_error_code_t *code) {
#define NAME(code) [WASI_HTTP_TYPES_ERROR_CODE_##code] = #code
  static const char *const names[] = {
      NAME(DNS_TIMEOUT),
      NAME(DNS_ERROR),
      NAME(DESTINATION_NOT_FOUND),
      NAME(DESTINATION_UNAVAILABLE),
      NAME(DESTINATION_IP_PROHIBITED),
      NAME(DESTINATION_IP_UNROUTABLE),
      NAME(CONNECTION_REFUSED),
      NAME(CONNECTION_TERMINATED),
      NAME(CONNECTION_TIMEOUT),
      NAME(CONNECTION_READ_TIMEOUT),
      NAME(CONNECTION_WRITE_TIMEOUT),
      NAME(CONNECTION_LIMIT_REACHED),
      NAME(TLS_PROTOCOL_ERROR),
      NAME(TLS_CERTIFICATE_ERROR),
      NAME(TLS_ALERT_RECEIVED),
      NAME(HTTP_REQUEST_DENIED),
      NAME(HTTP_REQUEST_LENGTH_REQUIRED),
      NAME(HTTP_REQUEST_BODY_SIZE),
      NAME(HTTP_REQUEST_METHOD_INVALID),
      NAME(HTTP_REQUEST_URI_INVALID),
      NAME(HTTP_REQUEST_URI_TOO_LONG),
      NAME(HTTP_REQUEST_HEADER_SECTION_SIZE),
      NAME(HTTP_REQUEST_HEADER_SIZE),
      NAME(HTTP_REQUEST_TRAILER_SECTION_SIZE),
      NAME(HTTP_REQUEST_TRAILER_SIZE),
      NAME(HTTP_RESPONSE_INCOMPLETE),
      NAME(HTTP_RESPONSE_HEADER_SECTION_SIZE),
      NAME(HTTP_RESPONSE_HEADER_SIZE),
      NAME(HTTP_RESPONSE_BODY_SIZE),
      NAME(HTTP_RESPONSE_TRAILER_SECTION_SIZE),
      NAME(HTTP_RESPONSE_TRAILER_SIZE),
      NAME(HTTP_RESPONSE_TRANSFER_CODING),
      NAME(HTTP_RESPONSE_CONTENT_CODING),
      NAME(HTTP_RESPONSE_TIMEOUT),
      NAME(HTTP_UPGRADE_FAILED),
      NAME(HTTP_PROTOCOL_ERROR),
      NAME(LOOP_DETECTED),
      NAME(CONFIGURATION_ERROR),
      NAME(INTERNAL_ERROR),
  };
#undef NAME
  fail(failure, "%s", names[code->tag]);
  for (size_t i = 0; i < failure->val.other.len; i++) {
    uint8_t *byte = &failure->val.other.ptr[i];
    *byte = *byte == '_' ? '-' : (uint8_t)tolower(*byte);
  }
  return false;
}

// Adds a chunk to a body. Where there is no room, the program stops, and the host says which limit was reached.
static void append(sandbox_list_u8_t *body, size_t *capacity, sandbox_list_u8_t chunk) {
  if (chunk.len > *capacity - body->len) {
    // Twice what is needed now, so that few bytes are copied twice.
    if (ckd_add(capacity, body->len, chunk.len) || ckd_mul(capacity, *capacity, 2)) abort();
    body->ptr = realloc(body->ptr, *capacity);
    if (body->ptr == nullptr) abort();
  }
  if (chunk.len > 0) memcpy(body->ptr + body->len, chunk.ptr, chunk.len);
  body->len += chunk.len;
}

// Reads a stream to its end. How much that may be is for the policy to say.
static bool read_all(wasi_http_types_own_input_stream_t stream, sandbox_list_u8_t *body, failure_t *failure) {
  wasi_io_streams_borrow_input_stream_t borrowed = wasi_io_streams_borrow_input_stream(stream);
  wasi_io_streams_stream_error_t error;
  sandbox_list_u8_t chunk;
  size_t capacity = 0;
  *body = (sandbox_list_u8_t){};
  while (wasi_io_streams_method_input_stream_blocking_read(borrowed, CHUNK, &chunk, &error)) {
    append(body, &capacity, chunk);
    sandbox_list_u8_free(&chunk);
  }
  if (error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return true;

  wasi_io_error_borrow_error_t cause = wasi_io_error_borrow_error(error.val.last_operation_failed);
  wasi_http_types_error_code_t code;
  if (wasi_http_types_http_error_code(cause, &code)) {
    fail_with_code(failure, &code);
  } else {
    failure->tag = EXPORTS_SANDBOX_HOST_JOB_FAILURE_OTHER;
    wasi_io_error_method_error_to_debug_string(cause, &failure->val.other);
  }
  wasi_io_streams_stream_error_free(&error);
  return false;
}

static bool read_response(wasi_http_types_borrow_incoming_response_t response, sandbox_list_u8_t *bytes,
                          failure_t *failure) {
  unsigned status = wasi_http_types_method_incoming_response_status(response);
  if (status != 200) return fail(failure, "status %u", status);
  wasi_http_types_own_incoming_body_t body;
  if (!wasi_http_types_method_incoming_response_consume(response, &body)) return fail(failure, "internal-error");
  wasi_http_types_own_input_stream_t stream;
  bool ok = wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream);
  if (ok) {
    ok = read_all(stream, bytes, failure);
    // A stream is a part of its body, and goes first.
    wasi_io_streams_input_stream_drop_own(stream);
  } else {
    fail(failure, "internal-error");
  }
  wasi_http_types_incoming_body_drop_own(body);
  return ok;
}

// Waits for the answer to a request that is on its way.
static bool await(wasi_http_types_borrow_future_incoming_response_t future,
                  wasi_http_types_own_incoming_response_t *response, failure_t *failure) {
  wasi_http_types_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(future);
  wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
  wasi_io_poll_pollable_drop_own(ready);
  // Two results in one another: whether the answer was taken before, and what came of the request.
  wasi_http_types_result_result_own_incoming_response_error_code_void_t taken;
  if (!wasi_http_types_method_future_incoming_response_get(future, &taken) || taken.is_err) {
    return fail(failure, "internal-error");
  }
  if (taken.val.ok.is_err) return fail_with_code(failure, &taken.val.ok.val.err);
  *response = taken.val.ok.val.ok;
  return true;
}

bool fetch(const url_t *url, sandbox_list_u8_t *body, failure_t *failure) {
  wasi_http_types_own_outgoing_request_t request =
      wasi_http_types_constructor_outgoing_request(wasi_http_types_constructor_fields());
  wasi_http_types_borrow_outgoing_request_t borrowed = wasi_http_types_borrow_outgoing_request(request);
  wasi_http_types_scheme_t scheme = {.tag = url->is_tls ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP};
  sandbox_string_t authority = url->authority, path = url->path;
  if (!wasi_http_types_method_outgoing_request_set_scheme(borrowed, &scheme) ||
      !wasi_http_types_method_outgoing_request_set_authority(borrowed, &authority) ||
      !wasi_http_types_method_outgoing_request_set_path_with_query(borrowed, &path)) {
    wasi_http_types_outgoing_request_drop_own(request);
    return fail_with_invalid_url(failure);
  }
  // The request is the handler's from here on.
  wasi_http_types_own_future_incoming_response_t future;
  wasi_http_types_error_code_t code;
  if (!wasi_http_outgoing_handler_handle(request, nullptr, &future, &code)) return fail_with_code(failure, &code);
  wasi_http_types_own_incoming_response_t response;
  bool ok = await(wasi_http_types_borrow_future_incoming_response(future), &response, failure);
  wasi_http_types_future_incoming_response_drop_own(future);
  if (!ok) return false;
  ok = read_response(wasi_http_types_borrow_incoming_response(response), body, failure);
  wasi_http_types_incoming_response_drop_own(response);
  return ok;
}
