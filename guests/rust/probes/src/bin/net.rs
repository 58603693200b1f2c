//! `net STEP...`: uses sockets, one step after another, and prints what came of each. Status 1 if one failed.
//!
//! Steps: `tcp=ADDRESS` (connects, sends `hello`, ends its side, and prints all that comes back), `names=NAME` (looks up
//! and prints), `keep=ADDRESS` (connects and keeps it open), `listen=ADDRESS` (listens and keeps it), `serve=ADDRESS` (tells
//! this address over TCP where the last `listen` is, and sends back what the next connection says), `bind=ADDRESS` (a UDP
//! socket), `send=ADDRESS` and `send=ADDRESS,BYTES` (from the last one), `connect=ADDRESS` (the last one),
//! `receive` (from the last one; ends at the invocation's deadline), `answer` (to whom that came from),
//! `flood=ADDRESS,BYTES` (over TCP), `drain=ADDRESS` (reads to the end and prints how much that was).

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use probes::{exit, fail, flood};

#[derive(Default)]
struct Open {
    streams: Vec<TcpStream>,
    listeners: Vec<TcpListener>,
    sockets: Vec<UdpSocket>,
    from: Option<SocketAddr>,
}

impl Open {
    fn step(&mut self, name: &str, value: &str) -> io::Result<String> {
        match name {
            "tcp" => {
                let mut stream = TcpStream::connect(value)?;
                stream.write_all(b"hello")?;
                stream.shutdown(Shutdown::Write)?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                Ok(text)
            }
            "names" => {
                let addresses = (value, 0).to_socket_addrs()?.map(|address| address.ip().to_string());
                Ok(addresses.collect::<Vec<_>>().join(" "))
            }
            "keep" => {
                self.streams.push(TcpStream::connect(value)?);
                Ok("open".to_owned())
            }
            "listen" => {
                let listener = TcpListener::bind(value)?;
                let address = listener.local_addr()?;
                self.listeners.push(listener);
                Ok(format!("on {}", address.ip()))
            }
            "serve" => {
                let listener = self.listeners.last().ok_or(io::ErrorKind::NotConnected)?;
                TcpStream::connect(value)?.write_all(listener.local_addr()?.to_string().as_bytes())?;
                let (mut stream, _) = listener.accept()?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                stream.write_all(text.as_bytes())?;
                self.streams.push(stream);
                Ok(text)
            }
            "bind" => {
                let socket = UdpSocket::bind(value)?;
                let address = socket.local_addr()?;
                self.sockets.push(socket);
                Ok(format!("on {}", address.ip()))
            }
            "flood" => {
                let (address, bytes) = pair(value);
                let mut stream = TcpStream::connect(address)?;
                flood(&mut stream, Some(bytes)).map_err(|(_, error)| error)?;
                Ok(bytes.to_string())
            }
            "drain" => {
                let bytes = io::copy(&mut TcpStream::connect(value)?, &mut io::sink())?;
                Ok(bytes.to_string())
            }
            _ => self.datagrams(name, value),
        }
    }

    fn datagrams(&mut self, name: &str, value: &str) -> io::Result<String> {
        let socket = self.sockets.last().ok_or(io::ErrorKind::NotConnected)?;
        match name {
            "send" => {
                let (address, bytes) = pair(value);
                let text = "x".repeat(usize::try_from(bytes).unwrap_or(usize::MAX));
                socket.send_to(if text.is_empty() { "hello" } else { &text }.as_bytes(), address)?;
                Ok("sent".to_owned())
            }
            "connect" => {
                socket.connect(value)?;
                socket.send(b"hello")?;
                Ok("sent".to_owned())
            }
            "receive" => {
                let mut buffer = vec![0; 65_536];
                let (length, from) = socket.recv_from(&mut buffer)?;
                self.from = Some(from);
                Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
            }
            "answer" => {
                socket.send_to(b"answer", self.from.ok_or(io::ErrorKind::NotConnected)?)?;
                Ok("sent".to_owned())
            }
            other => fail(2, format_args!("there is no step `{other}`")),
        }
    }
}

fn pair(value: &str) -> (&str, u64) {
    let Some((address, bytes)) = value.split_once(',') else { return (value, 0) };
    (address, bytes.parse().unwrap_or_else(|error| fail(2, format_args!("`{bytes}`: {error}"))))
}

fn main() {
    let mut open = Open::default();
    let mut failed = false;
    for step in std::env::args().skip(1) {
        let (name, value) = step.split_once('=').unwrap_or((&step, ""));
        match open.step(name, value) {
            Ok(text) => println!("{name}: {text}"),
            Err(error) => {
                println!("{name} error: {error}");
                failed = true;
            }
        }
    }
    if failed {
        exit(1)
    }
}
