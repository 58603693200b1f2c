//! Why there is no output: what goes with `error.Failed`, since an error in Zig carries nothing.

const std = @import("std");
const bindings = @import("bindings");

const Failure = @This();

pub const Error = error{ Failed, OutOfMemory };

/// What is allocated goes to the generated code, which frees it as C does, or lives as long as the instance, which is
/// for one call.
pub const allocator = std.heap.c_allocator;

raw: *bindings.exports_sandbox_host_job_failure_t,

pub fn invalidUrl(failure: Failure) Error {
    const text = try allocator.dupe(u8, "the input is not an http or https URL");
    failure.raw.* = .{
        .tag = bindings.EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_INPUT,
        .val = .{ .invalid_input = string(text) },
    };
    return error.Failed;
}

/// Any failure that is not the caller's fault.
pub fn other(failure: Failure, comptime format: []const u8, arguments: anytype) Error {
    const text = try std.fmt.allocPrint(allocator, format, arguments);
    failure.raw.* = .{
        .tag = bindings.EXPORTS_SANDBOX_HOST_JOB_FAILURE_OTHER,
        .val = .{ .other = string(text) },
    };
    return error.Failed;
}

/// A string as the bindings have it. C has no word for a pointer that is only read, so the cast is harmless.
pub fn string(text: []const u8) bindings.sandbox_string_t {
    return .{ .ptr = @constCast(text.ptr), .len = text.len };
}

/// A string or a list of bytes from the bindings.
pub fn bytes(list: anytype) []u8 {
    return list.ptr[0..list.len];
}
