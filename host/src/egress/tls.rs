//! TLS as a client: whom to trust, and the name that a certificate has to be for.
//!
//! The system's authorities are trusted, and those of a file that the operator names beside them. Sessions are never
//! resumed, since a session belongs to whoever opened it and a store of them knows no tenants. There are no client
//! certificates, and no way to switch verification off.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use crate::policy::HostName;

/// Which set of authorities is trusted, as a digest.
pub(crate) type TrustId = [u8; 32];

/// Bytes of a file with certificates that are read.
const MAX_FILE: u64 = 4 << 20;

/// Configurations that are kept; past that all are made anew.
const MAX_CLIENTS: usize = 64;

/// The authorities that are trusted beside the system's.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    id: TrustId,
    extra: Arc<[CertificateDer<'static>]>,
}

/// One TLS configuration for each set of authorities.
#[derive(Default)]
pub(super) struct Clients {
    system: Arc<OnceLock<Vec<CertificateDer<'static>>>>,
    clients: Mutex<HashMap<TrustId, Arc<ClientConfig>>>,
}

impl Trust {
    /// Reads files of certificates in PEM.
    ///
    /// # Errors
    /// A message: a file that can't be read, or that has no certificate in it.
    pub(crate) fn read<'p>(files: impl IntoIterator<Item = &'p Path>) -> Result<Self, String> {
        let (mut extra, mut digest) = (Vec::new(), Sha256::new());
        for path in files {
            let file = std::fs::File::open(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            let mut pem = Vec::new();
            file.take(MAX_FILE).read_to_end(&mut pem).map_err(|error| format!("`{}`: {error}", path.display()))?;
            let before = extra.len();
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|_| format!("`{}` is broken", path.display()))?;
                RootCertStore::empty()
                    .add(certificate.clone())
                    .map_err(|_| format!("`{}` has a certificate that no authority could have", path.display()))?;
                digest.update(&certificate);
                extra.push(certificate);
            }
            if extra.len() == before {
                return Err(format!("`{}` has no certificate in it", path.display()));
            }
        }
        Ok(Self { id: digest.finalize().into(), extra: extra.into() })
    }

    pub(super) fn id(&self) -> TrustId {
        self.id
    }
}

impl Clients {
    pub(super) async fn connect(
        &self,
        trust: &Trust,
        host: &HostName,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let name = match host {
            HostName::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::TlsCertificateError)?,
            HostName::Address(address) => ServerName::from(*address),
        };
        let config = self.client(trust).await?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| tls_error(&error))
    }

    async fn client(&self, trust: &Trust) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&trust.id) {
            return Ok(Arc::clone(config));
        }
        let (system, extra) = (Arc::clone(&self.system), Arc::clone(&trust.extra));
        // The system's certificates are hundreds of files.
        let made = tokio::task::spawn_blocking(move || {
            let mut roots = RootCertStore::empty();
            let system = system.get_or_init(|| rustls_native_certs::load_native_certs().certs);
            roots.add_parsable_certificates(system.iter().cloned());
            roots.add_parsable_certificates(extra.iter().cloned());
            config(roots)
        });
        let config = made.await.ok().and_then(Result::ok).ok_or(Error::ConfigurationError)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(trust.id, Arc::clone(&config));
        Ok(config)
    }
}

fn config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn tls_error(error: &std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: None }
        }
        Some(_) => Error::TlsProtocolError,
        None => Error::ConnectionTerminated,
    }
}
