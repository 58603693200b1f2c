//! The part of the policy file that is about sockets: `[[net]]` and `[[lookup]]`.

use toml::Spanned;
use toml::de::DeValue;

use super::Reader;
use crate::policy::net_grant::{LookupGrant, NetDirection, NetGrant, NetProtocol};

impl Reader<'_> {
    pub(super) fn net(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<NetGrant> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("net", "an array of tables: write `[[net]]`", value);
            return Vec::new();
        };
        array.iter().filter_map(|item| self.net_grant(item)).collect()
    }

    fn net_grant(&mut self, item: &Spanned<DeValue<'_>>) -> Option<NetGrant> {
        let before = self.errors.len();
        let table = self.expect_table("net", item)?;
        let (mut protocol, mut private, mut patterns) = (NetProtocol::Tcp, false, Vec::new());
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "protocol" => match self.string("protocol", value).as_deref() {
                    Some("tcp") | None => {}
                    Some("udp") => protocol = NetProtocol::Udp,
                    Some(other) => {
                        self.error(value.span(), format!("`{}` is neither `tcp` nor `udp`", other.escape_debug()));
                    }
                },
                "connect" => patterns.push((NetDirection::Connect, value)),
                "listen" => patterns.push((NetDirection::Listen, value)),
                "allow-private" => private = self.boolean("allow-private", value),
                other => self.unknown((key, value), other, &["protocol", "connect", "listen", "allow-private"]),
            }
        }
        let [(direction, value)] = patterns.as_slice() else {
            let message = "a grant for sockets needs either `connect`, such as `\"db.example.com:5432\"`, or `listen`";
            self.error(item.span(), message.to_owned());
            return None;
        };
        let text = self.string(direction.name(), value)?;
        match NetGrant::read(protocol, *direction, &text) {
            Ok(grant) if self.errors.len() == before => Some(NetGrant { allow_private: private, ..grant }),
            Ok(_) => None,
            Err(error) => {
                self.error(value.span(), format!("`{}`: {error}", direction.name()));
                None
            }
        }
    }

    pub(super) fn lookups(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<LookupGrant> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("lookup", "an array of tables: write `[[lookup]]`", value);
            return Vec::new();
        };
        array.iter().filter_map(|item| self.lookup(item)).collect()
    }

    fn lookup(&mut self, item: &Spanned<DeValue<'_>>) -> Option<LookupGrant> {
        let table = self.expect_table("lookup", item)?;
        let (mut grant, mut private, mut named) = (None, false, false);
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "name" => {
                    named = true;
                    match self.string("name", value).map(|text| LookupGrant::parse(&text)) {
                        Some(Ok(read)) => grant = Some(read),
                        Some(Err(error)) => self.error(value.span(), format!("`name`: {error}")),
                        None => {}
                    }
                }
                "allow-private" => private = self.boolean("allow-private", value),
                other => self.unknown((key, value), other, &["name", "allow-private"]),
            }
        }
        if !named {
            self.error(item.span(), "a grant to look up names needs `name`, such as `\"*.example.com\"`".to_owned());
        }
        Some(LookupGrant { allow_private: private, ..grant? })
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::file::parse;

    fn errors(text: &str) -> Vec<String> {
        parse(text).unwrap_err().0.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect()
    }

    #[test]
    fn grants_for_sockets_and_names_read_into_their_values() {
        let policy = parse(
            "[[net]]\nconnect = 'db.example.com:5432'\nallow-private = true\n\
             [[net]]\nprotocol = 'udp'\nlisten = '127.0.0.1:*'\n\
             [[lookup]]\nname = '*.example.com'\n",
        )
        .unwrap();
        let net: Vec<String> = policy.grants.net.iter().map(ToString::to_string).collect();
        assert_eq!(net, ["tcp connect db.example.com:5432", "udp listen 127.0.0.1:*"]);
        assert_eq!((policy.grants.net[0].allow_private, policy.grants.net[1].allow_private), (true, false));
        assert_eq!(policy.grants.lookup[0].name.to_string(), "*.example.com");
        assert_ne!(policy.digest(), parse("").unwrap().digest());
    }

    #[test]
    fn what_is_wrong_with_them_is_said_at_its_place() {
        assert!(errors("[[net]]\nconnect = 'a'")[0].starts_with("2:11 `connect`: `a` is not `HOST:PORT`"));
        assert!(errors("[[net]]\nlisten = 'a.example:80'")[0].contains("not on a name"));
        assert!(errors("[[net]]\nprotocol = 'tcp'")[0].contains("either `connect`"));
        assert!(errors("[[net]]\nconnect = '*:1'\nlisten = '*:1'")[0].contains("either `connect`"));
        assert!(errors("[[net]]\nconnect = '*:1'\nprotocol = 'icmp'")[0].contains("neither `tcp` nor `udp`"));
        assert!(errors("[[net]]\nconect = '*:1'").iter().any(|e| e.contains("did you mean `connect`?")));
        assert!(errors("net = '*:1'")[0].contains("write `[[net]]`"));
        assert!(errors("[[lookup]]\nname = '*.com'")[0].contains("wildcard"));
        assert!(errors("[[lookup]]\nallow-private = true")[0].contains("needs `name`"));
        assert!(errors("lookup = 'a'")[0].contains("write `[[lookup]]`"));
    }
}
