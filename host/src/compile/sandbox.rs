//! What a compiling process gives up before it reads a byte of a component.
//!
//! Memory, processor time, files and core dumps are bounded by the operating system. On Linux the process also loses
//! every file by path (landlock, where the kernel has it) and every system call but those that computing with threads
//! and pipes needs (seccomp): there is no socket, no open, no exec and no way to look at other processes. A kernel
//! without landlock is no error, since seccomp refuses every open by itself; one without seccomp is.

use super::CompileLimits;
use crate::policy::UNLIMITED;

/// Gives all of it up, for this thread and those that it starts.
pub(super) fn enter(limits: &CompileLimits) -> Result<(), String> {
    bounds(limits).map_err(|error| format!("limits: {error}"))?;
    #[cfg(target_os = "linux")]
    linux::close_all_but_the_pipes()?;
    #[cfg(target_os = "linux")]
    linux::lock_in()?;
    Ok(())
}

fn bounds(limits: &CompileLimits) -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let set = |resource, soft: u64, hard: u64| {
        // A bound that this process was given already can't be raised.
        let given = getrlimit(resource).maximum.unwrap_or(UNLIMITED);
        let some = |value: u64| Some(value.min(given)).filter(|value| *value != UNLIMITED);
        setrlimit(resource, Rlimit { current: some(soft), maximum: some(hard) })
    };
    // What is written to, whether by the heap or by stacks. The address space isn't bounded: reserving it costs nothing.
    set(Resource::Data, limits.memory, limits.memory)?;
    // The first is a signal that says so, the second one that can't be caught.
    let seconds = match limits.cpu_ns {
        UNLIMITED => UNLIMITED,
        nanos => nanos.div_ceil(1_000_000_000).max(1),
    };
    set(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    /// What computing with threads, pipes and memory needs. Everything else fails with `EPERM`.
    const CALLS: &[libc::c_long] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    /// A parent may have been careless with what its children inherit.
    pub(super) fn close_all_but_the_pipes() -> Result<(), String> {
        #[expect(unsafe_code, reason = "there is no safe way to close what one doesn't own")]
        // SAFETY: this is the first that this process does, and nothing in it has opened a file yet.
        let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
        match closed {
            0 => Ok(()),
            _ => Err(format!("inherited files: {}", std::io::Error::last_os_error())),
        }
    }

    pub(super) fn lock_in() -> Result<(), String> {
        // The parent may be killed, and nobody would wait for this process any more.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|error| format!("parent's death: {error}"))?;
        landlock().map_err(|error| format!("landlock: {error}"))?;
        for filter in [no_clone3(), filter()] {
            let filter = filter.map_err(|error| format!("seccomp: {error}"))?;
            seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))?;
        }
        Ok(())
    }

    /// No rule is added, so nothing is allowed of all that the kernel knows to forbid.
    fn landlock() -> Result<(), landlock::RulesetError> {
        let abi = ABI::V5;
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .create()?
            .restrict_self()?;
        Ok(())
    }

    /// What `clone3` is asked for lies in memory, which a filter can't see. Told that there is none, libraries use `clone`.
    fn no_clone3() -> Result<BpfProgram, seccompiler::BackendError> {
        let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let absent = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        SeccompFilter::new(rules, SeccompAction::Allow, absent, std::env::consts::ARCH.try_into()?)?.try_into()
    }

    fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
        // Threads and no processes, and signals to this process alone.
        let thread = libc::CLONE_THREAD.cast_unsigned().into();
        let thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]);
        let own = std::process::id().into();
        let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own)?;
        rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own])?]);
        let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
    }
}
