//! The pass over the bytes: copies what does not match, replaces and counts what does.

use std::fmt;

use crate::bytes::Bytes;
use crate::config::{Config, Kind, PerKind};
use crate::{address, bearer, card, email};

/// How many matches there were of each kind. Displayed, it is the message for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(PerKind<u64>);

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, kind) in Kind::ALL.into_iter().enumerate() {
            let gap = if k == 0 { "" } else { " " };
            write!(f, "{gap}{}={}", kind.name(), self.0.get(kind))?;
        }
        Ok(())
    }
}

/// The body with everything masked that the configuration asks for.
pub(crate) fn redact(config: &Config, body: &[u8]) -> (Vec<u8>, Counts) {
    let text = Bytes(body);
    let mut output = Vec::with_capacity(body.len());
    let mut counts = Counts::default();
    let mut addresses = email::Finder::default();
    let mut copied = 0;
    let mut i = 0;
    while i < body.len() {
        let Some(found) = find(config, text, i, &mut addresses) else {
            i += 1;
            continue;
        };
        output.extend_from_slice(body.get(copied..found.start).unwrap_or_default());
        output.extend_from_slice(found.replacement.as_bytes());
        *counts.0.get_mut(found.kind) += 1;
        copied = found.end;
        i = found.end;
    }
    output.extend_from_slice(body.get(copied..).unwrap_or_default());
    (output, counts)
}

struct Found<'a> {
    kind: Kind,
    start: usize,
    end: usize,
    replacement: &'a str,
}

/// What matches at `i`: the first of the masked kinds, in an order that the specification fixes.
fn find<'a>(config: &'a Config, text: Bytes<'_>, i: usize, addresses: &mut email::Finder) -> Option<Found<'a>> {
    for kind in [Kind::Token, Kind::Email, Kind::Ipv6, Kind::Ipv4, Kind::Card] {
        let Some(replacement) = config.replacements.get(kind) else { continue };
        let range = match kind {
            Kind::Token => bearer::matches(text, i),
            Kind::Email => addresses.matches(text, i).map(|end| (i, end)),
            Kind::Ipv6 => address::matches_v6(text, i).map(|end| (i, end)),
            Kind::Ipv4 => address::matches_v4(text, i).map(|end| (i, end)),
            Kind::Card => card::matches(text, i).map(|end| (i, end)),
        };
        if let Some((start, end)) = range {
            return Some(Found { kind, start, end, replacement });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let config = Config::parse(None, None).unwrap();
        String::from_utf8(redact(&config, text.as_bytes()).0).unwrap()
    }

    #[test]
    fn each_kind_is_named_in_its_place() {
        let text = "a@b.co 4111111111111111 10.0.0.1 fe80::1 Bearer abcdefghijklmnop";
        assert_eq!(redacted(text), "[email] [card] [ipv4] [ipv6] Bearer [token]");
    }

    #[test]
    fn the_log_message_counts_every_kind_in_a_fixed_order() {
        let config = Config::parse(Some("email,card"), None).unwrap();
        let (_, counts) = redact(&config, b"a@b.co c@d.co 10.0.0.1 4111-1111-1111-1111");
        assert_eq!(counts.to_string(), "email=2 card=1 ipv4=0 ipv6=0 token=0");
    }

    #[test]
    fn time_stays_linear_on_input_made_to_be_slow() {
        // Quadratic behaviour would take half an hour here rather than make the test a little slower, so that no clock is
        // needed to tell.
        for unit in
            ["a@", "1:", "1", "1.2.3.4-", "1 ", "a@a-", "::", "Bearer ", "1::", "authorization: bearer ", ".", "-"]
        {
            let text = unit.repeat(1_000_000 / unit.len());
            assert!(!redacted(&text).is_empty());
        }
    }
}
