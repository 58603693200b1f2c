//! `wasi:sockets`: no address and no name is granted, and what a guest tries is counted.
//!
//! Threat model: a guest reaches for the host's own network to find what the operator can see and it can't. There is
//! no grant for addresses or names yet, so every bind, connect, send and look-up is refused; the rest of the
//! interface (making a socket, reading its options) comes from wasmtime-wasi, which asks [`Addresses`] before each
//! use of an address.

use std::sync::Arc;

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, HostNetwork, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};

use crate::outcome::{Capability, Stop, StopError, StopReason};
use crate::policy::OnDenial;
use crate::quota::Quota;
use crate::scheduler::Clock;

/// Who is asked before a guest uses an address.
pub(crate) struct Addresses {
    pub(crate) quota: Arc<Quota>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) on_denial: OnDenial,
}

/// What name look-up needs: wasmtime-wasi's own view, and where to count what is refused.
pub(crate) struct NameLookupView<'a> {
    pub(crate) inner: WasiSocketsCtxView<'a>,
    pub(crate) quota: &'a Quota,
    pub(crate) on_denial: OnDenial,
}

/// Marks [`NameLookupView`] for the linker.
pub(crate) struct NameLookup;

impl HasData for NameLookup {
    type Data<'a> = NameLookupView<'a>;
}

impl Addresses {
    /// Has every address refused and counted.
    pub(crate) fn refuse_all(self, builder: &mut WasiCtxBuilder) {
        builder.allow_ip_name_lookup(false).socket_addr_check(move |_, usage| {
            self.refuse(usage);
            Box::pin(async { false })
        });
    }

    fn refuse(&self, usage: SocketAddrUse) {
        let tried = match usage {
            SocketAddrUse::TcpBind => "tcp bind",
            SocketAddrUse::TcpListen => "tcp listen",
            SocketAddrUse::TcpAccept => "tcp accept",
            SocketAddrUse::TcpConnect => "tcp connect",
            SocketAddrUse::UdpBind => "udp bind",
            SocketAddrUse::UdpSend => "udp send",
            SocketAddrUse::UdpReceive => "udp receive",
        };
        self.quota.denied(Capability::Net, tried);
        if self.on_denial == OnDenial::Stop {
            let message = format!("the guest used a network address ({tried}), and the policy grants none");
            self.clock.stop(Stop::new(StopReason::Denied(Capability::Net), message));
        }
    }
}

impl network::Host for NameLookupView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.inner.network_error_code(error)
    }
}

impl HostNetwork for NameLookupView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.inner, network)
    }
}

impl ip_name_lookup::Host for NameLookupView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        _name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        self.inner.table.get(&network)?;
        self.quota.denied(Capability::Dns, "look-up");
        if self.on_denial == OnDenial::Stop {
            let message = "the guest looked up a host name, and the policy grants none";
            return Err(SocketError::trap(StopError(Stop::new(StopReason::Denied(Capability::Dns), message))));
        }
        Err(ErrorCode::PermanentResolverFailure.into())
    }
}

// No stream of addresses is ever handed out, so a guest that names one has made it up.
impl HostResolveAddressStream for NameLookupView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        self.inner.table.get(&stream)?;
        Err(ErrorCode::InvalidState.into())
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.inner.table.get(&stream)?;
        Err(wasmtime::format_err!("no name look-up is under way"))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.inner.table.delete(stream)?;
        Ok(())
    }
}
