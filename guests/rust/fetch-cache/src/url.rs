//! From the job's input to the parts of a request. The host checks them again: this is for a clear message.

/// An `http` or `https` URL, in the parts that a request is made of.
pub(crate) struct Url<'a> {
    pub(crate) is_tls: bool,
    pub(crate) authority: &'a str,
    /// With its query, and without a fragment; may be empty.
    pub(crate) path: &'a str,
}

impl<'a> Url<'a> {
    /// `None` for what is no such URL.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (is_tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        (!authority.is_empty()).then_some(Self { is_tls, authority, path })
    }
}
