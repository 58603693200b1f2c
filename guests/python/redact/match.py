"""What matches at one position, one function for each kind of data.

The specification is in guests/README.md. It is written byte by byte; here the steps are regular expressions, since the
interpreter takes as long for a few bytes as a pattern for thousands. They are possessive (`++`, `*+`) wherever a
pattern could try the same bytes twice, so that time stays linear on any input.
"""

import re

type Span = tuple[int, int]
"""The part of the text to replace: its start and its end."""

LOCAL = rb"[0-9A-Za-z._%+-]++"
LABEL = rb"[0-9A-Za-z]++(?:-++[0-9A-Za-z]++)*+"
OCTET = rb"(?:25[0-5]|2[0-4]\d|[01]\d\d|\d\d?)(?!\d)"
QUAD = rb"(?:" + OCTET + rb"\.){3}" + OCTET
GROUP = rb"[0-9A-Fa-f]{1,4}+(?![0-9A-Za-z])"

CANDIDATE = re.compile(
    rb"""
    (?<![0-9A-Za-z]) (?: bearer[ \t] | :: | [0-9a-f]{1,4}: | \d{1,3}\.\d | \d(?:[ -]?\d){12} )
    | (?<![0-9A-Za-z._%+-]) [0-9A-Za-z._%+-]++ @
    """,
    re.VERBOSE | re.IGNORECASE,
)


def next_candidate(text: bytes, i: int) -> int:
    """The first position from `i` on where something may match, if nothing matched just before `i`."""
    candidate = CANDIDATE.search(text, i)
    return candidate.start() if candidate else len(text)


# ---- bearer tokens

BEARER = re.compile(rb"(?<![0-9A-Za-z])bearer[ \t]++([0-9A-Za-z._~+/=-]++)", re.IGNORECASE)
AUTHORIZATION = re.compile(rb"authorization", re.IGNORECASE)

SHORTEST_IN_PROSE = 16
"""Shorter credentials count only in an authorization header: prose has bearers of bad news."""


def token(text: bytes, i: int) -> Span | None:
    found = BEARER.match(text, i)
    if not found:
        return None
    start, end = found.span(1)
    return (start, end) if end - start >= SHORTEST_IN_PROSE or in_authorization(text, i) else None


def in_authorization(text: bytes, i: int) -> bool:
    """Whether what stands before `i` is `authorization`, with nothing but a colon, quotes and the like in between."""
    while i > 0 and text[i - 1] in b" \t\"':=":
        i -= 1
    return i >= 13 and AUTHORIZATION.match(text, i - 13) is not None


# ---- e-mail addresses

LOCAL_RUN = re.compile(LOCAL)
# The labels after the first are given back one by one until the last one starts with a letter and has two bytes.
DOMAIN = re.compile(rb"@%b(?:\.%b)*\.(?=[A-Za-z](?:[0-9A-Za-z]|-++[0-9A-Za-z]))%b" % (LABEL, LABEL, LABEL))


class Emails:
    """Finds e-mail addresses in one pass from left to right.

    It remembers how far local parts were read in vain, so that none is read again from its middle.
    """

    def __init__(self) -> None:
        self._tried = 0

    def match(self, text: bytes, i: int) -> Span | None:
        """To be called with growing `i`."""
        if i < self._tried or not (local := LOCAL_RUN.match(text, i)):
            return None
        if domain := DOMAIN.match(text, local.end()):
            return i, domain.end()
        self._tried = local.end()
        return None


# ---- IP addresses

IPV4 = re.compile(rb"(?<![0-9A-Za-z])(?<!\d\.)" + QUAD + rb"(?![0-9A-Za-z]|\.\d)")
IPV6_START = re.compile(rb"(?<![0-9A-Za-z])(?:(?<!:)::|" + GROUP + rb")")
IPV6_STOP = re.compile(rb"(?![0-9A-Za-z]|:(?::|" + GROUP + rb")|\.\d)")
QUAD_AT = re.compile(QUAD)
GROUP_AT = re.compile(GROUP)
# In `source:fe80::1` a name precedes the colon, which is fine; a group makes what follows the middle of an address.
GROUP_BEFORE = re.compile(rb".*(?:(?<![0-9A-Za-z])[0-9A-Fa-f]{1,4}|:):", re.DOTALL)


def ipv4(text: bytes, i: int) -> Span | None:
    found = IPV4.match(text, i)
    return found.span() if found else None


def ipv6(text: bytes, i: int) -> Span | None:
    start = IPV6_START.match(text, i)
    if not start or (start[0] != b"::" and GROUP_BEFORE.fullmatch(text, max(i - 6, 0), i)):
        return None
    groups = 0
    is_short = start[0] == b"::"  # Whether `::` was seen.
    p = i + 2 if is_short else i
    while not (is_short and groups == 7):
        has_room_for_quad = groups <= 5 if is_short else groups == 6
        if has_room_for_quad and (quad := QUAD_AT.match(text, p)):
            p = quad.end()
            groups += 2
            break
        if not (group := GROUP_AT.match(text, p)):
            break
        p = group.end()
        groups += 1
        if groups == 8 or text[p : p + 1] != b":":
            break
        if text[p + 1 : p + 2] == b":" and not is_short:
            is_short = True
            p += 2
        elif GROUP_AT.match(text, p + 1):
            p += 1
        else:
            break
    is_whole = 1 <= groups <= 7 if is_short else groups == 8
    return (i, p) if is_whole and IPV6_STOP.match(text, p) else None


# ---- payment card numbers

CARD = re.compile(rb"(?<![0-9A-Za-z])\d(?:[ -]?\d){12,18}")

SHORTEST_CARD = 13


def card(text: bytes, i: int) -> Span | None:
    found = CARD.match(text, i)
    if not found:
        return None
    # The Luhn check doubles every second digit from the right. Which ones that are is known only at the end, so both
    # sums are kept: with the first, third and so on doubled, and with the second, fourth and so on.
    sums = [0, 0]
    count = 0
    separator = None  # The one that this number uses, once it is known.
    longest = None
    for p, byte in enumerate(found[0], start=i):
        if byte in b" -":
            if separator not in (None, byte):
                break
            separator = byte
            continue
        digit = byte - ord("0")
        count += 1
        sums[count % 2] += digit
        sums[(count + 1) % 2] += digit * 2 - 9 if digit > 4 else digit * 2
        if count >= SHORTEST_CARD and sums[count % 2] % 10 == 0 and not text[p + 1 : p + 2].isalnum():
            longest = i, p + 1
    return longest
