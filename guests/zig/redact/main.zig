//! Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//!
//! The specification is in guests/README.md. This file is the component's side: it takes the configuration from the
//! host, makes the pass over the input, and sends the counts to the host's log. What matches is in match.zig. The module
//! `bindings` is the C header that is generated from wit/, translated by zig.

const std = @import("std");
const bindings = @import("bindings");

const Text = @import("Text.zig");
const match = @import("match.zig");

/// What is allocated goes to the generated code or lives as long as the instance, which is for one call.
const allocator = std.heap.c_allocator;

/// Nobody sees a panic's message, since there is no WASI to print it with: a trap says as much, with a stack.
pub const panic = std.debug.no_panic;

/// What can be masked, in the order in which the log counts it.
const Kind = enum { email, card, ipv4, ipv6, token };
const Kinds = std.EnumSet(Kind);

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
    var masked: Kinds = .full;
    if (config("mask")) |mask| {
        switch (try parseMask(mask)) {
            .kinds => |kinds| masked = kinds,
            .problem => |problem| {
                failure.tag = bindings.EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_CONFIG;
                failure.val.invalid_config = string(problem);
                return false;
            },
        }
    }
    const template = config("replacement") orelse "[{kind}]";
    var replacements: std.EnumArray(Kind, []const u8) = undefined;
    for (std.enums.values(Kind)) |kind| {
        const text = try std.mem.replaceOwned(u8, allocator, template, "{kind}", @tagName(kind));
        replacements.set(kind, text);
    }

    const text: Text = .{ .bytes = input.body.ptr[0..input.body.len] };
    var body: std.ArrayList(u8) = try .initCapacity(allocator, text.bytes.len);
    var counts: std.EnumArray(Kind, usize) = .initFill(0);
    var emails: match.Emails = .{};
    var copied: usize = 0;
    var i: usize = 0;
    while (i < text.bytes.len) {
        const kind, const span = find(text, i, masked, &emails) orelse {
            i += 1;
            continue;
        };
        try body.appendSlice(allocator, text.bytes[copied..span.start]);
        try body.appendSlice(allocator, replacements.get(kind));
        counts.getPtr(kind).* += 1;
        copied = span.end;
        i = span.end;
    }
    try body.appendSlice(allocator, text.bytes[copied..]);
    try log(counts);

    output.* = .{
        .body = .{ .ptr = body.items.ptr, .len = body.items.len },
        .content_type = input.content_type,
        .attributes = .{},
    };
    return true;
}

/// The first of the masked kinds that matches at `i`, in an order that the specification fixes.
fn find(text: Text, i: usize, masked: Kinds, emails: *match.Emails) ?struct { Kind, match.Span } {
    for ([_]Kind{ .token, .email, .ipv6, .ipv4, .card }) |kind| {
        if (!masked.contains(kind)) continue;
        const found = switch (kind) {
            .token => match.token(text, i),
            .email => emails.match(text, i),
            .ipv6 => match.ipv6(text, i),
            .ipv4 => match.ipv4(text, i),
            .card => match.card(text, i),
        };
        if (found) |span| return .{ kind, span };
    }
    return null;
}

/// Which kinds the value of the key `mask` names, or why it makes no sense.
fn parseMask(mask: []const u8) !union(enum) { kinds: Kinds, problem: []u8 } {
    const hint = "the kinds are email, card, ipv4, ipv6, token";
    var kinds: Kinds = .empty;
    var elements = std.mem.splitScalar(u8, mask, ',');
    while (elements.next()) |element| {
        if (element.len == 0) {
            return .{ .problem = try std.fmt.allocPrint(allocator, "`mask` has an empty element: " ++ hint, .{}) };
        }
        kinds.insert(std.meta.stringToEnum(Kind, element) orelse return .{
            .problem = try std.fmt.allocPrint(allocator, "`mask` has the unknown kind `{s}`: " ++ hint, .{element}),
        });
    }
    return .{ .kinds = kinds };
}

/// The value of a key, or null where the operator did not set it.
fn config(key: []const u8) ?[]const u8 {
    var name = string(key);
    var value: bindings.sandbox_pure_string_t = undefined;
    return if (bindings.sandbox_host_config_get(&name, &value)) value.ptr[0..value.len] else null;
}

fn log(counts: std.EnumArray(Kind, usize)) !void {
    const message = try std.fmt.allocPrint(allocator, "email={d} card={d} ipv4={d} ipv6={d} token={d}", .{
        counts.get(.email), counts.get(.card), counts.get(.ipv4), counts.get(.ipv6), counts.get(.token),
    });
    var context = string("redact");
    var text = string(message);
    bindings.sandbox_host_log_log(bindings.SANDBOX_HOST_LOG_LEVEL_INFO, &context, &text);
}

/// A string as the bindings have it. C has no word for a pointer that is only read, so the cast is harmless.
fn string(text: []const u8) bindings.sandbox_pure_string_t {
    return .{ .ptr = @constCast(text.ptr), .len = text.len };
}
