//! `wasi:cli/environment`: the variables and arguments that the policy gives, and no working directory.
//!
//! Threat model: a guest looks for secrets in the environment. It finds the variables that were set for it and none of the
//! host's own. It is handed all of them in one call, so an audit can't tell which of them it looked at and lists each.

use wasmtime::component::HasData;
use wasmtime_wasi::cli::WasiCliCtxView;
use wasmtime_wasi::p2::bindings::cli::environment;

use crate::policy::UseKind;
use crate::quota::Quota;

/// What the environment needs: wasmtime-wasi's own view, and where an audit is kept.
pub(crate) struct EnvironmentView<'a> {
    pub(crate) inner: WasiCliCtxView<'a>,
    pub(crate) quota: &'a Quota,
}

/// Marks [`EnvironmentView`] for the linker.
pub(crate) struct Environment;

impl HasData for Environment {
    type Data<'a> = EnvironmentView<'a>;
}

impl environment::Host for EnvironmentView<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let variables = self.inner.get_environment()?;
        for (name, _) in &variables {
            self.quota.audit.used(UseKind::Env, name, || None, false);
        }
        Ok(variables)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.inner.get_arguments()
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.inner.initial_cwd()
    }
}
