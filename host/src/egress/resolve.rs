//! From a name to addresses, once for each request.

use std::io;
use std::net::IpAddr;

/// Finds the addresses of a host name. What it answers is checked against the policy, and connected to as it is.
#[async_trait::async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a name, in the order in which they are to be tried.
    ///
    /// # Errors
    /// The name can't be resolved; why is not told to the guest.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver. A look-up runs on a blocking thread and can't be stopped once it has begun.
pub struct SystemResolver;

#[async_trait::async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}
