//! `sandbox:host/config` and `wasi:config/store`: configuration that the operator gives, read by key.
//!
//! Threat model: the guest chooses the key, so it is compared and never interpreted; there are no patterns, no paths
//! and no fall-back to the host's environment. The values are copied before the guest starts, so a guest can't see
//! one change.

use std::collections::BTreeMap;

use wasmtime::component::HasData;

use crate::bindings::sandbox::host::config;
use crate::bindings::wasi::config::store;
use crate::policy::UseKind;
use crate::quota::Quota;

/// What configuration needs: the values that this invocation was given.
pub(crate) struct ConfigView<'a> {
    pub(crate) values: &'a BTreeMap<String, String>,
    pub(crate) quota: &'a Quota,
}

/// Marks [`ConfigView`] for the linker.
pub(crate) struct Config;

impl HasData for Config {
    type Data<'a> = ConfigView<'a>;
}

impl ConfigView<'_> {
    fn value(&self, key: &str) -> Option<String> {
        let value = self.values.get(key).cloned();
        let absent = || value.is_none().then(|| "absent".to_owned());
        self.quota.audit.used(UseKind::Config, key, absent, false);
        value
    }

    fn all(&self) -> Vec<(String, String)> {
        for key in self.values.keys() {
            self.quota.audit.used(UseKind::Config, key, || None, false);
        }
        self.values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl config::Host for ConfigView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.value(&key))
    }

    fn get_all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.all())
    }
}

impl store::Host for ConfigView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        Ok(Ok(self.value(&key)))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        Ok(Ok(self.all()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_can_be_read_and_both_interfaces_agree() {
        let values = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
        let quota = Quota::new(&crate::policy::Limits::default());
        let mut view = ConfigView { values: &values, quota: &quota };
        assert_eq!(config::Host::get(&mut view, "a".into()).unwrap(), Some("1".into()));
        assert_eq!(config::Host::get(&mut view, "A".into()).unwrap(), None);
        assert_eq!(config::Host::get(&mut view, "PATH".into()).unwrap(), None);
        let all = config::Host::get_all(&mut view).unwrap();
        assert_eq!(all, [("a".into(), "1".into()), ("b".into(), "2".into())]);
        assert_eq!(store::Host::get_all(&mut view).unwrap().unwrap(), all);
    }
}
