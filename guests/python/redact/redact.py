"""The pass over the text: copies what does not match, replaces and counts what does."""

from enum import StrEnum

import match
from match import Span


class Kind(StrEnum):
    """What can be masked, in the order in which the log counts it."""

    EMAIL = "email"
    CARD = "card"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    TOKEN = "token"


def parse_mask(mask: str) -> set[Kind]:
    """The kinds that are named, with commas between them."""
    masked = set()
    for name in mask.split(","):
        try:
            masked.add(Kind(name))
        except ValueError:
            problem = f"the unknown kind `{name}`" if name else "an empty element"
            raise ValueError(f"`mask` has {problem}: the kinds are {', '.join(Kind)}") from None
    return masked


class Redactor:
    """Makes the pass over one text. In the template, each `{kind}` stands for the name of the match's kind."""

    def __init__(self, masked: set[Kind], template: str) -> None:
        emails = match.Emails()
        # The first kind that matches counts, so the order, which the specification fixes, matters.
        matchers = {
            Kind.TOKEN: match.token,
            Kind.EMAIL: emails.match,
            Kind.IPV6: match.ipv6,
            Kind.IPV4: match.ipv4,
            Kind.CARD: match.card,
        }
        self._matchers = [(kind, matcher) for kind, matcher in matchers.items() if kind in masked]
        self._replacements = {kind: template.replace("{kind}", kind).encode() for kind in Kind}
        self.counts = dict.fromkeys(Kind, 0)

    def redact(self, text: bytes) -> bytes:
        pieces = []
        copied = i = 0
        while i < len(text):
            if found := self._find(text, i):
                kind, (start, end) = found
                pieces += [text[copied:start], self._replacements[kind]]
                self.counts[kind] += 1
                copied = i = end
            else:
                i = match.next_candidate(text, i + 1)
        pieces.append(text[copied:])
        return b"".join(pieces)

    def _find(self, text: bytes, i: int) -> tuple[Kind, Span] | None:
        for kind, matcher in self._matchers:
            if span := matcher(text, i):
                return kind, span
        return None
