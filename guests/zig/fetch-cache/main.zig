//! Fetches a URL once, and answers from a key-value bucket after that.
//!
//! The specification is in guests/README.md. This file is the component's side: the job and its bucket. The request is
//! in fetch.zig, and what a URL is in Url.zig. The module `bindings` is the C header that is generated from wit/,
//! translated by zig. Handles are dropped when they have done their duty, since the host counts those that are open.

const std = @import("std");
const bindings = @import("bindings");

const Failure = @import("Failure.zig");
const Url = @import("Url.zig");
const fetch = @import("fetch.zig").fetch;

const allocator = Failure.allocator;
const bytes = Failure.bytes;
const string = Failure.string;

/// Nobody sees a panic's message, since there is no standard error to print it to: a trap says as much, with a stack.
pub const panic = std.debug.no_panic;

/// The generated code calls it. It returns whether there is an output.
export fn exports_sandbox_host_job_run(
    input: *bindings.exports_sandbox_host_job_input_t,
    output: *bindings.exports_sandbox_host_job_output_t,
    failure: *bindings.exports_sandbox_host_job_failure_t,
) bool {
    output.* = run(bytes(input.body), .{ .raw = failure }) catch |problem| switch (problem) {
        error.Failed => return false,
        error.OutOfMemory => @panic("out of memory"),
    };
    return true;
}

fn run(input: []const u8, failure: Failure) Failure.Error!bindings.exports_sandbox_host_job_output_t {
    const text = std.mem.trim(u8, input, " \t\r\n\x0c");
    const url = Url.parse(text) orelse return failure.invalidUrl();
    const bucket = try openBucket(failure);
    defer bindings.wasi_keyvalue_store_bucket_drop_own(bucket);
    const borrowed = bindings.wasi_keyvalue_store_borrow_bucket(bucket);

    var key = string(text);
    var cached: bindings.sandbox_option_list_u8_t = undefined;
    var problem: bindings.wasi_keyvalue_store_error_t = undefined;
    if (!bindings.wasi_keyvalue_store_method_bucket_get(borrowed, &key, &cached, &problem)) {
        return failWithStore(failure, problem);
    }
    if (cached.is_some) return answer(cached.val, "hit", text);

    const fetched = try fetch(url, failure);
    var body: bindings.sandbox_list_u8_t = .{ .ptr = fetched.ptr, .len = fetched.len };
    if (!bindings.wasi_keyvalue_store_method_bucket_set(borrowed, &key, &body, &problem)) {
        return failWithStore(failure, problem);
    }
    return answer(body, "miss", text);
}

/// Opens the bucket that the configuration names.
fn openBucket(failure: Failure) Failure.Error!bindings.wasi_keyvalue_store_own_bucket_t {
    var key = string("bucket");
    var value: bindings.sandbox_option_string_t = undefined;
    var problem: bindings.wasi_config_store_error_t = undefined;
    if (!bindings.wasi_config_store_get(&key, &value, &problem)) {
        // Both cases of the error have a text, and nothing else.
        return failure.other("config: {s}", .{bytes(problem.val.io)});
    }
    var name = if (value.is_some) value.val else string("cache");
    var bucket: bindings.wasi_keyvalue_store_own_bucket_t = undefined;
    var denied: bindings.wasi_keyvalue_store_error_t = undefined;
    if (!bindings.wasi_keyvalue_store_open(&name, &bucket, &denied)) return failWithStore(failure, denied);
    return bucket;
}

fn failWithStore(failure: Failure, problem: bindings.wasi_keyvalue_store_error_t) Failure.Error {
    return failure.other("key-value: {s}", .{switch (problem.tag) {
        bindings.WASI_KEYVALUE_STORE_ERROR_NO_SUCH_STORE => "no-such-store",
        bindings.WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED => "access-denied",
        else => bytes(problem.val.other),
    }});
}

fn answer(
    body: bindings.sandbox_list_u8_t,
    how: []const u8,
    url: []const u8,
) error{OutOfMemory}!bindings.exports_sandbox_host_job_output_t {
    var context = string("fetch-cache");
    var message = string(try std.fmt.allocPrint(allocator, "{s} {s}", .{ how, url }));
    bindings.sandbox_host_log_log(bindings.SANDBOX_HOST_LOG_LEVEL_INFO, &context, &message);
    const attributes = try allocator.alloc(bindings.sandbox_tuple2_string_string_t, 1);
    attributes[0] = .{
        .f0 = string(try allocator.dupe(u8, "cache")),
        .f1 = string(try allocator.dupe(u8, how)),
    };
    return .{ .body = body, .attributes = .{ .ptr = attributes.ptr, .len = attributes.len } };
}
