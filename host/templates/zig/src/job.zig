//! Counts the lines and words of its input, and greets whom the configuration names.
//!
//! The module `bindings` is the C header that is generated from wit/, translated by zig; see bindings/.

const std = @import("std");
const bindings = @import("bindings");

/// What is allocated goes to the generated code or lives as long as the instance, which is for one call.
const allocator = std.heap.c_allocator;

/// A world without WASI has nothing to print a panic's message with: a trap says as much, with a stack.
pub const panic = std.debug.no_panic;

/// The generated code calls it. It returns whether there is an output.
export fn exports_sandbox_host_job_run(
    input: *bindings.exports_sandbox_host_job_input_t,
    output: *bindings.exports_sandbox_host_job_output_t,
    failure: *bindings.exports_sandbox_host_job_failure_t,
) bool {
    return run(input, output, failure) catch @panic("out of memory");
}

fn run(
    input: *bindings.exports_sandbox_host_job_input_t,
    output: *bindings.exports_sandbox_host_job_output_t,
    failure: *bindings.exports_sandbox_host_job_failure_t,
) !bool {
    const name = config("name") orelse "world";
    if (name.len == 0) {
        failure.tag = bindings.EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_CONFIG;
        failure.val.invalid_config = string(try allocator.dupe(u8, "`name` is empty"));
        return false;
    }
    const text = input.body.ptr[0..input.body.len];
    try logSize(text.len);

    const body = try std.fmt.allocPrint(allocator, "Hello, {s}! lines: {d}, words: {d}\n", .{
        name, countLines(text), countWords(text),
    });
    output.* = .{
        .body = .{ .ptr = body.ptr, .len = body.len },
        .content_type = .{
            .is_some = true,
            .val = string(try allocator.dupe(u8, "text/plain; charset=utf-8")),
        },
    };
    return true;
}

/// Lines end with a line feed, but for the last one, which need not.
fn countLines(text: []const u8) usize {
    const is_open = text.len > 0 and text[text.len - 1] != '\n';
    return std.mem.countScalar(u8, text, '\n') + @intFromBool(is_open);
}

/// Words have blanks between them.
fn countWords(text: []const u8) usize {
    var words: usize = 0;
    var iterator = std.mem.tokenizeAny(u8, text, &std.ascii.whitespace);
    while (iterator.next()) |_| words += 1;
    return words;
}

/// The value of a key of the configuration, or null where the operator did not set it.
fn config(key: []const u8) ?[]const u8 {
    var name = string(key);
    var value: bindings.sandbox_pure_string_t = undefined;
    return if (bindings.sandbox_host_config_get(&name, &value)) value.ptr[0..value.len] else null;
}

fn logSize(bytes: usize) !void {
    var context = string("my-job");
    var message = string(try std.fmt.allocPrint(allocator, "bytes={d}", .{bytes}));
    bindings.sandbox_host_log_log(bindings.SANDBOX_HOST_LOG_LEVEL_INFO, &context, &message);
}

/// A string as the bindings have it. C has no word for a pointer that is only read, so the cast is harmless.
fn string(text: []const u8) bindings.sandbox_pure_string_t {
    return .{ .ptr = @constCast(text.ptr), .len = text.len };
}
