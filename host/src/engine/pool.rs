//! Places for instances that are made beforehand: memories, tables and stacks that are used again and again.
//!
//! What an instance leaves behind is reset before the next one has the place, by copying over the pages that it
//! touched. Finding those by a scan is quicker still, and safe only where no page can be swapped out meanwhile: the scan
//! of this engine's version misses dirty pages that aren't in memory, and the next tenant would find them.

use wasmtime::{Enabled, Engine, PoolingAllocationConfig};

/// Places for instances, sized by how many there are at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    instances: u32,
    memory: u64,
}

/// Bytes of address space for each memory: with less the code would have to check every access.
const MEMORY: u64 = 4 << 30;

/// Places for each instance, on average and at most. A Rust guest has 3 to 5 core instances, one memory and two tables,
/// a CPython guest 38 core instances.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 2;
const TABLES: u32 = 8;
const MAX_CORE_INSTANCES: u32 = 1024;
const MAX_MEMORIES: u32 = 16;
const MAX_TABLES: u32 = 256;

/// Elements of one table: as many as the largest language runtimes declare, twice over.
const TABLE_ELEMENTS: usize = 20_000;

/// Bytes that stay with a place when its instance is gone: with the scan, and without it, when all of them are written
/// each time.
const RESIDENT_SCANNED: usize = 1 << 20;
const RESIDENT: usize = 64 << 10;

impl Pool {
    /// Places for so many instances at once.
    pub fn new(instances: u32) -> Self {
        Self { instances: instances.max(1), memory: MEMORY }
    }

    /// Bytes that one memory may have, 4 GiB unless said. A component that begins with more is refused; one that grows
    /// past it can't.
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: bytes.clamp(1 << 16, MEMORY), ..self }
    }

    /// How many instances there are places for.
    pub(crate) fn instances(self) -> u64 {
        u64::from(self.instances)
    }

    /// The engine's own settings for it.
    pub(super) fn config(self) -> PoolingAllocationConfig {
        let mut config = PoolingAllocationConfig::default();
        let (scan, resident) = match may_swap() {
            true => (Enabled::No, RESIDENT),
            false => (Enabled::Auto, RESIDENT_SCANNED),
        };
        config
            .total_component_instances(self.instances)
            .total_core_instances(self.instances.saturating_mul(CORE_INSTANCES))
            .total_memories(self.instances.saturating_mul(MEMORIES))
            .total_tables(self.instances.saturating_mul(TABLES))
            .total_stacks(self.instances)
            .max_core_instances_per_component(MAX_CORE_INSTANCES)
            .max_memories_per_component(MAX_MEMORIES)
            .max_tables_per_component(MAX_TABLES)
            .max_memory_size(usize::try_from(self.memory).unwrap_or(usize::MAX))
            .table_elements(TABLE_ELEMENTS)
            .linear_memory_keep_resident(resident)
            .table_keep_resident(resident)
            .async_stack_keep_resident(RESIDENT)
            .pagemap_scan(scan);
        config
    }

    /// What a log should say of it.
    pub(super) fn describe(self) -> String {
        let how = if may_swap() {
            "a page may be swapped out, so pages are reset without a scan"
        } else {
            "nothing can be swapped out, so pages are found by a scan"
        };
        format!("places for {} instances; {how}", self.instances)
    }
}

/// Whether an engine has a pool, which bounds what it loads.
pub(crate) fn is_pooled(engine: &Engine) -> bool {
    engine.pooling_allocator_metrics().is_some()
}

/// Whether a page of this process can leave memory. Where that can't be found out it is taken to be so.
fn may_swap() -> bool {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let no_device = read("/proc/swaps").is_some_and(|swaps| no_devices(&swaps));
    let not_for_us = read("/sys/fs/cgroup/memory.swap.max").is_some_and(|max| max.trim() == "0");
    !(no_device || not_for_us)
}

/// Whether the system's list has nothing but its headline.
fn no_devices(swaps: &str) -> bool {
    swaps.starts_with("Filename") && swaps.lines().skip(1).all(|line| line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_devices_means_that_nothing_is_swapped() {
        assert!(no_devices("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"));
        assert!(!no_devices("Filename Type\n/dev/sda2 partition 1 0 -2\n"));
        assert!(!no_devices(""));
    }

    #[test]
    fn a_pool_has_room_for_at_least_one_and_memories_of_a_page() {
        let pool = Pool::new(0).memory(1);
        assert_eq!((pool.instances, pool.memory), (1, 65_536));
        assert_eq!(Pool::new(5).memory(u64::MAX).memory, MEMORY);
    }
}
