//! `wasi:sockets/udp`: wasmtime-wasi's own, with sockets and bytes counted and what the system is asked for cut.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    self, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::{DynPollable, SocketError, UdpSocket};

use super::streams::take;
use super::{MAX_BUFFER, SocketsView};
use crate::outcome::Stop;
use crate::policy::LimitKind;

/// What a datagram counts beside its bytes, so that empty ones have an end too: the header that UDP gives it.
const HEADER: u64 = 8;

type Fd = Resource<UdpSocket>;
type Net<T> = Result<T, SocketError>;

impl udp::Host for SocketsView<'_> {}

/// Methods that do what wasmtime-wasi does.
macro_rules! delegate {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self, $($arg: $ty),*) -> $result {
            HostUdpSocket::$name(&mut self.inner, $($arg),*)
        })*
    };
}

impl HostUdpSocket for SocketsView<'_> {
    delegate! {
        finish_bind(fd: Fd) -> Net<()>;
        local_address(fd: Fd) -> Net<IpSocketAddress>;
        remote_address(fd: Fd) -> Net<IpSocketAddress>;
        address_family(fd: Fd) -> wasmtime::Result<IpAddressFamily>;
        unicast_hop_limit(fd: Fd) -> Net<u8>;
        set_unicast_hop_limit(fd: Fd, value: u8) -> Net<()>;
        receive_buffer_size(fd: Fd) -> Net<u64>;
        send_buffer_size(fd: Fd) -> Net<u64>;
        subscribe(fd: Fd) -> wasmtime::Result<Resource<DynPollable>>;
    }

    async fn start_bind(&mut self, fd: Fd, network: Resource<Network>, address: IpSocketAddress) -> Net<()> {
        HostUdpSocket::start_bind(&mut self.inner, fd, network, address).await
    }

    async fn stream(
        &mut self,
        fd: Fd,
        remote: Option<IpSocketAddress>,
    ) -> Net<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)> {
        HostUdpSocket::stream(&mut self.inner, fd, remote).await
    }

    fn set_receive_buffer_size(&mut self, fd: Fd, value: u64) -> Net<()> {
        HostUdpSocket::set_receive_buffer_size(&mut self.inner, fd, value.min(MAX_BUFFER))
    }

    fn set_send_buffer_size(&mut self, fd: Fd, value: u64) -> Net<()> {
        HostUdpSocket::set_send_buffer_size(&mut self.inner, fd, value.min(MAX_BUFFER))
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostUdpSocket::drop(&mut self.inner, fd)?;
        self.give_back();
        Ok(())
    }
}

impl HostIncomingDatagramStream for SocketsView<'_> {
    fn receive(&mut self, stream: Resource<IncomingDatagramStream>, most: u64) -> Net<Vec<IncomingDatagram>> {
        let datagrams = HostIncomingDatagramStream::receive(&mut self.inner, stream, most)?;
        let bytes = datagrams.iter().map(|datagram| size(&datagram.data)).sum();
        take(self.quota, bytes, |quota| &quota.net_received_bytes).map_err(SocketError::trap)?;
        Ok(datagrams)
    }

    fn subscribe(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>> {
        HostIncomingDatagramStream::subscribe(&mut self.inner, stream)
    }

    fn drop(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        HostIncomingDatagramStream::drop(&mut self.inner, stream)
    }
}

impl HostOutgoingDatagramStream for SocketsView<'_> {
    fn check_send(&mut self, stream: Resource<OutgoingDatagramStream>) -> Net<u64> {
        HostOutgoingDatagramStream::check_send(&mut self.inner, stream)
    }

    /// A list that doesn't fit stops the guest before any of it is sent; of one that does, what was sent counts.
    fn send(&mut self, stream: Resource<OutgoingDatagramStream>, datagrams: Vec<OutgoingDatagram>) -> Net<u64> {
        let sizes: Vec<u64> = datagrams.iter().map(|datagram| size(&datagram.data)).collect();
        let (all, counter) = (sizes.iter().sum(), &self.quota.net_bytes);
        if all > counter.left() {
            let used = counter.used();
            let stop = Stop::limit(LimitKind::NetBytes, used.saturating_add(counter.left()), used, Some(all));
            return Err(SocketError::trap(stop));
        }
        let sent = HostOutgoingDatagramStream::send(&mut self.inner, stream, datagrams);
        // Of several datagrams one can be denied without an error.
        if let Some(stop) = self.gate.stopped() {
            return Err(SocketError::trap(stop));
        }
        let sent = sent?;
        let bytes = sizes.iter().take(usize::try_from(sent).unwrap_or(usize::MAX)).sum();
        take(self.quota, bytes, |quota| &quota.net_sent_bytes).map_err(SocketError::trap)?;
        Ok(sent)
    }

    fn subscribe(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>> {
        HostOutgoingDatagramStream::subscribe(&mut self.inner, stream)
    }

    async fn drop(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        HostOutgoingDatagramStream::drop(&mut self.inner, stream).await
    }
}

fn size(data: &[u8]) -> u64 {
    HEADER.saturating_add(data.len() as u64)
}
