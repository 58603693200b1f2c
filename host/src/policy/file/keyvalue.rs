//! The part of the policy file's reader that reads `[[key-value]]`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reader;
use crate::policy::keyvalue::{BucketQuota, KeyValueAccess, KeyValueGrant, KeyValueStore};
use crate::policy::units::Bytes;

const KEYS: &[&str] = &["bucket", "store", "access", "max-keys", "max-key", "max-value", "max-total"];

impl Reader<'_> {
    pub(super) fn key_values(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<KeyValueGrant> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("key-value", "an array of tables: write `[[key-value]]`", value);
            return Vec::new();
        };
        let mut grants: Vec<KeyValueGrant> = Vec::new();
        for item in array.iter() {
            let Some(grant) = self.key_value(item) else { continue };
            if grants.iter().any(|other| other.bucket == grant.bucket) {
                self.error(item.span(), format!("two buckets have the name `{}`", grant.bucket));
            }
            grants.push(grant);
        }
        grants
    }

    fn key_value(&mut self, item: &Spanned<DeValue<'_>>) -> Option<KeyValueGrant> {
        let table = self.expect_table("key-value", item)?;
        let (mut bucket, mut store, mut access) = (None, None, None);
        let mut quota = BucketQuota::default();
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "bucket" => bucket = Some(self.checked("bucket", value, KeyValueGrant::name)),
                "store" => store = Some(self.checked("store", value, KeyValueStore::parse)),
                "access" => access = Some(self.checked("access", value, read_access)),
                "max-keys" => self.bucket_keys(value, &mut quota.max_keys),
                "max-key" => self.bucket_size("max-key", value, &mut quota.max_key),
                "max-value" => self.bucket_size("max-value", value, &mut quota.max_value),
                "max-total" => self.bucket_size("max-total", value, &mut quota.max_total),
                other => self.unknown((key, value), other, KEYS),
            }
        }
        if bucket.is_none() {
            self.error(item.span(), "a bucket needs `bucket`, the identifier that the guest opens".to_owned());
        }
        if store.is_none() {
            let message = "a bucket needs `store`: `\"memory\"`, `\"file:PATH\"` or `\"redis://HOST\"`".to_owned();
            self.error(item.span(), message);
        }
        if access.is_none() {
            let message = "a bucket needs `access`, either `\"read-only\"` or `\"read-write\"`".to_owned();
            self.error(item.span(), message);
        }
        self.bucket_contradictions(table, &quota);
        Some(KeyValueGrant { bucket: bucket??, store: store??, access: access??, quota })
    }

    /// A string that must be more than a string; what is wrong with it is reported.
    fn checked<T>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.string(name, value)?;
        read(&text).map_err(|message| self.error(value.span(), message)).ok()
    }

    fn bucket_keys(&mut self, value: &Spanned<DeValue<'_>>, slot: &mut u64) {
        let DeValue::Integer(number) = value.get_ref() else {
            return self.wrong_type("max-keys", "a whole number", value);
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(0) => self.error(value.span(), "`max-keys` can't be zero".to_owned()),
            Ok(count) => *slot = count,
            Err(_) => self.error(value.span(), format!("`max-keys`: `{number}` is no count")),
        }
    }

    fn bucket_size(&mut self, name: &str, value: &Spanned<DeValue<'_>>, slot: &mut Bytes) {
        match value.get_ref() {
            DeValue::String(text) => match text.parse::<Bytes>() {
                Ok(Bytes(0)) => self.error(value.span(), format!("`{name}` can't be zero")),
                Ok(bytes) => *slot = bytes,
                Err(error) => self.error(value.span(), format!("`{name}`: {error}")),
            },
            DeValue::Integer(number) => {
                let message = format!("`{name}` needs a unit, as in `\"64KiB\"`, not the bare number {number}");
                self.error(value.span(), message);
            }
            _ => self.wrong_type(name, "a string such as \"64KiB\"", value),
        }
    }

    /// Bounds that could never be reached because of another, where the file says both.
    fn bucket_contradictions(&mut self, table: &DeTable<'_>, quota: &BucketQuota) {
        let at = |name: &str| table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value.span());
        if at("max-total").is_none() {
            return;
        }
        for (name, bytes) in [("max-key", quota.max_key), ("max-value", quota.max_value)] {
            if let Some(span) = at(name).filter(|_| bytes > quota.max_total) {
                self.error(span, format!("`{name}` is above `max-total`, which counts keys and values together"));
            }
        }
    }
}

