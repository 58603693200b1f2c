//! Peers on loopback, over TCP and UDP, that remember who came.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A server that sends back what it was sent.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Echo {
    pub(crate) fn new(ip: &str) -> Self {
        Self::serving(ip, |mut stream| {
            let mut bytes = Vec::new();
            drop(stream.read_to_end(&mut bytes));
            drop(stream.write_all(&bytes));
        })
    }

    /// A server that sends so many bytes.
    pub(super) fn source(bytes: usize) -> Self {
        Self::serving("127.0.0.1", move |mut stream| {
            drop(stream.write_all(&vec![b'x'; bytes]));
            drop(stream.shutdown(Shutdown::Write));
            drop(stream.read_to_end(&mut Vec::new()));
        })
    }

    /// A server that keeps connections open until the other side goes away.
    pub(super) fn holding() -> Self {
        Self::serving("127.0.0.1", |mut stream| drop(stream.read_to_end(&mut Vec::new())))
    }

    fn serving(ip: &str, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, SeqCst);
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, accepted }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

/// A server for datagrams that answers `echo` and what it was sent.
pub(super) struct Datagrams {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Datagrams {
    pub(super) fn new() -> Self {
        Self::answering(None)
    }

    /// Before it answers, somebody else writes to whoever asked.
    pub(super) fn meddling() -> Self {
        Self::answering(Some(UdpSocket::bind("127.0.0.1:0").unwrap()))
    }

    fn answering(stranger: Option<UdpSocket>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, seen) = (socket.local_addr().unwrap(), Arc::<Mutex<Vec<Vec<u8>>>>::default());
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                record.lock().unwrap().push(buffer[..length].to_vec());
                if let Some(stranger) = &stranger {
                    drop(stranger.send_to(b"from a stranger", from));
                }
                drop(socket.send_to(&[b"echo ", &buffer[..length]].concat(), from));
            }
        });
        Self { address, seen }
    }

    /// All that came. What was sent over loopback is there once the sender is done.
    pub(super) fn all(&self) -> Vec<Vec<u8>> {
        // A datagram of our own shows that all before it have been looked at.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"the end", self.address).unwrap();
        socket.recv_from(&mut [0; 64]).unwrap();
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.retain(|datagram| datagram != b"the end");
        seen
    }
}

/// An address that a guest tells where it listens, and somebody who then goes there and says what came back.
pub(super) fn announced() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let mut place = String::new();
        listener.accept().unwrap().0.read_to_string(&mut place).unwrap();
        let mut stream = TcpStream::connect(place).unwrap();
        stream.write_all(b"are you there?").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        back
    });
    (address, client)
}

/// A port at which nobody is.
pub(super) fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks at a port, again and again, until there is an answer.
pub(super) fn ask_until_answered(port: u16) -> JoinHandle<String> {
    std::thread::spawn(move || asking(port, &AtomicBool::new(false)).unwrap())
}

/// Somebody who asks until told to stop.
pub(super) struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<String>>,
}

pub(super) fn ask_until(port: u16) -> Asking {
    let stop = Arc::<AtomicBool>::default();
    let told = Arc::clone(&stop);
    Asking { stop, thread: std::thread::spawn(move || asking(port, &told)) }
}

impl Asking {
    pub(super) fn stop(self) {
        self.stop.store(true, SeqCst);
        self.thread.join().unwrap();
    }
}

fn asking(port: u16, stop: &AtomicBool) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // An answer ends the wait at once; without one it is time to ask again.
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 64];
    while !stop.load(SeqCst) {
        drop(socket.send_to(b"question", ("127.0.0.1", port)));
        if let Ok(length) = socket.recv(&mut buffer) {
            return Some(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    }
    None
}
