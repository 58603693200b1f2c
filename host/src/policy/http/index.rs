//! Many patterns, and which of them can be about a host: found by its name, so that a thousand grants cost no more than
//! ten.

use std::collections::HashMap;

use super::{HostName, HostPattern, HttpGrant, HttpTarget};

/// The places of grants in their list, by the host that they are for.
#[derive(Clone, Debug, Default)]
pub struct HttpIndex {
    exactly: HashMap<HostName, Vec<usize>>,
    below: HashMap<String, Vec<usize>>,
    any: Vec<usize>,
}

impl HttpIndex {
    /// An index of these grants.
    pub fn new(grants: &[HttpGrant]) -> Self {
        let mut index = Self::default();
        for (place, grant) in grants.iter().enumerate() {
            match &grant.host {
                HostPattern::Exactly(host) => index.exactly.entry(host.clone()).or_default().push(place),
                HostPattern::Below(parent) => index.below.entry(parent.clone()).or_default().push(place),
                HostPattern::Any => index.any.push(place),
            }
        }
        index
    }

    /// The places of the grants that permit a request, in the order of the list that the index was made from.
    ///
    /// ```
    /// use host::policy::{HttpGrant, HttpIndex, HttpTarget};
    /// let grants = ["https://*.example.com", "https://example.com"].map(|text| HttpGrant::parse(text).unwrap());
    /// let target = HttpTarget::parse("GET", "https://api.example.com/v1").unwrap();
    /// assert_eq!(HttpIndex::new(&grants).permitting(&grants, &target).collect::<Vec<_>>(), [0]);
    /// ```
    pub fn permitting<'a>(
        &'a self,
        grants: &'a [HttpGrant],
        target: &'a HttpTarget,
    ) -> impl Iterator<Item = usize> + 'a {
        let name = match target.host() {
            HostName::Name(name) => name.as_str(),
            HostName::Address(_) => "",
        };
        let parents = name.match_indices('.').filter_map(|(dot, _)| self.below.get(name.get(dot + 1..)?));
        let named = self.exactly.get(target.host()).into_iter().chain(parents).flatten();
        let mut places: Vec<usize> = named.chain(&self.any).copied().collect();
        places.sort_unstable();
        places.into_iter().filter(|place| grants.get(*place).is_some_and(|grant| grant.permits(target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host() -> impl Strategy<Value = String> {
        let label = prop::sample::select(vec!["a", "b", "www", "example", "com"]);
        let name = prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."));
        prop_oneof![name, Just("127.0.0.1".to_owned()), Just("[::1]".to_owned())]
    }

    fn pattern() -> impl Strategy<Value = String> {
        let method = prop::sample::select(vec!["", "GET ", "GET,POST "]);
        let scheme = prop::sample::select(vec!["http", "https"]);
        let path = prop::sample::select(vec!["", "/v1", "/v1/items"]);
        (method, scheme, any::<bool>(), host(), path).prop_map(|(method, scheme, wild, host, path)| {
            let wild = if wild { "*." } else { "" };
            format!("{method}{scheme}://{wild}{host}{path}")
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_exactly_what_looking_at_every_grant_finds(
            patterns in prop::collection::vec(pattern(), 0..40), scheme in prop::sample::select(vec!["http", "https"]),
            host in host(), path in prop::sample::select(vec!["/", "/v1", "/v1/x", "/v10"]),
        ) {
            let grants: Vec<_> = patterns.iter().filter_map(|text| HttpGrant::parse(text).ok()).collect();
            let target = HttpTarget::parse("GET", &format!("{scheme}://{host}{path}")).unwrap();
            let found: Vec<_> = HttpIndex::new(&grants).permitting(&grants, &target).collect();
            let all: Vec<_> = (0..grants.len()).filter(|place| grants[*place].permits(&target)).collect();
            prop_assert_eq!(found, all);
        }
    }
}
