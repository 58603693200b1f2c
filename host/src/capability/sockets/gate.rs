//! What wasmtime-wasi asks about every address that a socket is used with, and what is told about a denial.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::egress::Egress;
use crate::outcome::{Capability, Stop, StopReason};
use crate::policy::{
    Grants, LookupGrant, NetAsk, NetDenial, NetDirection, NetGrant, NetProtocol, OnDenied, Pinned, UseKind,
    permits_lookup, permits_net,
};
use crate::quota::Quota;

/// Peers that a listening UDP socket can answer: those that wrote to it last.
const PEERS: usize = 64;

/// What decides about the sockets and look-ups of one invocation.
pub(crate) struct Gate {
    net: Vec<NetGrant>,
    lookup: Vec<LookupGrant>,
    on_denied: OnDenied,
    pub(super) quota: Arc<Quota>,
    pub(super) egress: Arc<Egress>,
    pinned: Mutex<Pinned>,
    /// Look-ups are done one after another, so that one guest can't occupy every thread for them.
    pub(super) resolving: tokio::sync::Mutex<()>,
    /// What the next error that the guest would see becomes instead.
    stop: Mutex<Option<Stop>>,
}

/// One UDP socket: where it listens, under which grant, and who wrote to it.
#[derive(Default)]
struct Listening {
    grant: Option<(usize, IpAddr)>,
    peers: VecDeque<SocketAddr>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    pub(super) fn new(grants: &Grants, egress: Arc<Egress>, quota: Arc<Quota>) -> Self {
        Self {
            net: grants.net.clone(),
            lookup: grants.lookup.clone(),
            on_denied: grants.on_denied,
            quota,
            egress,
            pinned: Mutex::default(),
            resolving: tokio::sync::Mutex::default(),
            stop: Mutex::default(),
        }
    }

    /// Whether any grant is about this protocol.
    pub(super) fn has(&self, protocol: NetProtocol) -> bool {
        self.net.iter().any(|grant| grant.protocol == protocol)
    }

    /// What makes TCP sockets that ask this gate.
    pub(super) fn tcp(this: &Arc<Self>) -> WasiCtx {
        let gate = Arc::clone(this);
        let mut builder = WasiCtx::builder();
        builder.allow_tcp(true).socket_addr_check(move |address, used| {
            let allowed = gate.tcp_may(address, used);
            Box::pin(std::future::ready(allowed))
        });
        builder.build()
    }

    /// What makes one UDP socket that asks this gate.
    pub(super) fn udp(this: &Arc<Self>) -> WasiCtx {
        let (gate, socket) = (Arc::clone(this), Mutex::new(Listening::default()));
        let mut builder = WasiCtx::builder();
        builder.allow_udp(true).socket_addr_check(move |address, used| {
            let allowed = gate.udp_may(&mut lock(&socket), address, used);
            Box::pin(std::future::ready(allowed))
        });
        builder.build()
    }

    fn tcp_may(&self, address: SocketAddr, used: SocketAddrUse) -> bool {
        match used {
            SocketAddrUse::TcpConnect => self.may(NetProtocol::Tcp, NetDirection::Connect, address).is_some(),
            SocketAddrUse::TcpBind if self.is_any_port(NetProtocol::Tcp, address) => true,
            SocketAddrUse::TcpBind | SocketAddrUse::TcpListen => {
                self.may(NetProtocol::Tcp, NetDirection::Listen, address).is_some()
            }
            // The socket listens, so the policy lets it be talked to.
            SocketAddrUse::TcpAccept => true,
            SocketAddrUse::UdpBind | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => false,
        }
    }

    fn udp_may(&self, socket: &mut Listening, address: SocketAddr, used: SocketAddrUse) -> bool {
        let connect = NetAsk { protocol: NetProtocol::Udp, direction: NetDirection::Connect, address };
        match used {
            SocketAddrUse::UdpBind => {
                let listen = NetAsk { direction: NetDirection::Listen, ..connect };
                socket.grant = self.ask(&listen).ok().map(|grant| (grant, address.ip()));
                if let Some((place, _)) = socket.grant {
                    self.used(place, address);
                }
                socket.grant.is_some()
                    || self.is_any_port(NetProtocol::Udp, address)
                    || self.may(NetProtocol::Udp, NetDirection::Listen, address).is_some()
            }
            SocketAddrUse::UdpSend => {
                socket.peers.contains(&address) || self.may(NetProtocol::Udp, NetDirection::Connect, address).is_some()
            }
            // To connect is asked about like sending and then like receiving, so a guest can't name a peer here that it
            // may not send to. What others send is no denial of the guest's.
            SocketAddrUse::UdpReceive => {
                let Some((place, local)) = socket.grant else { return self.ask(&connect).is_ok() };
                let answered = self.net.get(place).is_some_and(|grant| grant.permits_answer(local, address.ip()));
                if answered && !socket.peers.contains(&address) {
                    socket.peers.truncate(PEERS - 1);
                    socket.peers.push_front(address);
                }
                true
            }
            _ => false,
        }
    }

