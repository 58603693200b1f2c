//! What lives in a store: one invocation's contexts, counters and limits, and room for the embedder's own value.
//!
//! Each capability sees a narrow view of this and never the whole, so that an interface can't reach another's
//! resources by mistake. The tenant is not in here to be changed: a store belongs to one invocation of one tenant.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capability::budget::BudgetView;
use crate::capability::clocks::ClocksView;
use crate::capability::config::ConfigView;
use crate::capability::environment::EnvironmentView;
use crate::capability::errors::ErrorsView;
use crate::capability::filesystem::FilesystemView;
pub(crate) use crate::capability::filesystem::{DirAccounts, Directories};
pub(crate) use crate::capability::http::HttpContext;
use crate::capability::http::HttpView;
use crate::capability::keyvalue::KeyValueView;
use crate::capability::logging::LoggingView;
use crate::capability::random::RandomView;
pub(crate) use crate::capability::sockets::SocketsContext;
use crate::capability::sockets::SocketsView;
use crate::deterministic::Deterministic;
use crate::keyvalue::Buckets;
use crate::limiter::Limiter;
use crate::policy::OnDenied;
use crate::quota::Quota;
use crate::scheduler::Clock;

/// The data of an invocation's store. `E` is the embedder's own type, reached with [`State::extension`].
pub struct State<E = ()> {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) quota: Arc<Quota>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) limiter: Limiter,
    pub(crate) config: Arc<BTreeMap<String, String>>,
    pub(crate) buckets: Buckets,
    pub(crate) on_denied: OnDenied,
    pub(crate) tenant: String,
    /// Bytes that each open listing of a directory holds.
    pub(crate) listings: HashMap<u32, u64>,
    /// Calls of each interface, by its place in the linker's list.
    pub(crate) calls: Box<[u64]>,
    pub(crate) extension: E,
    pub(crate) http: HttpContext,
    /// Clock and random bytes, where they are not the real ones.
    pub(crate) deterministic: Option<Arc<Deterministic>>,
    pub(crate) sockets: SocketsContext,
    /// Directories with a quota.
    pub(crate) dirs: Directories,
}

impl<E> State<E> {
    /// The embedder's own value for this invocation.
    pub fn extension(&mut self) -> &mut E {
        &mut self.extension
    }

    /// When this invocation ends at the latest; for [`crate::Invocation::no_later_than`] of one that it causes.
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.clock.deadline()
    }

    /// Counts a call of one interface; called by the getter that the engine runs once for each host call.
    pub(crate) fn called(&mut self, interface: usize) {
        if let Some(count) = self.calls.get_mut(interface) {
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn budget(&mut self) -> BudgetView<'_> {
        BudgetView { quota: &self.quota, clock: &self.clock, deterministic: self.deterministic.as_deref() }
    }

    pub(crate) fn config(&mut self) -> ConfigView<'_> {
        ConfigView { values: &self.config, quota: &self.quota }
    }

    pub(crate) fn key_value(&mut self) -> KeyValueView<'_> {
        KeyValueView { buckets: &self.buckets, table: &mut self.table, quota: &self.quota, on_denied: self.on_denied }
    }

    pub(crate) fn logging(&mut self) -> LoggingView<'_> {
        LoggingView { quota: &self.quota, tenant: &self.tenant }
    }

    pub(crate) fn random(&mut self) -> RandomView<'_> {
        RandomView { quota: &self.quota, deterministic: self.deterministic.as_deref() }
    }

    pub(crate) fn filesystem(&mut self) -> FilesystemView<'_> {
        FilesystemView {
            inner: wasmtime_wasi::filesystem::WasiFilesystemCtxView {
                ctx: self.wasi.filesystem(),
                table: &mut self.table,
            },
            quota: &self.quota,
            listings: &mut self.listings,
            dirs: &mut self.dirs,
            on_denied: self.on_denied,
        }
    }

    pub(crate) fn clocks_view(&mut self) -> ClocksView<'_> {
        ClocksView {
            inner: wasmtime_wasi::clocks::WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table },
            quota: &self.quota,
            deterministic: self.deterministic.as_ref(),
        }
    }

    pub(crate) fn environment(&mut self) -> EnvironmentView<'_> {
        EnvironmentView {
            inner: wasmtime_wasi::cli::WasiCliCtxView { ctx: self.wasi.cli(), table: &mut self.table },
            quota: &self.quota,
        }
    }

    pub(crate) fn errors(&mut self) -> ErrorsView<'_> {
        ErrorsView { table: &mut self.table }
    }

    pub(crate) fn http(&mut self) -> HttpView<'_> {
        HttpView { context: &mut self.http, table: &mut self.table }
    }

    pub(crate) fn sockets_view(&mut self) -> SocketsView<'_> {
        SocketsView {
            inner: wasmtime_wasi::sockets::WasiSocketsCtxView { ctx: self.wasi.sockets(), table: &mut self.table },
            gate: &self.sockets.gate,
            quota: &self.quota,
        }
    }
}

impl<E: Send> WasiView for State<E> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
