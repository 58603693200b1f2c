//! What the operator asks for: which kinds to mask, and what to put in their place.

/// What can be masked, in the order in which the log counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Email,
    Card,
    Ipv4,
    Ipv6,
    Token,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Email, Kind::Card, Kind::Ipv4, Kind::Ipv6, Kind::Token];

    /// The name in configuration, in the log and in the replacement.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Card => "card",
            Kind::Ipv4 => "ipv4",
            Kind::Ipv6 => "ipv6",
            Kind::Token => "token",
        }
    }
}

/// One value for each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerKind<T> {
    pub(crate) email: T,
    pub(crate) card: T,
    pub(crate) ipv4: T,
    pub(crate) ipv6: T,
    pub(crate) token: T,
}

impl<T> PerKind<T> {
    pub(crate) fn from_fn(value: impl Fn(Kind) -> T) -> Self {
        PerKind {
            email: value(Kind::Email),
            card: value(Kind::Card),
            ipv4: value(Kind::Ipv4),
            ipv6: value(Kind::Ipv6),
            token: value(Kind::Token),
        }
    }

    pub(crate) fn get(&self, kind: Kind) -> &T {
        match kind {
            Kind::Email => &self.email,
            Kind::Card => &self.card,
            Kind::Ipv4 => &self.ipv4,
            Kind::Ipv6 => &self.ipv6,
            Kind::Token => &self.token,
        }
    }

    pub(crate) fn get_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Email => &mut self.email,
            Kind::Card => &mut self.card,
            Kind::Ipv4 => &mut self.ipv4,
            Kind::Ipv6 => &mut self.ipv6,
            Kind::Token => &mut self.token,
        }
    }
}

/// The checked configuration: the text to put in place of each kind, or none where the kind is not masked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) replacements: PerKind<Option<String>>,
}

impl Config {
    /// Checks the values of the keys `mask` and `replacement`. The error is for the operator.
    pub(crate) fn parse(mask: Option<&str>, replacement: Option<&str>) -> Result<Self, String> {
        let masked = mask.map_or_else(|| Ok(PerKind::from_fn(|_| true)), parse_mask)?;
        let template = replacement.unwrap_or("[{kind}]");
        let text = |kind: Kind| masked.get(kind).then(|| template.replace("{kind}", kind.name()));
        Ok(Config { replacements: PerKind::from_fn(text) })
    }
}

fn parse_mask(mask: &str) -> Result<PerKind<bool>, String> {
    let mut masked = PerKind::default();
    for element in mask.split(',') {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == element).ok_or_else(|| {
            let problem = match element {
                "" => String::from("an empty element"),
                _ => format!("the unknown kind `{element}`"),
            };
            format!("`mask` has {problem}: the kinds are email, card, ipv4, ipv6, token")
        })?;
        *masked.get_mut(kind) = true;
    }
    Ok(masked)
}
