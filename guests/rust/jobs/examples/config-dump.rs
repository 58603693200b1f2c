//! Lists its configuration twice, as the two interfaces give it: `sandbox:host/config`, then `wasi:config/store`.

use jobs::sandbox::host::config;
use jobs::wasi::config::store;
use jobs::{Failure, Guest, Input, Output, text};

struct Probe;

impl Guest for Probe {
    fn run(_input: Input) -> Result<Output, Failure> {
        let lines = |origin: &str, pairs: Vec<(String, String)>| -> String {
            pairs.into_iter().map(|(key, value)| format!("{origin} {key}={value}\n")).collect()
        };
        let ours = lines("sandbox", config::get_all());
        let standard = match store::get_all() {
            Ok(pairs) => lines("wasi", pairs),
            Err(error) => format!("wasi error: {error:?}\n"),
        };
        Ok(text(ours + &standard))
    }
}

jobs::export_job!(Probe);
