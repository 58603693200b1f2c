//! The input as the specification sees it: bytes that can be asked for at any position, and classes of bytes.

const std = @import("std");
const ascii = std.ascii;

const Text = @This();

bytes: []const u8,

/// The byte at a position. Past the end it is 0, which is in no class, so that no match needs to check for the end.
pub fn at(text: Text, position: usize) u8 {
    return if (position < text.bytes.len) text.bytes[position] else 0;
}

/// The byte so many bytes before a position; before the start it is 0 too.
pub fn before(text: Text, position: usize, distance: usize) u8 {
    return if (distance <= position) text.at(position - distance) else 0;
}

/// Where the run of bytes of one class that starts at a position ends.
pub fn run(text: Text, position: usize, comptime isInClass: fn (u8) bool) usize {
    var end = position;
    while (isInClass(text.at(end))) end += 1;
    return end;
}

/// Whether a word stands at a position, in any mixture of upper and lower case.
pub fn hasWord(text: Text, position: usize, word: []const u8) bool {
    return ascii.startsWithIgnoreCase(text.bytes[@min(position, text.bytes.len)..], word);
}

pub fn isBlank(byte: u8) bool {
    return byte == ' ' or byte == '\t';
}

pub fn isCredential(byte: u8) bool {
    return ascii.isAlphanumeric(byte) or switch (byte) {
        '-', '.', '_', '~', '+', '/', '=' => true,
        else => false,
    };
}

pub fn isLead(byte: u8) bool {
    return isBlank(byte) or switch (byte) {
        '"', '\'', ':', '=' => true,
        else => false,
    };
}

pub fn isLocal(byte: u8) bool {
    return ascii.isAlphanumeric(byte) or switch (byte) {
        '.', '_', '%', '+', '-' => true,
        else => false,
    };
}

pub fn isHyphen(byte: u8) bool {
    return byte == '-';
}
