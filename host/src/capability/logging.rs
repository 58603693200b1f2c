//! `sandbox:host/log` and `wasi:logging/logging`: messages for the operator, onto `tracing`.
//!
//! Threat model: the guest wants its text to look like the host's, to move the reader's terminal cursor, or to fill
//! the disk. So control characters, line ends and direction overrides are escaped, the record is marked as the
//! guest's with its tenant, and every byte counts against the limit `output`; a guest that is faster than
//! `output-rate` waits. The level is the guest's own opinion.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use wasmtime::component::HasData;

use crate::bindings::sandbox::host::log;
use crate::bindings::wasi::logging::logging;
use crate::quota::Quota;
use crate::text::escape;

/// Bytes that each message counts for what the host writes around it.
const LINE: u64 = 64;

/// What logging needs: where to count, and whose message it is.
pub(crate) struct LoggingView<'a> {
    pub(crate) quota: &'a Quota,
    pub(crate) tenant: &'a str,
}

/// Marks [`LoggingView`] for the linker.
pub(crate) struct Logging;

impl HasData for Logging {
    type Data<'a> = LoggingView<'a>;
}

impl LoggingView<'_> {
    /// Counts and emits one message, once there is room in the second that passes.
    pub(crate) async fn emit(&mut self, level: log::Level, context: &str, message: &str) -> wasmtime::Result<()> {
        let (context, message) = (escape(context), escape(message));
        // What is written counts and not what was sent: escaping makes text longer, and an empty message is a line too.
        let bytes = LINE.saturating_add(context.len() as u64).saturating_add(message.len() as u64);
        while let Err(wait) = self.quota.rate.room() {
            tokio::time::sleep(Duration::from_nanos(wait)).await;
        }
        self.quota.output.try_take(bytes)?;
        self.quota.rate.took(bytes);
        self.quota.log_bytes.fetch_add(bytes, Relaxed);
        // Quoted here, since the subscriber's own quoting would escape it a second time.
        let context = tracing::field::display(format!("\"{}\"", context.replace('"', "\\\"")));
        let tenant = self.tenant;
        match level {
            log::Level::Trace => tracing::trace!(target: "guest", tenant, context, "{message}"),
            log::Level::Debug => tracing::debug!(target: "guest", tenant, context, "{message}"),
            log::Level::Info => tracing::info!(target: "guest", tenant, context, "{message}"),
            log::Level::Warn => tracing::warn!(target: "guest", tenant, context, "{message}"),
            log::Level::Error => tracing::error!(target: "guest", tenant, context, "{message}"),
            log::Level::Critical => {
                tracing::error!(target: "guest", tenant, context, critical = true, "{message}");
            }
        }
        Ok(())
    }
}

impl log::Host for LoggingView<'_> {
    async fn log(&mut self, level: log::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.emit(level, &context, &message).await
    }
}

impl logging::Host for LoggingView<'_> {
    async fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace => log::Level::Trace,
            logging::Level::Debug => log::Level::Debug,
            logging::Level::Info => log::Level::Info,
            logging::Level::Warn => log::Level::Warn,
            logging::Level::Error => log::Level::Error,
            logging::Level::Critical => log::Level::Critical,
        };
        self.emit(level, &context, &message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Stop;
    use crate::policy::{Bytes, Limits};

    fn emit(view: &mut LoggingView<'_>, context: &str, message: &str) -> wasmtime::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(view.emit(log::Level::Info, context, message))
    }

    #[test]
    fn every_byte_of_a_message_counts_as_output() {
        let quota = Quota::new(&Limits { output: Bytes(2 * LINE + 11), ..Limits::default() });
        let mut view = LoggingView { quota: &quota, tenant: "t" };
        assert!(emit(&mut view, "12345", "67890").is_ok());
        // A line feed is written as two characters.
        assert!(emit(&mut view, "", "\n").is_err());
        assert!(emit(&mut view, "", "1").is_ok());
        let error = emit(&mut view, "", "").unwrap_err();
        assert_eq!(error.downcast_ref::<Stop>().unwrap().reason.code(), "limit.output");
        assert_eq!(quota.log_bytes.load(Relaxed), 2 * LINE + 11);
    }
}