fn read_access(text: &str) -> Result<KeyValueAccess, String> {
    match text {
        "read-only" => Ok(KeyValueAccess::ReadOnly),
        "read-write" => Ok(KeyValueAccess::ReadWrite),
        other => Err(format!("`{other}` is neither `read-only` nor `read-write`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn errors(text: &str) -> Vec<String> {
        let errors = Policy::parse(text).unwrap_err();
        errors.0.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect()
    }

    #[test]
    fn a_full_grant_reads_into_its_values_and_a_short_one_has_the_defaults() {
        let policy = Policy::parse(
            "[[key-value]]\nbucket = 'a'\nstore = 'memory'\naccess = 'read-only'\n[[key-value]]\nbucket = 'b'\n\
             store = 'file:b.redb'\naccess = 'read-write'\nmax-keys = 1_0\nmax-key = '20B'\nmax-value = '30B'\n\
             max-total = '40B'\n",
        )
        .unwrap();
        let [a, b] = policy.grants.key_value.as_slice() else { panic!("{:?}", policy.grants) };
        assert_eq!((a.bucket.as_str(), &a.store, a.access), ("a", &KeyValueStore::Memory, KeyValueAccess::ReadOnly));
        assert_eq!(a.quota, BucketQuota::default());
        assert_eq!((&b.store, b.access), (&KeyValueStore::File("b.redb".into()), KeyValueAccess::ReadWrite));
        let quota = BucketQuota { max_keys: 10, max_key: Bytes(20), max_value: Bytes(30), max_total: Bytes(40) };
        assert_eq!(b.quota, quota);
        assert_ne!(policy.digest(), Policy::default().digest());
    }

    #[test]
    fn everything_that_is_wrong_with_a_bucket_is_reported_at_once() {
        let found = errors(
            "[[key-value]]\nbucket = 1\nstore = 'disk'\naccess = 'rw'\nmax-keys = 0\nmax-key = 5\nmax-value = '0B'\n\
             max-totl = '1B'\n[[key-value]]\n",
        );
        let expected = [
            "2:10 `bucket` must be a string",
            "3:9 a store is `memory`",
            "4:10 `rw` is neither",
            "5:12 `max-keys` can't be zero",
            "6:11 `max-key` needs a unit",
            "7:13 `max-value` can't be zero",
            "8:1 unknown key `max-totl`: did you mean `max-total`?",
            "9:1 a bucket needs `bucket`",
            "9:1 a bucket needs `store`",
            "9:1 a bucket needs `access`",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} is not {expected}");
        }
        assert!(errors("key-value = 'a'")[0].contains("write `[[key-value]]`"));
    }

    #[test]
    fn contradictions_are_errors_only_when_the_file_says_both() {
        let bucket = |more: &str| format!("[[key-value]]\nbucket = ''\nstore = 'memory'\naccess = 'read-only'\n{more}");
        assert!(errors(&bucket("max-value = '2B'\nmax-total = '1B'"))[0].contains("`max-value` is above `max-total`"));
        assert!(errors(&bucket("max-key = '2B'\nmax-total = '1B'"))[0].contains("`max-key` is above `max-total`"));
        assert!(Policy::parse(&bucket("max-total = '1B'")).is_ok());
        assert!(Policy::parse(&bucket("max-key = '1B'\nmax-value = '1B'\nmax-total = '1B'")).is_ok());
        assert!(errors(&(bucket("") + &bucket("")))[0].contains("two buckets have the name ``"));
    }
}
