//! `wasi:random`: random bytes from the operating system's generator, counted.
//!
//! Threat model: a guest asks for gigabytes to burn the host's memory and processor, so each byte counts against the
//! limit `random` and the count is taken before anything is allocated. The insecure interfaces give the same secure
//! bytes: a weaker generator would be one more state that a guest could learn something from.

use rand::{Rng as _, RngExt as _};
use wasmtime::component::HasData;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::quota::Quota;

/// What random needs: where to count.
pub(crate) struct RandomView<'a> {
    pub(crate) quota: &'a Quota,
}

/// Marks [`RandomView`] for the linker.
pub(crate) struct Random;

impl HasData for Random {
    type Data<'a> = RandomView<'a>;
}

impl RandomView<'_> {
    fn bytes(&self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.quota.random.try_take(len)?;
        let mut bytes = vec![0; usize::try_from(len)?];
        rand::rng().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn word(&self) -> wasmtime::Result<u64> {
        self.quota.random.try_take(8)?;
        Ok(rand::rng().random())
    }
}

impl random::Host for RandomView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.word()
    }
}

impl insecure::Host for RandomView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.word()
    }
}

impl insecure_seed::Host for RandomView<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.word()?, self.word()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Stop;
    use crate::policy::{Bytes, Limits};

    #[test]
    fn the_last_byte_is_given_and_the_one_after_it_stops() {
        let quota = Quota::new(&Limits { random: Bytes(32), ..Limits::default() });
        let mut view = RandomView { quota: &quota };
        assert_eq!(random::Host::get_random_bytes(&mut view, 24).unwrap().len(), 24);
        assert!(insecure::Host::get_insecure_random_bytes(&mut view, 9).is_err());
        assert!(random::Host::get_random_u64(&mut view).is_ok());
        let error = insecure::Host::get_insecure_random_bytes(&mut view, 1).unwrap_err();
        assert_eq!(error.downcast_ref::<Stop>().unwrap().reason.code(), "limit.random");
        assert!(random::Host::get_random_bytes(&mut view, u64::MAX).is_err());
    }
}
