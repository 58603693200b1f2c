//! From the job's input to the parts of a request: an `http` or `https` URL.

const std = @import("std");

const Url = @This();

is_tls: bool,
authority: []const u8,
/// With its query, and without a fragment; may be empty.
path: []const u8,

/// Null for what is no such URL. The host checks the parts again: this is for a clear message. The parts are slices of
/// the text.
pub fn parse(text: []const u8) ?Url {
    for (text) |byte| {
        if (byte <= ' ' or byte > '~') return null;
    }
    const tls = std.mem.cutPrefix(u8, text, "https://");
    const rest = tls orelse std.mem.cutPrefix(u8, text, "http://") orelse return null;
    const target = rest[0 .. std.mem.findScalar(u8, rest, '#') orelse rest.len];
    const end = std.mem.findAny(u8, target, "/?") orelse target.len;
    if (end == 0) return null;
    return .{ .is_tls = tls != null, .authority = target[0..end], .path = target[end..] };
}
