//! The part of the policy file that is about directories: `[[dir]]`.

use toml::Spanned;
use toml::de::DeValue;

use super::Reader;
use crate::policy::limits::Unit;
use crate::policy::{Bytes, DirAccess, DirGrant};

impl Reader<'_> {
    pub(super) fn dirs(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<DirGrant> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("dir", "an array of tables: write `[[dir]]`", value);
            return Vec::new();
        };
        let mut dirs: Vec<DirGrant> = Vec::new();
        for item in array.iter() {
            let Some(dir) = self.dir(item) else { continue };
            if dirs.iter().any(|other| other.guest == dir.guest) {
                self.error(item.span(), format!("two directories have the guest path `{}`", dir.guest));
            }
            dirs.push(dir);
        }
        dirs
    }

    fn dir(&mut self, item: &Spanned<DeValue<'_>>) -> Option<DirGrant> {
        let table = self.expect_table("dir", item)?;
        let (mut host, mut guest, mut access) = (None, None, None);
        let (mut max_bytes, mut max_files) = (None, None);
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "host" => host = self.string("host", value).filter(|path| !path.is_empty()),
                "guest" => guest = self.string("guest", value).filter(|path| !path.is_empty()),
                "access" => match self.string("access", value).as_deref() {
                    Some("read-only") => access = Some(DirAccess::ReadOnly),
                    Some("read-write") => access = Some(DirAccess::ReadWrite),
                    Some(other) => {
                        let message = format!("`{other}` is neither `read-only` nor `read-write`");
                        self.error(value.span(), message);
                        access = Some(DirAccess::ReadOnly);
                    }
                    None => access = Some(DirAccess::ReadOnly),
                },
                "max-bytes" => max_bytes = self.read("max-bytes", Unit::Size, value).map(Bytes),
                "max-files" => max_files = self.read("max-files", Unit::Count, value),
                other => self.unknown((key, value), other, &["host", "guest", "access", "max-bytes", "max-files"]),
            }
        }
        if host.is_none() {
            self.error(item.span(), "a directory needs `host`, a path that is not empty".to_owned());
        }
        if access.is_none() {
            let message = "a directory needs `access`, either `\"read-only\"` or `\"read-write\"`".to_owned();
            self.error(item.span(), message);
        }
        let host = host?;
        let grant = DirGrant::new(&host, guest.unwrap_or_else(|| host.clone()), access?);
        let max_files = max_files.or(max_bytes.map(|_| DirGrant::MAX_FILES));
        let grant = DirGrant { max_bytes, max_files, ..grant };
        if grant.has_quota() && !grant.access.permits_writing() {
            self.error(item.span(), "a directory that is read-only can't have a quota".to_owned());
        }
        Some(grant)
    }
}
