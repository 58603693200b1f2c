//! `wasi:sockets`: TCP and UDP with the addresses that the policy grants, and names that it lets a guest look up.
//!
//! Threat model: a guest reaches for the network behind the operator's firewall, for the host itself, or for a cloud's
//! metadata: by address, by an IPv6 form of one, by a name that resolves there, or by a name that resolves elsewhere
//! while it is checked. It listens where nobody said so, or sends datagrams from a socket that was granted for something
//! else. It opens sockets without end, sends or receives without end, or looks up names to tell somebody what it knows
//! or to keep the resolver busy. It lets the operating system hold large buffers and queues for it.
//!
//! So a socket is made only where some grant is about its protocol, and wasmtime-wasi asks our gate about every address
//! that a socket is used with, each datagram's included ([`gate`]). Names are looked up by us, once each, and their answer
//! is what a name grants from then on ([`lookup`]). Sockets, bytes and look-ups are counted; buffers and queues that the
//! operating system is asked for are cut.
//!
//! Who connects to a guest that listens isn't asked about: to grant listening is to grant being talked to. What a guest
//! says to whom it may talk to isn't looked at. Multicast groups can't be joined, and raw sockets don't exist here.

mod gate;
mod lookup;
mod streams;
mod tcp;
mod udp;

use std::sync::Arc;

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, HostNetwork, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{SocketError, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use self::gate::Gate;
use crate::egress::Egress;
use crate::outcome::Capability;
use crate::policy::{NetProtocol, Policy};
use crate::quota::Quota;

/// Bytes that the host holds for one socket: what is on its way to it, and what was read ahead.
const HELD: u64 = 128 * 1024;

/// The largest buffer that a guest can ask the operating system for.
const MAX_BUFFER: u64 = 256 * 1024;

/// What one invocation has for sockets.
pub(crate) struct SocketsContext {
    pub(crate) gate: Arc<Gate>,
}

/// What sockets need: wasmtime-wasi's own view, what decides, and where to count.
pub(crate) struct SocketsView<'a> {
    pub(crate) inner: WasiSocketsCtxView<'a>,
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) quota: &'a Arc<Quota>,
}

/// Marks [`SocketsView`] for the linker.
pub(crate) struct Sockets;

impl HasData for Sockets {
    type Data<'a> = SocketsView<'a>;
}

impl SocketsContext {
    pub(crate) fn new(policy: &Policy, egress: &Arc<Egress>, quota: &Arc<Quota>) -> Self {
        Self { gate: Arc::new(Gate::new(&policy.grants, Arc::clone(egress), Arc::clone(quota))) }
    }
}

impl SocketsView<'_> {
    /// Takes what one more socket needs; [`SocketsView::give_back`] must be called when it is gone.
    fn take_socket(&self) -> Result<(), SocketError> {
        if !self.quota.sockets.try_grow(1) {
            return Err(self.no_room());
        }
        if !self.quota.memory.try_grow(HELD) {
            self.quota.sockets.shrink(1);
            return Err(ErrorCode::OutOfMemory.into());
        }
        Ok(())
    }

    fn no_room(&self) -> SocketError {
        self.gate.deny(Capability::Net, "over sockets", "`sockets` under `[limits]`");
        ErrorCode::NewSocketLimit.into()
    }

    fn give_back(&self) {
        self.quota.memory.shrink(HELD);
        self.quota.sockets.shrink(1);
    }

    /// Whether a socket of this protocol may be made at all.
    fn admit(&self, protocol: NetProtocol, tried: &str) -> Result<(), SocketError> {
        if !self.gate.has(protocol) {
            self.gate.deny(Capability::Net, tried, "no `[[net]]` grants it");
            return Err(ErrorCode::AccessDenied.into());
        }
        self.take_socket()
    }
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<TcpSocket>, SocketError> {
        self.admit(NetProtocol::Tcp, "tcp socket")?;
        let mut context = Gate::tcp(self.gate);
        let mut inner = WasiSocketsCtxView { ctx: context.sockets(), table: &mut *self.inner.table };
        let made = tcp_create_socket::Host::create_tcp_socket(&mut inner, family);
        made.inspect_err(|_| self.give_back())
    }
}

impl udp_create_socket::Host for SocketsView<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<UdpSocket>, SocketError> {
        self.admit(NetProtocol::Udp, "udp socket")?;
        let mut context = Gate::udp(self.gate);
        let mut inner = WasiSocketsCtxView { ctx: context.sockets(), table: &mut *self.inner.table };
        let made = udp_create_socket::Host::create_udp_socket(&mut inner, family).await;
        made.inspect_err(|_| self.give_back())
    }
}

impl network::Host for SocketsView<'_> {
    /// Every error of these interfaces passes here, so this is where a denial stops the guest if it does.
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        let code = self.inner.convert_error_code(error)?;
        self.gate.stopped().map_or(Ok(code), |stop| Err(stop.into()))
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
