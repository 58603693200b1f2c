//! A request to the outside.

const std = @import("std");
const wasi = @import("bindings");

const Failure = @import("Failure.zig");
const Url = @import("Url.zig");

/// How many bytes of an answer are read at once.
const chunk_size = 64 * 1024;

/// Makes a GET request and reads the whole answer. How large it may be is for the policy to say.
pub fn fetch(url: Url, failure: Failure) Failure.Error![]u8 {
    const future = try send(url, failure);
    defer wasi.wasi_http_types_future_incoming_response_drop_own(future);
    const response = try wait(future, failure);
    defer wasi.wasi_http_types_incoming_response_drop_own(response);
    const borrowed = wasi.wasi_http_types_borrow_incoming_response(response);
    const status = wasi.wasi_http_types_method_incoming_response_status(borrowed);
    if (status != 200) return failure.other("status {d}", .{status});

    var body: wasi.wasi_http_types_own_incoming_body_t = undefined;
    if (!wasi.wasi_http_types_method_incoming_response_consume(borrowed, &body)) {
        return failure.other("internal-error", .{});
    }
    defer wasi.wasi_http_types_incoming_body_drop_own(body);
    var stream: wasi.wasi_http_types_own_input_stream_t = undefined;
    if (!wasi.wasi_http_types_method_incoming_body_stream(wasi.wasi_http_types_borrow_incoming_body(body), &stream)) {
        return failure.other("internal-error", .{});
    }
    // The stream is a part of the body, and goes before it does.
    defer wasi.wasi_io_streams_input_stream_drop_own(stream);
    return readAll(wasi.wasi_io_streams_borrow_input_stream(stream), failure);
}

fn send(url: Url, failure: Failure) Failure.Error!wasi.wasi_http_types_own_future_incoming_response_t {
    const request = wasi.wasi_http_types_constructor_outgoing_request(wasi.wasi_http_types_constructor_fields());
    const borrowed = wasi.wasi_http_types_borrow_outgoing_request(request);
    var scheme: wasi.wasi_http_types_scheme_t = .{
        .tag = if (url.is_tls) wasi.WASI_HTTP_TYPES_SCHEME_HTTPS else wasi.WASI_HTTP_TYPES_SCHEME_HTTP,
    };
    var authority = Failure.string(url.authority);
    var path = Failure.string(url.path);
    if (!wasi.wasi_http_types_method_outgoing_request_set_scheme(borrowed, &scheme) or
        !wasi.wasi_http_types_method_outgoing_request_set_authority(borrowed, &authority) or
        !wasi.wasi_http_types_method_outgoing_request_set_path_with_query(borrowed, &path))
    {
        wasi.wasi_http_types_outgoing_request_drop_own(request);
        return failure.invalidUrl();
    }
    // The request is the handler's from here on.
    var future: wasi.wasi_http_types_own_future_incoming_response_t = undefined;
    var code: wasi.wasi_http_types_error_code_t = undefined;
    if (!wasi.wasi_http_outgoing_handler_handle(request, null, &future, &code)) return failWithCode(failure, code);
    return future;
}

/// Waits for the answer to a request that is on its way.
fn wait(
    future: wasi.wasi_http_types_own_future_incoming_response_t,
    failure: Failure,
) Failure.Error!wasi.wasi_http_types_own_incoming_response_t {
    const borrowed = wasi.wasi_http_types_borrow_future_incoming_response(future);
    const ready = wasi.wasi_http_types_method_future_incoming_response_subscribe(borrowed);
    wasi.wasi_io_poll_method_pollable_block(wasi.wasi_io_poll_borrow_pollable(ready));
    wasi.wasi_io_poll_pollable_drop_own(ready);
    // Two results in one another: whether the answer was taken before, and what came of the request.
    var taken: wasi.wasi_http_types_result_result_own_incoming_response_error_code_void_t = undefined;
    if (!wasi.wasi_http_types_method_future_incoming_response_get(borrowed, &taken) or taken.is_err) {
        return failure.other("internal-error", .{});
    }
    const answer = taken.val.ok;
    return if (answer.is_err) failWithCode(failure, answer.val.err) else answer.val.ok;
}

fn readAll(stream: wasi.wasi_io_streams_borrow_input_stream_t, failure: Failure) Failure.Error![]u8 {
    var body: std.ArrayList(u8) = .empty;
    var chunk: wasi.sandbox_list_u8_t = undefined;
    var end: wasi.wasi_io_streams_stream_error_t = undefined;
    while (wasi.wasi_io_streams_method_input_stream_blocking_read(stream, chunk_size, &chunk, &end)) {
        defer wasi.sandbox_list_u8_free(&chunk);
        try body.appendSlice(Failure.allocator, Failure.bytes(chunk));
    }
    if (end.tag == wasi.WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return body.items;

    defer wasi.wasi_io_streams_stream_error_free(&end);
    const cause = wasi.wasi_io_error_borrow_error(end.val.last_operation_failed);
    var code: wasi.wasi_http_types_error_code_t = undefined;
    if (wasi.wasi_http_types_http_error_code(cause, &code)) return failWithCode(failure, code);
    var text: wasi.sandbox_string_t = undefined;
    wasi.wasi_io_error_method_error_to_debug_string(cause, &text);
    return failure.other("{s}", .{Failure.bytes(text)});
}

fn failWithCode(failure: Failure, code: wasi.wasi_http_types_error_code_t) Failure.Error {
    return failure.other("{s}", .{error_names[code.tag]});
}

/// The names of the errors as they are in WIT, but in lower case: what the header calls
/// `WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT` is `dns-timeout`.
const error_names = names: {
    @setEvalBranchQuota(1_000_000);
    const prefix = "WASI_HTTP_TYPES_ERROR_CODE_";
    var names: [wasi.WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR + 1][]const u8 = undefined;
    for (std.meta.declarations(wasi)) |declaration| {
        const name = std.mem.cutPrefix(u8, declaration, prefix) orelse continue;
        var text: [name.len]u8 = undefined;
        _ = std.ascii.lowerString(&text, name);
        std.mem.replaceScalar(u8, &text, '_', '-');
        const final = text;
        names[@field(wasi, declaration)] = &final;
    }
    break :names names;
};
