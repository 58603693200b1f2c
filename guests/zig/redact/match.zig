//! What matches at one position, one function for each kind of data. The specification, which they follow step by step,
//! is in guests/README.md.

const std = @import("std");
const isAlnum = std.ascii.isAlphanumeric;
const isDigit = std.ascii.isDigit;
const isHex = std.ascii.isHex;
const isLetter = std.ascii.isAlphabetic;

const Text = @import("Text.zig");

/// The part of the text to replace.
pub const Span = struct { start: usize, end: usize };

// ---- bearer tokens

/// Shorter credentials count only in an authorization header: prose has bearers of bad news.
const shortest_in_prose = 16;

pub fn token(text: Text, i: usize) ?Span {
    const scheme = "bearer";
    if (isAlnum(text.before(i, 1)) or !text.hasWord(i, scheme)) return null;
    const start = text.run(i + scheme.len, Text.isBlank);
    if (start == i + scheme.len) return null;
    const end = text.run(start, Text.isCredential);
    const length = end - start;
    if (length < shortest_in_prose and (length == 0 or !inAuthorization(text, i))) return null;
    return .{ .start = start, .end = end };
}

/// Whether what stands before `i` is `authorization`, with nothing but a colon, quotes and the like in between.
fn inAuthorization(text: Text, i: usize) bool {
    const word = "authorization";
    var end = i;
    while (Text.isLead(text.before(end, 1))) end -= 1;
    return end >= word.len and text.hasWord(end - word.len, word);
}

// ---- e-mail addresses

/// Finds e-mail addresses in one pass from left to right. It remembers how far local parts were read in vain, so that
/// none is read again from its middle.
pub const Emails = struct {
    tried: usize = 0,

    /// To be called with growing `i`.
    pub fn match(emails: *Emails, text: Text, i: usize) ?Span {
        if (i < emails.tried or !Text.isLocal(text.at(i))) return null;
        const local_end = text.run(i, Text.isLocal);
        if (text.at(local_end) == '@') {
            if (domain(text, local_end + 1)) |end| return .{ .start = i, .end = end };
        }
        emails.tried = local_end;
        return null;
    }
};

/// Where the longest domain at a position ends whose last label starts with a letter and has two bytes.
fn domain(text: Text, position: usize) ?usize {
    var end: ?usize = null;
    var start = position;
    while (isAlnum(text.at(start))) {
        const label_end = label(text, start);
        if (start != position and isLetter(text.at(start)) and label_end - start >= 2) end = label_end;
        if (text.at(label_end) != '.') break;
        start = label_end + 1;
    }
    return end;
}

/// Where the label at `start` ends. Hyphens belong to it only in its middle.
fn label(text: Text, start: usize) usize {
    var end = text.run(start, isAlnum);
    while (true) {
        const after_hyphens = text.run(end, Text.isHyphen);
        if (after_hyphens == end or !isAlnum(text.at(after_hyphens))) return end;
        end = text.run(after_hyphens, isAlnum);
    }
}

// ---- IP addresses

pub fn ipv4(text: Text, i: usize) ?Span {
    const previous = text.before(i, 1);
    if (isAlnum(previous) or (previous == '.' and isDigit(text.before(i, 2)))) return null;
    const end = quad(text, i) orelse return null;
    if (isAlnum(text.at(end)) or hasFraction(text, end)) return null;
    return .{ .start = i, .end = end };
}

pub fn ipv6(text: Text, i: usize) ?Span {
    if (!canStartIpv6(text, i)) return null;
    var groups: u8 = 0;
    var is_short = text.at(i) == ':'; // Whether `::` was seen.
    var p = if (is_short) i + 2 else i;
    while (!(is_short and groups == 7)) {
        const has_room_for_quad = if (is_short) groups <= 5 else groups == 6;
        if (has_room_for_quad) {
            if (quad(text, p)) |end| {
                p = end;
                groups += 2;
                break;
            }
        }
        p = group(text, p) orelse break;
        groups += 1;
        if (groups == 8 or text.at(p) != ':') break;
        if (text.at(p + 1) == ':' and !is_short) {
            is_short = true;
            p += 2;
        } else if (group(text, p + 1) != null) {
            p += 1;
        } else break;
    }
    const is_whole = if (is_short) groups >= 1 and groups <= 7 else groups == 8;
    const goes_on = text.at(p) == ':' and (text.at(p + 1) == ':' or group(text, p + 1) != null);
    if (!is_whole or goes_on or isAlnum(text.at(p)) or hasFraction(text, p)) return null;
    return .{ .start = i, .end = p };
}

