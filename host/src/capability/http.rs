//! `wasi:http` for requests to the outside: only what the policy grants, over connections that the host makes itself.
//!
//! Threat model: a guest reaches what it wasn't granted, by writing a target that the check and the server read in two
//! ways, by a name that resolves to the operator's own network, by a header that redirects the message (`Host`, those
//! of the connection, those that change the method), or by following a redirect. It gets hold of a secret that it may
//! only use. It uses up the host: requests, connections, headers and bodies without end, in either direction, or a
//! server of its own that never answers. And it writes what it likes into the operator's receipt.
//!
//! So a target is read strictly and compared with the grants; the name is resolved once, every address is checked, and
//! the connection is made to a checked one; the message is put together anew from what was checked. Redirects are
//! handed to the guest, whose next request is checked like any other. Amounts stop the guest at their limit, denials
//! and time-outs are errors of the interface. A body is never scanned: a server that sends a secret back in a body
//! gives it to the guest, and what a guest may send it can send anything in.
//!
//! The types of `wasi:http` are wasmtime-wasi-http's own; this file decides about the requests. It has no trait of its
//! own, since the generated one for the handler would need those of all the types on the same view.

mod body;
mod outgoing;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::{self, FutureIncomingResponse, OutgoingRequest};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, RequestOptions};
use wasmtime_wasi_http::{Error, WasiHttpCtx, WasiHttpCtxView};

use self::outgoing::{Hooks, Outgoing};
use crate::egress::{Egress, Secret, Trust};
use crate::outcome::{Refusal, Stop};
use crate::policy::{HttpIndex, Policy};
use crate::quota::Quota;
use crate::scheduler::Clock;

/// Bytes that one set of header fields takes in the host. The host keeps as many sets as there are handles.
const FIELDS: u64 = 32 * 1024;

/// What one invocation has for HTTP.
pub(crate) struct HttpContext {
    fields: WasiHttpCtx,
    hooks: Hooks,
}

/// What HTTP needs: its context, and the table of resources.
pub(crate) struct HttpView<'a> {
    pub(crate) context: &'a mut HttpContext,
    pub(crate) table: &'a mut ResourceTable,
}

impl HttpContext {
    /// Reads what the policy names: certificates and secrets.
    ///
    /// # Errors
    /// `refused.grant`, with no value in it.
    pub(crate) fn open(
        policy: &Arc<Policy>,
        index: &Arc<HttpIndex>,
        tenant: &str,
        egress: &Arc<Egress>,
        quota: &Arc<Quota>,
        clock: &Arc<Clock>,
    ) -> Result<Self, Stop> {
        let grants = &policy.grants;
        let refused = |message: String| {
            let hint = "what a policy names for HTTP must be there when an invocation begins";
            Stop::refused(Refusal::Grant, message, hint)
        };
        let trust = |own: Option<&Path>| {
            let files = grants.tls_ca.as_deref().into_iter().chain(own);
            Trust::read(files).map_err(|message| refused(format!("failed to read certificates: {message}")))
        };
        let mut trusted = HashMap::new();
        for ca in grants.http.iter().map(|grant| &grant.ca) {
            if !trusted.contains_key(ca) {
                trusted.insert(ca.clone(), trust(ca.as_deref())?);
            }
        }
        let secrets: Result<_, _> = grants.secret.iter().map(Secret::read).collect();
        let mut fields = WasiHttpCtx::new();
        let most = policy.limits.http_headers.0.min(FIELDS);
        fields.set_field_size_limit(usize::try_from(most).unwrap_or(usize::MAX));
        let outgoing = Outgoing {
            policy: Arc::clone(policy),
            index: Arc::clone(index),
            trust: trusted,
            secrets: secrets.map_err(refused)?,
            timeout: policy.limits.http_timeout.0,
            tenant: Arc::from(tenant),
            egress: Arc::clone(egress),
            quota: Arc::clone(quota),
            clock: Arc::clone(clock),
        };
        Ok(Self { fields, hooks: Hooks::new(outgoing) })
    }
}

impl<'a> HttpView<'a> {
    /// The view of wasmtime-wasi-http, which asks our hooks.
    pub(crate) fn types(self) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.context.fields, hooks: &mut self.context.hooks, table: self.table }
    }

    /// `wasi:http/outgoing-handler.handle`. The outer error is a trap.
    pub(crate) fn handle(
        self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<FutureIncomingResponse>, ErrorCode>> {
        let mut view = HttpView { context: &mut *self.context, table: self.table }.types();
        let handled = outgoing_handler::Host::handle(&mut view, request, options);
        match (self.context.hooks.stopped(), handled) {
            (Some(stop), _) => Err(stop.into()),
            (None, Ok(response)) => Ok(Ok(response)),
            (None, Err(error)) => Ok(Err(error.downcast()?)),
        }
    }

    /// `wasi:http/types.http-error-code`, which says what an error of a stream means for HTTP. wasmtime-wasi-http's own
    /// knows its error codes and not the errors that bodies end with.
    pub(crate) fn error_code(self, error: &Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(error)?;
        let known = error.downcast_ref::<Error>().map(|error| match error {
            Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
            Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
            Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
            Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
            _ => ErrorCode::HttpProtocolError,
        });
        Ok(known.or_else(|| error.downcast_ref::<ErrorCode>().cloned()))
    }
}
