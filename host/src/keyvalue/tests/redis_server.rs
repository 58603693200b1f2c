//! A Redis server for one test: on a socket in a folder of its own, without a port, and gone with the test.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server that runs.
pub(crate) struct RedisServer {
    child: Child,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// Starts one, and returns when it can be used.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let child = spawn(&folder.path().join("socket"));
        Self { child, folder }
    }

    /// Its address, as a policy has it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("socket").display())
    }

    /// Ends it; its data is gone.
    pub(crate) fn stop(&mut self) {
        self.child.kill().expect("it can be ended");
        self.child.wait().expect("it ends");
    }

    /// Sends it a signal by its name: `STOP` makes it hang, `CONT` go on.
    #[allow(dead_code, reason = "one of the two test programs that have this file doesn't need it")]
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("`kill` can be started").success());
    }

    /// Starts it again, at the same address.
    #[allow(dead_code, reason = "one of the two test programs that have this file doesn't need it")]
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.folder.path().join("socket"));
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(socket: &PathBuf) -> Child {
    let folder = socket.parent().expect("the socket is in a folder");
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no", "--unixsocket"]);
    command.arg(socket).arg("--dir").arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("`redis-server` can't be started: {error}\nhint: install the Debian package `redis-server`")
    });
    let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains("eady to accept connections"));
    assert!(ready.is_some(), "`redis-server` ended before it was ready");
    // It goes on writing, and must never wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    child
}
