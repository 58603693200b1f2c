//! `wasi:random`: random bytes from the operating system's generator, counted.
//!
//! Threat model: a guest asks for gigabytes to burn the host's memory and processor, so each byte counts against the
//! limit `random` and the count is taken before anything is allocated. Where that limit is switched off, one call still
//! gives no more than the guest's memory could hold. The insecure interfaces give the same secure
//! bytes: a weaker generator would be one more state that a guest could learn something from. In a deterministic run
//! all of them follow from the seed.

use rand::Rng as _;
use wasmtime::component::HasData;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::deterministic::Deterministic;
use crate::outcome::Stop;
use crate::policy::LimitKind;
use crate::quota::Quota;

/// What random needs: where to count.
pub(crate) struct RandomView<'a> {
    pub(crate) quota: &'a Quota,
    /// Where the bytes of a deterministic run come from.
    pub(crate) deterministic: Option<&'a Deterministic>,
}

/// Marks [`RandomView`] for the linker.
pub(crate) struct Random;

impl HasData for Random {
    type Data<'a> = RandomView<'a>;
}

impl RandomView<'_> {
    fn bytes(&self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.quota.random.try_take(len)?;
        let mut bytes = Vec::new();
        if len > self.most() || bytes.try_reserve_exact(usize::try_from(len)?).is_err() {
            let (now, most) = (self.quota.memory.now(), self.most());
            return Err(Stop::limit(LimitKind::Memory, most, now, Some(len)).into());
        }
        bytes.resize(usize::try_from(len)?, 0);
        self.fill(&mut bytes);
        Ok(bytes)
    }

    /// Bytes that can be handed over in one call: they end up in the guest's memory, whose addresses have 32 bits.
    fn most(&self) -> u64 {
        let memory = &self.quota.memory;
        memory.now().saturating_add(memory.left()).min(1 << 32)
    }

    fn word(&self) -> wasmtime::Result<u64> {
        self.quota.random.try_take(8)?;
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn fill(&self, bytes: &mut [u8]) {
        match self.deterministic {
            Some(run) => run.fill(bytes),
            None => rand::rng().fill_bytes(bytes),
        }
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
    use crate::policy::{Bytes, Limits, UNLIMITED};

    #[test]
    fn the_last_byte_is_given_and_the_one_after_it_stops() {
        let quota = Quota::new(&Limits { random: Bytes(32), ..Limits::default() });
        let mut view = RandomView { quota: &quota, deterministic: None };
        assert_eq!(random::Host::get_random_bytes(&mut view, 24).unwrap().len(), 24);
        assert!(insecure::Host::get_insecure_random_bytes(&mut view, 9).is_err());
        assert!(random::Host::get_random_u64(&mut view).is_ok());
        let error = insecure::Host::get_insecure_random_bytes(&mut view, 1).unwrap_err();
        assert_eq!(error.downcast_ref::<Stop>().unwrap().reason.code(), "limit.random");
        assert!(random::Host::get_random_bytes(&mut view, u64::MAX).is_err());
    }
    #[test]
    fn without_a_limit_one_call_gives_what_the_memory_holds_and_no_byte_more() {
        let run = |memory: u64, len: u64| {
            let quota = Quota::new(&Limits { random: Bytes(UNLIMITED), memory: Bytes(memory), ..Limits::default() });
            let mut view = RandomView { quota: &quota, deterministic: None };
            let got = random::Host::get_random_bytes(&mut view, len);
            got.map(|bytes| bytes.len()).map_err(|error| error.downcast_ref::<Stop>().unwrap().reason.code())
        };
        assert_eq!(run(5000, 5000), Ok(5000));
        assert_eq!(run(5000, 5001), Err("limit.memory"));
        assert_eq!(run(UNLIMITED, u64::MAX), Err("limit.memory"));
    }
}