    /// Whether this is the address that stands for "any" when a socket is going to connect.
    fn is_any_port(&self, protocol: NetProtocol, address: SocketAddr) -> bool {
        let connects = |grant: &NetGrant| grant.protocol == protocol && grant.direction == NetDirection::Connect;
        address.ip().is_unspecified() && address.port() == 0 && self.net.iter().any(connects)
    }

    fn ask(&self, ask: &NetAsk) -> Result<usize, NetDenial> {
        permits_net(&self.net, ask, &lock(&self.pinned))
    }

    /// Records what of a grant is used, where that is asked for.
    fn used(&self, place: usize, address: SocketAddr) {
        if let (true, Some(grant)) = (self.quota.audit.is_on(), self.net.get(place)) {
            let used = grant.used_as(address, &lock(&self.pinned));
            self.quota.audit.used(UseKind::Net, &grant.to_string(), || Some(used), false);
        }
    }

    /// The grant that permits this; where there is none, a denial.
    fn may(&self, protocol: NetProtocol, direction: NetDirection, address: SocketAddr) -> Option<usize> {
        let ask = NetAsk { protocol, direction, address };
        let denial = match self.ask(&ask) {
            Ok(place) => {
                self.used(place, address);
                return Some(place);
            }
            Err(denial) => denial,
        };
        let (asked, rule) = self.why(&ask.to_string(), &denial, "no `[[net]]` grants it");
        self.deny(Capability::Net, &asked, rule);
        None
    }

    /// What was asked with what kind of address it is, and the rule that decided.
    fn why(&self, asked: &str, denial: &NetDenial, nobody: &'static str) -> (String, Cow<'static, str>) {
        let (place, class) = match denial {
            NetDenial::NoGrant => return (asked.to_owned(), Cow::Borrowed(nobody)),
            NetDenial::Address(place, class) => (*place, class.name()),
        };
        let rule = match (self.net.get(place), self.lookup.get(place.saturating_sub(self.net.len()))) {
            (Some(grant), _) => format!("`allow-private` of `{grant}`"),
            (None, Some(grant)) => format!("`allow-private` of `lookup {}`", grant.name),
            (None, None) => nobody.to_owned(),
        };
        (format!("{asked}: its address is {class}"), Cow::Owned(rule))
    }

    /// Whether a name may be looked up and have this answer; where not, a denial.
    pub(super) fn may_look_up(&self, name: &str, answer: &[IpAddr]) -> bool {
        match permits_lookup(&self.net, &self.lookup, name, answer) {
            Ok(()) => {
                self.quota.audit.used(UseKind::Lookup, name, || None, false);
                true
            }
            Err(denial) => {
                let (asked, rule) = self.why(name, &denial, "no `[[lookup]]` and no `[[net]]` grants it");
                self.deny(Capability::Dns, &asked, rule);
                false
            }
        }
    }

    /// The answer that a name got before.
    pub(super) fn pinned(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        lock(&self.pinned).get(name)
    }

    pub(super) fn pin(&self, name: String, answer: Arc<[IpAddr]>) {
        lock(&self.pinned).insert(name, answer);
    }

    /// Counts a denial; where the policy says so, the guest is stopped for it.
    pub(super) fn deny(&self, capability: Capability, detail: &str, rule: impl Into<Cow<'static, str>>) {
        self.quota.denied_text_by(capability, detail, rule);
        if self.on_denied == OnDenied::Stop {
            let detail: String = crate::text::escape(detail).chars().take(200).collect();
            let message = format!("the guest used the network beyond what the policy grants ({detail})");
            let hint = "grant it with `--allow-net`, or let the guest go on with `on-denied = \"error\"`";
            let stop = Stop::new(StopReason::Denied(capability), message).with_hint(hint);
            lock(&self.stop).get_or_insert(stop);
        }
    }

    /// The stop that a denial asked for.
    pub(super) fn stopped(&self) -> Option<Stop> {
        lock(&self.stop).take()
    }
}
