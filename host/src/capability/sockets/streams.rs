//! The two streams of a TCP connection, with every byte counted against the limit `net-bytes`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::outcome::Stop;
use crate::quota::Quota;

/// A stream of a connection.
pub(super) struct Counted<S> {
    pub(super) inner: S,
    pub(super) quota: Arc<Quota>,
}

/// Takes bytes that were sent or received, or says what stops the guest.
pub(super) fn take(quota: &Quota, bytes: u64, direction: impl Fn(&Quota) -> &AtomicU64) -> Result<(), Stop> {
    quota.net_bytes.try_take(bytes)?;
    direction(quota).fetch_add(bytes, Relaxed);
    Ok(())
}

#[async_trait::async_trait]
impl<S: Pollable> Pollable for Counted<S> {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

// What the traits do beyond these calls, they do by these calls.
#[async_trait::async_trait]
impl InputStream for Counted<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.read(size)?;
        take(&self.quota, bytes.len() as u64, |quota| &quota.net_received_bytes)
            .map_err(|stop| StreamError::Trap(stop.into()))?;
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Counted<DynOutputStream> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        take(&self.quota, bytes.len() as u64, |quota| &quota.net_sent_bytes)
            .map_err(|stop| StreamError::Trap(stop.into()))?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
