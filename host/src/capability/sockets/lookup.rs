//! `wasi:sockets/ip-name-lookup`: each granted name is resolved once, and its answer is checked before a guest has it.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;

use super::SocketsView;
use super::gate::Gate;
use crate::policy::HostName;

/// A time-out that no clock fails to say; the invocation's own deadline ends a look-up.
const FAR: Duration = Duration::from_secs(86_400);

/// What the host holds for an address and for a name that is kept, beside its text.
const ENTRY_BYTES: u64 = 64;

/// Addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 64;

type Answer = Result<Arc<[IpAddr]>, ErrorCode>;

/// A look-up under way, and what of its answer the guest has had.
struct Lookup {
    state: State,
    given: usize,
}

enum State {
    Pending(AbortOnDropJoinHandle<Answer>),
    Done(Answer),
}

impl Lookup {
    async fn finish(&mut self) {
        if let State::Pending(task) = &mut self.state {
            self.state = State::Done(task.await);
        }
    }

    fn answer(&mut self) -> Option<&Answer> {
        if let State::Pending(task) = &mut self.state {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            match std::pin::Pin::new(task).poll(&mut context) {
                Poll::Ready(answer) => self.state = State::Done(answer),
                Poll::Pending => return None,
            }
        }
        match &self.state {
            State::Done(answer) => Some(answer),
            State::Pending(_) => None,
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        self.finish().await;
    }
}

/// Resolves a name unless it has been; the answer is kept, and what may not be reached is kept from the guest.
async fn resolve(gate: Arc<Gate>, name: String) -> Answer {
    let _turn = gate.resolving.lock().await;
    if let Some(answer) = gate.pinned(&name) {
        return Ok(answer);
    }
    let until = tokio::time::Instant::now() + FAR;
    let found = gate.egress.resolve(&HostName::Name(name.clone()), until).await;
    let mut found = found.map_err(|_| ErrorCode::NameUnresolvable)?;
    found.truncate(MAX_ADDRESSES);
    // An IPv4 address in an IPv6 one is written as what it is, since a socket wouldn't take the other form.
    let answer: Arc<[IpAddr]> = found.iter().map(IpAddr::to_canonical).collect();
    if !gate.may_look_up(&name, &answer) {
        return Err(ErrorCode::AccessDenied);
    }
    let held = ENTRY_BYTES * (1 + answer.len() as u64) + name.len() as u64;
    if !gate.quota.memory.try_grow(held) {
        return Err(ErrorCode::OutOfMemory);
    }
    gate.pin(name, Arc::clone(&answer));
    Ok(answer)
}

/// The handle as the table has it: the generated type can't be made and only marks handles.
fn ours(stream: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
    if stream.owned() { Resource::new_own(stream.rep()) } else { Resource::new_borrow(stream.rep()) }
}

impl ip_name_lookup::Host for SocketsView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        self.inner.table.get(&network)?;
        // An address is its own answer, which tells nothing and grants nothing.
        let state = match HostName::to_look_up(&name) {
            Some(HostName::Address(address)) => State::Done(Ok(Arc::from([address]))),
            Some(HostName::Name(name)) => match self.gate.pinned(&name) {
                Some(answer) => State::Done(Ok(answer)),
                None => {
                    self.quota.lookups.try_take(1).map_err(SocketError::trap)?;
                    if !self.gate.may_look_up(&name, &[]) {
                        return Err(ErrorCode::AccessDenied.into());
                    }
                    State::Pending(wasmtime_wasi::runtime::spawn(resolve(Arc::clone(self.gate), name)))
                }
            },
            None => return Err(ErrorCode::InvalidArgument.into()),
        };
        let lookup = self.inner.table.push(Lookup { state, given: 0 })?;
        Ok(Resource::new_own(lookup.rep()))
    }
}

impl HostResolveAddressStream for SocketsView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let lookup = self.inner.table.get_mut(&ours(&stream))?;
        let given = lookup.given;
        let next = match lookup.answer() {
            None => return Err(ErrorCode::WouldBlock.into()),
            Some(Err(code)) => return Err((*code).into()),
            Some(Ok(answer)) => answer.get(given).copied(),
        };
        lookup.given = given.saturating_add(1);
        Ok(next.map(IpAddress::from))
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.inner.table, ours(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.inner.table.delete(ours(&stream))?;
        Ok(())
    }
}
