//! `wasi:io/error`: what went wrong with a stream, in one sentence.
//!
//! Threat model: a guest reads the host's own stack, with the paths that it was built under, out of an error: the
//! engine's errors carry one whenever the operator has switched backtraces on. So a guest gets the message and nothing
//! that belongs to it.

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::error::{Host, HostError};

/// What errors need: the table that they are in.
pub(crate) struct ErrorsView<'a> {
    pub(crate) table: &'a mut ResourceTable,
}

/// Marks [`ErrorsView`] for the linker.
pub(crate) struct Errors;

impl HasData for Errors {
    type Data<'a> = ErrorsView<'a>;
}

impl Host for ErrorsView<'_> {}

impl HostError for ErrorsView<'_> {
    fn to_debug_string(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<String> {
        Ok(self.table.get(&error)?.to_string())
    }

    fn drop(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_message_and_nothing_else() {
        let mut table = ResourceTable::new();
        let error = table.push(wasmtime::format_err!("inner").context("outer")).unwrap();
        let text = ErrorsView { table: &mut table }.to_debug_string(error).unwrap();
        assert_eq!(text, "outer");
    }
}
