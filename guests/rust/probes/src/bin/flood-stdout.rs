//! `flood-stdout [BYTES]`: writes that many bytes to standard output, or for ever.

use std::io;

use probes::{fail, flood, optional};

fn main() {
    if let Err((written, error)) = flood(&mut io::stdout().lock(), optional(1)) {
        fail(1, format_args!("after {written} bytes: {error}"));
    }
}
