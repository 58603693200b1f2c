//! What a component could use, from the names of its imports, compared with what a policy grants.
//!
//! An import is a wish and no need: most toolchains import files and the environment whether or not the program uses
//! them. So a missing grant is worth knowing and no error; a grant that nothing imported could use is one to take away.

use serde::Serialize;

use super::Policy;

/// How a policy fits a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fit {
    /// What it imports and isn't granted: every use of it is denied.
    pub not_granted: Vec<String>,
    /// What it is granted and has no import for.
    pub no_use_for: Vec<String>,
}

struct Need {
    key: &'static str,
    /// How the names of its imports begin.
    imports: &'static [&'static str],
    granted: fn(&Policy) -> bool,
    denied: &'static str,
}

/// Which imports which key is for.
const NEEDS: &[Need] = &[
    Need {
        key: "dir",
        imports: &["wasi:filesystem/"],
        granted: |policy| !policy.grants.dir.is_empty(),
        denied: "it finds no directory",
    },
    Need {
        key: "env",
        imports: &["wasi:cli/environment"],
        granted: |policy| !policy.grants.env.is_empty(),
        denied: "it finds no variable",
    },
    Need {
        key: "config",
        imports: &["wasi:config/", "sandbox:host/config"],
        granted: |policy| !policy.grants.config.is_empty(),
        denied: "it finds no value",
    },
    Need {
        key: "key-value",
        imports: &["wasi:keyvalue/"],
        granted: |policy| !policy.grants.key_value.is_empty(),
        denied: "every bucket is denied",
    },
    Need {
        key: "http",
        imports: &["wasi:http/outgoing-handler"],
        granted: |policy| !policy.grants.http.is_empty(),
        denied: "every request is denied",
    },
    Need {
        key: "secret",
        imports: &["wasi:http/outgoing-handler"],
        granted: |policy| !policy.grants.secret.is_empty(),
        denied: "",
    },
    Need {
        key: "net",
        imports: &["wasi:sockets/tcp-create", "wasi:sockets/udp-create"],
        granted: |policy| !policy.grants.net.is_empty(),
        denied: "every address is denied",
    },
    Need {
        key: "lookup",
        imports: &["wasi:sockets/ip-name"],
        // A grant to connect to a name includes looking it up.
        granted: |policy| !policy.grants.lookup.is_empty() || !policy.grants.net.is_empty(),
        denied: "every look-up is denied",
    },
];

/// Compares a policy with the names of a component's imports.
pub fn fit(policy: &Policy, imports: &[String]) -> Fit {
    let mut fit = Fit::default();
    for need in NEEDS {
        let found: Vec<&str> = imports
            .iter()
            .filter(|import| need.imports.iter().any(|prefix| import.starts_with(prefix)))
            .map(|import| import.split('@').next().unwrap_or(import))
            .collect();
        match ((need.granted)(policy), found.first()) {
            (false, Some(_)) if !need.denied.is_empty() => {
                fit.not_granted.push(format!("{}: it imports `{}`; {}", need.key, found.join("`, `"), need.denied));
            }
            (true, None) => {
                let names: Vec<String> = need.imports.iter().map(|name| format!("`{name}…`")).collect();
                fit.no_use_for.push(format!("{}: it imports nothing of {}", need.key, names.join(" or ")));
            }
            _ => {}
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_without_grants_and_grants_without_imports_are_found() {
        let imports: Vec<String> =
            ["wasi:filesystem/types@0.2.0", "wasi:http/outgoing-handler@0.2.4", "wasi:io/poll@0.2.0"]
                .map(str::to_owned)
                .to_vec();
        let policy = Policy::parse("env.A = 'b'\n[[http]]\nallow = 'https://a.example'").unwrap();
        let fit = fit(&policy, &imports);
        assert_eq!(fit.not_granted, ["dir: it imports `wasi:filesystem/types`; it finds no directory"]);
        assert_eq!(fit.no_use_for, ["env: it imports nothing of `wasi:cli/environment…`"]);
        assert_eq!(super::fit(&Policy::default(), &[]), Fit::default());
    }
}