/// Whether an IPv6 address may start at `i`, judged by what stands there and before it.
fn canStartIpv6(text: Text, i: usize) bool {
    const previous = text.before(i, 1);
    if (isAlnum(previous)) return false;
    if (text.at(i) == ':') return text.at(i + 1) == ':' and previous != ':';
    if (group(text, i) == null) return false;
    // In `source:fe80::1` a name precedes the colon, which is fine; a group would make this the middle of an address.
    return previous != ':' or !hasGroupBefore(text, i - 1);
}

/// Whether another colon or a group stands before the colon at `colon`.
fn hasGroupBefore(text: Text, colon: usize) bool {
    if (text.before(colon, 1) == ':') return true;
    var length: usize = 0;
    var all_hex = true;
    while (length < 5 and isAlnum(text.before(colon, length + 1))) : (length += 1) {
        all_hex = all_hex and isHex(text.before(colon, length + 1));
    }
    return length >= 1 and length <= 4 and all_hex;
}

/// Where the one to four hexadecimal digits at a position end that nothing alphanumeric follows.
fn group(text: Text, position: usize) ?usize {
    var length: usize = 0;
    while (length < 5 and isHex(text.at(position + length))) length += 1;
    const end = position + length;
    return if (length >= 1 and length <= 4 and !isAlnum(text.at(end))) end else null;
}

/// Where the four octets with dots between them at a position end.
fn quad(text: Text, position: usize) ?usize {
    var end = octet(text, position) orelse return null;
    for (0..3) |_| {
        if (text.at(end) != '.') return null;
        end = octet(text, end + 1) orelse return null;
    }
    return end;
}

/// Where the number at a position ends that has at most three digits and is at most 255.
fn octet(text: Text, position: usize) ?usize {
    var length: usize = 0;
    var value: u16 = 0;
    while (length < 4 and isDigit(text.at(position + length))) : (length += 1) {
        value = value * 10 + (text.at(position + length) - '0');
    }
    return if (length >= 1 and length <= 3 and value <= 255) position + length else null;
}

/// Whether the text goes on with a dot and a digit, so that a number before it is not complete.
fn hasFraction(text: Text, position: usize) bool {
    return text.at(position) == '.' and isDigit(text.at(position + 1));
}

// ---- payment card numbers

pub fn card(text: Text, i: usize) ?Span {
    const shortest = 13;
    const longest = 19;
    if (!isDigit(text.at(i)) or isAlnum(text.before(i, 1))) return null;
    // The Luhn check doubles every second digit from the right. Which ones that are is known only at the end, so both
    // sums are kept: with the first, third and so on doubled, and with the second, fourth and so on.
    var sums: [2]u16 = .{ 0, 0 };
    var separator: ?u8 = null; // The one that this number uses, once it is known.
    var longest_match: ?Span = null;
    var p = i;
    for (1..longest + 1) |count| {
        const byte = text.at(p);
        if (!isDigit(byte)) {
            const fits = (byte == ' ' or byte == '-') and byte == (separator orelse byte);
            if (!fits or !isDigit(text.at(p + 1))) break;
            separator = byte;
            p += 1;
        }
        const digit = text.at(p) - '0';
        p += 1;
        sums[count % 2] += digit;
        sums[(count + 1) % 2] += if (digit > 4) digit * 2 - 9 else digit * 2;
        if (count >= shortest and sums[count % 2] % 10 == 0 and !isAlnum(text.at(p))) {
            longest_match = .{ .start = i, .end = p };
        }
    }
    return longest_match;
}
