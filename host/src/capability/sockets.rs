//! `wasi:sockets`: no address and no name is granted, and what a guest tries is counted.
//!
//! Threat model: a guest reaches for the host's own network to find what the operator can see and it can't. There is
//! no grant for addresses or names yet, so no socket is ever made and no name is ever looked up; the rest of the
//! interface is linked from wasmtime-wasi, so that a program which mentions it can start.

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, HostNetwork, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, SocketError, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::outcome::{Capability, Stop, StopReason};
use crate::policy::OnDenied;
use crate::quota::Quota;

/// What sockets need: wasmtime-wasi's own view, and where to count what is refused.
pub(crate) struct SocketsView<'a> {
    pub(crate) inner: WasiSocketsCtxView<'a>,
    pub(crate) quota: &'a Quota,
    pub(crate) on_denied: OnDenied,
}

/// Marks [`SocketsView`] for the linker.
pub(crate) struct Sockets;

impl HasData for Sockets {
    type Data<'a> = SocketsView<'a>;
}

impl SocketsView<'_> {
    /// Counts a denial, and stops the guest where the policy says so.
    fn deny(&self, capability: Capability, tried: &'static str) -> Result<(), SocketError> {
        self.quota.denied_by(capability, tried, "no key of a policy grants it");
        match self.on_denied {
            OnDenied::Error => Ok(()),
            OnDenied::Stop => {
                let message = format!("the guest used the network ({tried}), and the policy grants none");
                Err(SocketError::trap(Stop::new(StopReason::Denied(capability), message)))
            }
        }
    }
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, _family: IpAddressFamily) -> Result<Resource<TcpSocket>, SocketError> {
        self.deny(Capability::Net, "tcp socket")?;
        Err(ErrorCode::AccessDenied.into())
    }
}

impl udp_create_socket::Host for SocketsView<'_> {
    async fn create_udp_socket(&mut self, _family: IpAddressFamily) -> Result<Resource<UdpSocket>, SocketError> {
        self.deny(Capability::Net, "udp socket")?;
        Err(ErrorCode::AccessDenied.into())
    }
}

impl network::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.inner.network_error_code(error)
    }
}

impl HostNetwork for SocketsView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.inner, network)
    }
}

impl ip_name_lookup::Host for SocketsView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        _name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        self.inner.table.get(&network)?;
        self.deny(Capability::Dns, "look-up")?;
        Err(ErrorCode::PermanentResolverFailure.into())
    }
}

// No stream of addresses is ever handed out, so a guest that names one has made it up.
impl HostResolveAddressStream for SocketsView<'_> {
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
