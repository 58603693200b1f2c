//! The server that attacks on HTTP ask: what it answers is in the path, and it keeps the head of all that reached it.
//!
//! A path is `/ATTACK/ANSWER`, where the answer is `empty`, `body/N` for so many bytes, `headers` for 16 KiB of headers,
//! `swallow` after the request's body is at its end, `hold` for none at all, or `secret` for an empty one that is an
//! error unless the request had the secret. It is no server for anything else: it speaks HTTP/1.1 to a client that is
//! ours, one request after the other on each connection, and never parses more than it needs.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes of a request's head that are read; a guest can send no more than that.
const MAX_HEAD: u64 = 4 << 20;

/// The length of each header of the many, in bytes.
const HEADER: usize = 1024;

/// A server on a port of its own. It ends with the process.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Starts it, with the word that a request for `secret` must bring.
    pub(super) fn start(canary: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (kept, canary) = (Arc::clone(&heads), canary.to_owned());
        std::thread::Builder::new().name("peer".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heads, canary) = (Arc::clone(&kept), canary.clone());
                // A connection that can't be served is closed, which the guest sees as an error and its attack as a
                // failure; one that breaks has ended.
                let _ = std::thread::Builder::new().spawn(move || serve(stream, &heads, &canary));
            }
        })?;
        Ok(Self { address, heads })
    }

    /// The heads of all requests of one attack.
    pub(super) fn heads(&self, attack: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = format!(" /{attack}/");
        heads.iter().filter(|head| head.lines().next().is_some_and(|line| line.contains(&mine))).cloned().collect()
    }
}

fn serve(stream: TcpStream, heads: &Mutex<Vec<String>>, canary: &str) -> io::Result<()> {
    // Answers go out whole, or the other side would wait for the rest of each.
    stream.set_nodelay(true)?;
    let mut writer = BufWriter::new(stream.try_clone()?);
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader)? {
        heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let answer = path.splitn(3, '/').nth(2).unwrap_or_default();
        match answer.rsplit_once('/').unwrap_or(("", answer)) {
            (_, "swallow") => {
                swallow(&mut reader, &head)?;
                respond(&mut writer, "200 OK", "", 0)?;
            }
            (_, "hold") => {
                // Until the other side goes away.
                io::copy(&mut reader, &mut io::sink())?;
            }
            (_, "headers") => {
                let line = format!("x: {:a<1$}\r\n", "", HEADER - 5);
                respond(&mut writer, "200 OK", &line.repeat(16), 0)?;
            }
            (_, "secret") if !head.contains(canary) => respond(&mut writer, "403 Forbidden", "", 0)?,
            ("body", length) => respond(&mut writer, "200 OK", "", length.parse().unwrap_or(0))?,
            _ => respond(&mut writer, "200 OK", "", 0)?,
        }
    }
    Ok(())
}

/// The head of the next request, or nothing at the end.
fn head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut limited = reader.by_ref().take(MAX_HEAD);
    while limited.read_until(b'\n', &mut head)? > 0 {
        if head.ends_with(b"\r\n\r\n") {
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
    }
    Ok(None)
}

/// Reads the body of a request as its head describes it, and no further.
fn swallow(reader: &mut BufReader<TcpStream>, head: &str) -> io::Result<()> {
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    if let Some(length) = length.and_then(|length| length.trim().parse().ok()) {
        io::copy(&mut reader.take(length), &mut io::sink())?;
        return Ok(());
    }
    if !lower.contains("\r\ntransfer-encoding: chunked\r\n") {
        return Ok(());
    }
    loop {
        let mut line = String::new();
        reader.by_ref().take(64).read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        // Each chunk has a line end after it, and so has the last, which is empty.
        io::copy(&mut reader.by_ref().take(size + 2), &mut io::sink())?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn respond(writer: &mut impl Write, status: &str, headers: &str, length: u64) -> io::Result<()> {
    write!(writer, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n")?;
    io::copy(&mut io::repeat(0).take(length), writer)?;
    writer.flush()
}
