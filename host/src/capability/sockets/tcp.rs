//! `wasi:sockets/tcp`: wasmtime-wasi's own, with sockets and bytes counted and what the system is asked for cut.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{self, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::pipe::{ClosedInputStream, SinkOutputStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, SocketError, TcpSocket};

use super::streams::Counted;
use super::{MAX_BUFFER, SocketsView};

/// Connections that wait to be accepted: the system holds them, and no limit of ours counts them.
const MAX_BACKLOG: u64 = 128;

type Fd = Resource<TcpSocket>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);
type Net<T> = Result<T, SocketError>;

impl SocketsView<'_> {
    /// Counts what goes through the streams of a connection.
    fn count(&mut self, (input, output): &Streams) -> Net<()> {
        let place = self.inner.table.get_mut(input)?;
        let inner: DynInputStream = std::mem::replace(place, Box::new(ClosedInputStream));
        *place = Box::new(Counted { inner, quota: Arc::clone(self.quota) });
        let place = self.inner.table.get_mut(output)?;
        let inner: DynOutputStream = std::mem::replace(place, Box::new(SinkOutputStream));
        *place = Box::new(Counted { inner, quota: Arc::clone(self.quota) });
        Ok(())
    }
}

impl tcp::Host for SocketsView<'_> {}

/// Methods that do what wasmtime-wasi does.
macro_rules! delegate {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self, $($arg: $ty),*) -> $result {
            HostTcpSocket::$name(&mut self.inner, $($arg),*)
        })*
    };
}

impl HostTcpSocket for SocketsView<'_> {
    delegate! {
        finish_bind(fd: Fd) -> Net<()>;
        start_connect(fd: Fd, network: Resource<Network>, address: IpSocketAddress) -> Net<()>;
        finish_listen(fd: Fd) -> Net<()>;
        local_address(fd: Fd) -> Net<IpSocketAddress>;
        remote_address(fd: Fd) -> Net<IpSocketAddress>;
        is_listening(fd: Fd) -> wasmtime::Result<bool>;
        address_family(fd: Fd) -> wasmtime::Result<IpAddressFamily>;
        keep_alive_enabled(fd: Fd) -> Net<bool>;
        set_keep_alive_enabled(fd: Fd, value: bool) -> Net<()>;
        keep_alive_idle_time(fd: Fd) -> Net<u64>;
        set_keep_alive_idle_time(fd: Fd, value: u64) -> Net<()>;
        keep_alive_interval(fd: Fd) -> Net<u64>;
        set_keep_alive_interval(fd: Fd, value: u64) -> Net<()>;
        keep_alive_count(fd: Fd) -> Net<u32>;
        set_keep_alive_count(fd: Fd, value: u32) -> Net<()>;
        hop_limit(fd: Fd) -> Net<u8>;
        set_hop_limit(fd: Fd, value: u8) -> Net<()>;
        receive_buffer_size(fd: Fd) -> Net<u64>;
        send_buffer_size(fd: Fd) -> Net<u64>;
        subscribe(fd: Fd) -> wasmtime::Result<Resource<DynPollable>>;
        shutdown(fd: Fd, which: ShutdownType) -> Net<()>;
    }

    async fn start_bind(&mut self, fd: Fd, network: Resource<Network>, address: IpSocketAddress) -> Net<()> {
        HostTcpSocket::start_bind(&mut self.inner, fd, network, address).await
    }

    async fn start_listen(&mut self, fd: Fd) -> Net<()> {
        HostTcpSocket::start_listen(&mut self.inner, fd).await
    }

    fn finish_connect(&mut self, fd: Fd) -> Net<Streams> {
        let streams = HostTcpSocket::finish_connect(&mut self.inner, fd)?;
        self.count(&streams)?;
        Ok(streams)
    }

    /// A connection for which there is no room stays in the queue.
    fn accept(&mut self, fd: Fd) -> Net<(Fd, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        if self.quota.sockets.left() == 0 {
            return Err(self.no_room());
        }
        let (socket, input, output) = HostTcpSocket::accept(&mut self.inner, fd)?;
        if let Err(error) = self.take_socket() {
            self.inner.table.delete(input)?;
            self.inner.table.delete(output)?;
            self.inner.table.delete(socket)?;
            return Err(error);
        }
        let streams = (input, output);
        self.count(&streams)?;
        Ok((socket, streams.0, streams.1))
    }

    fn set_listen_backlog_size(&mut self, fd: Fd, value: u64) -> Net<()> {
        HostTcpSocket::set_listen_backlog_size(&mut self.inner, fd, value.min(MAX_BACKLOG))
    }

    fn set_receive_buffer_size(&mut self, fd: Fd, value: u64) -> Net<()> {
        HostTcpSocket::set_receive_buffer_size(&mut self.inner, fd, value.min(MAX_BUFFER))
    }

    fn set_send_buffer_size(&mut self, fd: Fd, value: u64) -> Net<()> {
        HostTcpSocket::set_send_buffer_size(&mut self.inner, fd, value.min(MAX_BUFFER))
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostTcpSocket::drop(&mut self.inner, fd)?;
        self.give_back();
        Ok(())
    }
}
