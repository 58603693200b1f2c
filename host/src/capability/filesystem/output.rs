//! A stream into a file of a directory with a quota. Each write waits for its turn, and fails as on a full disk where there
//! is no room.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn, spawn_blocking};

use super::account::{Budget, Over, length};
use super::{deny, full};
use crate::policy::OnDenied;
use crate::quota::Quota;

/// Bytes that are written at once.
const PIECE: usize = 64 * 1024;

pub(super) struct Output {
    pub(super) file: Arc<File>,
    pub(super) budget: Budget,
    /// Where the next byte goes; none for the end of the file.
    pub(super) at: Option<u64>,
    pub(super) quota: Arc<Quota>,
    pub(super) on_denied: OnDenied,
    pub(super) state: State,
}

pub(super) enum State {
    Ready,
    Busy(AbortOnDropJoinHandle<Result<u64, Failed>>),
    Failed(Failed),
    Closed,
}

pub(super) enum Failed {
    Over(Over),
    Io(io::Error),
}

async fn write(file: Arc<File>, budget: Budget, at: Option<u64>, bytes: Bytes) -> Result<u64, Failed> {
    let turn = budget.begin().await.map_err(Failed::Over)?;
    let start = at.unwrap_or_else(|| length(&file));
    let end = start.saturating_add(bytes.len() as u64);
    let growth = turn.grow(&file, end).map_err(Failed::Over)?;
    let written = spawn_blocking(move || file.write_all_at(&bytes, start)).await;
    growth.settle();
    written.map(|()| end).map_err(Failed::Io)
}

impl Output {
    async fn settle(&mut self) {
        if let State::Busy(task) = &mut self.state {
            self.state = match task.await {
                Ok(end) => {
                    self.at = self.at.map(|_| end);
                    State::Ready
                }
                Err(failed) => State::Failed(failed),
            };
        }
    }

    /// What went wrong, once.
    fn error(&mut self) -> Option<StreamError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Failed(Failed::Io(error)) => Some(StreamError::LastOperationFailed(error.into())),
            State::Failed(Failed::Over(over)) => Some(match deny(&self.quota, self.on_denied, &over) {
                Ok(()) => StreamError::LastOperationFailed(full().into()),
                Err(stop) => StreamError::Trap(stop.into()),
            }),
            State::Closed => Some(StreamError::Closed),
            state => {
                self.state = state;
                None
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        self.settle().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Output {
    fn check_write(&mut self) -> StreamResult<usize> {
        match (self.error(), &self.state) {
            (Some(error), _) => Err(error),
            (None, State::Ready) => Ok(PIECE),
            (None, _) => Ok(0),
        }
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        if !matches!(self.state, State::Ready) || bytes.len() > PIECE {
            return Err(StreamError::Trap(wasmtime::format_err!("a write that `check-write` didn't permit")));
        }
        self.state = State::Busy(spawn(write(Arc::clone(&self.file), self.budget.clone(), self.at, bytes)));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.error().map_or(Ok(()), Err)
    }

    async fn cancel(&mut self) {
        self.settle().await;
    }
}
