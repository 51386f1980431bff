//! Landlock (<https://docs.kernel.org/userspace-api/landlock.html>) for files, TCP and signals; seccomp for what Landlock
//! does not know or an older kernel's cannot do; and none of root's powers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};
use rustix::thread::{self, CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::strength::{SYSTEM, Strength};

/// What a compiler reads beside files.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/urandom", "/dev/zero"];

pub(super) fn enter(readable: &[PathBuf], writable: &[PathBuf]) -> Result<Strength> {
    drop_capabilities().context("cannot give up root's powers")?;
    let strength = match landlock(readable, writable) {
        Ok(strength) => strength,
        // A container may refuse the very calls.
        Err(error) => Strength::None(format!("Landlock: {error:#}")),
    };
    match (seccompiler::apply_filter(&filter()?), strength) {
        (Err(error), Strength::Full) => Ok(Strength::Partial(format!("sockets are open, seccomp: {error}"))),
        (_, strength) => Ok(strength),
    }
}

/// Root keeps the power to open files whatever their mode, which Landlock bounds; all other powers are gone for good.
fn drop_capabilities() -> rustix::io::Result<()> {
    let kept = thread::capabilities(None)?.permitted & CapabilitySet::DAC_OVERRIDE;
    if thread::capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        // Else the programs that root starts would gain all of them again.
        let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
        thread::set_capabilities_secure_bits(thread::capabilities_secure_bits()? | bits)?;
    }
    thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    if !kept.is_empty() {
        thread::configure_capability_in_ambient_set(kept, true)?;
    }
    Ok(())
}

fn landlock(readable: &[PathBuf], writable: &[PathBuf]) -> Result<Strength> {
    // The newest the crate knows; a kernel that knows less does what it can.
    let abi = ABI::V10;
    let read = AccessFs::from_read(abi);
    let devices = AccessFs::IoctlDev | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .set_compatibility(landlock::CompatLevel::BestEffort)
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(writable, AccessFs::from_all(abi) & !devices))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .restrict_self()?;
    let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
        return Ok(Strength::None("this kernel has no Landlock, or has it switched off".to_owned()));
    };
    Ok(strength(effective_abi))
}

/// How strong the walls are where Landlock is `abi`.
fn strength(abi: ABI) -> Strength {
    match abi {
        ABI::V1 | ABI::V2 => Strength::Partial("Landlock of Linux before 6.2 lets files be emptied".to_owned()),
        ABI::V3 | ABI::V4 | ABI::V5 => {
            Strength::Partial("Landlock of Linux before 6.12 does not hold back signals to threads".to_owned())
        }
        _ => Strength::Full,
    }
}

/// Refuses the ways to other processes that are no files: sockets, signals, traces, shared memory, keys.
/// `io_uring` would be a way around this very filter.
fn filter() -> Result<BpfProgram> {
    const REFUSED: [libc::c_long; 33] = [
        libc::SYS_socket,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_pidfd_send_signal,
        libc::SYS_pidfd_getfd,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kcmp,
        libc::SYS_shmget,
        libc::SYS_shmat,
        libc::SYS_semget,
        libc::SYS_msgget,
        libc::SYS_mq_open,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
        libc::SYS_mount,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_setpriority,
        libc::SYS_ioprio_set,
        libc::SYS_chroot,
        libc::SYS_truncate,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    // The limits of this process are its own matter, those of others are not.
    let other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![other])?]);
    #[cfg(target_arch = "x86_64")]
    {
        // The x32 ABI has the same calls under numbers of its own (`__X32_SYSCALL_BIT`).
        const X32: i64 = 0x4000_0000;
        let shared: Vec<_> = rules.iter().map(|(call, rules)| (call | X32, rules.clone())).collect();
        rules.extend(shared.into_iter().chain((512..=547).map(|own| (own | X32, Vec::new()))));
    }
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernels_walls_are_told_with_their_gap() {
        for (abi, gap) in [(ABI::V1, "6.2"), (ABI::V2, "6.2"), (ABI::V3, "6.12"), (ABI::V4, "6.12"), (ABI::V5, "6.12")]
        {
            assert!(
                matches!(strength(abi), Strength::Partial(told) if told.contains(&format!("before {gap} "))),
                "{gap}"
            );
        }
        assert_eq!(strength(ABI::V6), Strength::Full);
    }
}
