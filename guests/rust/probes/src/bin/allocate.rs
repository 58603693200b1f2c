//! `allocate PAGES [then-trap]`: grows its memory by that many pages at once, and prints what the instruction gave:
//! the size before in pages, or -1 where it was refused. With `then-trap`, a refusal makes it trap.

use core::arch::wasm32::{memory_grow, unreachable};
use std::io::{self, Write};

use probes::{fail, optional, required};

fn main() -> io::Result<()> {
    let pages: usize = required(1);
    let then_trap = match optional::<String>(2).as_deref() {
        None => false,
        Some("then-trap") => true,
        Some(other) => fail(2, format_args!("argument 2: `{other}` is not `then-trap`")),
    };
    // The first use of standard output allocates, which must not come after the growth.
    let mut output = io::stdout().lock();
    let before = memory_grow::<0>(pages);
    if before == usize::MAX && then_trap {
        unreachable();
    }
    writeln!(output, "{}", before.cast_signed())
}
