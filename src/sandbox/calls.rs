//! Which system calls stay (seccomp).
//!
//! A list of what is allowed, for x86-64 and ARM 64: what the daemon, its libraries and the C libraries' newer and older
//! ways need. Any other is answered as by a kernel that does not have it (`ENOSYS`), so that libraries take the way that
//! they take on such kernels; nothing is killed but a call in the ways of another processor. The list leaves out what
//! starts programs and processes, mounts, traces, loads, opens by handle, changes users, or is new.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, apply_filter_all_threads,
};

/// Whatever their arguments.
const ALLOWED: &[c_long] = &[
    // Descriptors and what passes through them.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_lseek,
    libc::SYS_pipe2,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_copy_file_range,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    // Files.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    libc::SYS_memfd_create,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    // Sockets; which ones is said below.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Memory; writable code is said below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    // Threads and their signals.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getcpu,
    // Itself, and its children, of which it has one.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_getpriority,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pidfd_open,
    // A stricter filter may follow.
    libc::SYS_seccomp,
];

/// What x86-64 still has besides.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_access,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_signalfd,
    libc::SYS_inotify_init,
    libc::SYS_time,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_getpgrp,
    libc::SYS_arch_prctl,
    libc::SYS_utimes,
    libc::SYS_renameat,
    libc::SYS_sync_file_range,
    libc::SYS_getrlimit,
];
/// `renameat`, `sync_file_range` and `getrlimit` of ARM 64, which the C library's crate does not name.
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[38, 84, 163];

/// The families of sockets, and of netlink the protocols: routes, diagnosis of sockets, netfilter.
const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
const NETLINK: &[i32] = &[libc::NETLINK_ROUTE, libc::NETLINK_SOCK_DIAG, libc::NETLINK_NETFILTER];
/// Of `prctl`: names, memory's names, the filter that may follow, and questions.
const PRCTL: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_CAPBSET_READ,
    libc::PR_GET_DUMPABLE,
];
/// To type on a terminal that is another's: `TIOCSTI`, `TIOCLINUX`.
const TYPING: &[u64] = &[0x5412, 0x541c];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Filters the calls of all threads.
pub(super) fn filter() -> Result<(), String> {
    apply_filter_all_threads(&program()?).map_err(|error| error.to_string())
}

fn program() -> Result<BpfProgram, String> {
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    compile(rules(std::process::id())?, absent, SeccompAction::Allow)
}

/// Refuses this thread what the firewall is changed by.
pub(super) fn refuse_netlink() -> Result<(), String> {
    let netlink = when(&[(0, Op::Eq, libc::AF_NETLINK as u64)])?;
    let rules = Rules::from([(libc::SYS_socket, vec![netlink])]);
    let program = compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
    apply_filter(&program).map_err(|error| error.to_string())
}

fn compile(rules: Rules, other: SeccompAction, these: SeccompAction) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, other, these, arch).map_err(|error| error.to_string())?;
    BpfProgram::try_from(filter).map_err(|error| error.to_string())
}

/// All that is allowed to a process of this id.
fn rules(own: u32) -> Result<Rules, String> {
    let mut rules: Rules = ALLOWED.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    let mut sockets = any_of(0, FAMILIES.iter().map(|family| *family as u64))?;
    for protocol in NETLINK {
        let (family, protocol) = (libc::AF_NETLINK as u64, *protocol as u64);
        sockets.push(when(&[(0, Op::Eq, family), (2, Op::Eq, protocol)])?);
    }
    rules.insert(libc::SYS_socket, sockets);
    rules.insert(libc::SYS_socketpair, any_of(0, [libc::AF_UNIX as u64])?);
    rules.insert(libc::SYS_prctl, any_of(0, PRCTL.iter().map(|option| *option as u64))?);
    let typing: Vec<_> = TYPING.iter().map(|request| (1, Op::Ne, *request)).collect();
    rules.insert(libc::SYS_ioctl, vec![when(&typing)?]);
    // Memory is written to or executed.
    let (write, execute) = (libc::PROT_WRITE as u64, libc::PROT_EXEC as u64);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let one = when(&[(2, Op::MaskedEq(write), 0)])?;
        rules.insert(call, vec![one, when(&[(2, Op::MaskedEq(execute), 0)])?]);
    }
    // Threads, no processes, no namespaces. `clone3` has its flags where no filter can see them: it is not there.
    let spaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    let thread = libc::CLONE_THREAD as u64;
    let seen = u64::from(spaces.cast_unsigned()) | thread;
    rules.insert(libc::SYS_clone, vec![when(&[(0, Op::MaskedEq(seen), thread)])?]);
    // Signals to itself, and the question whether somebody is there.
    rules.insert(libc::SYS_kill, vec![when(&[(0, Op::Eq, own.into())])?, when(&[(1, Op::Eq, 0)])?]);
    rules.insert(libc::SYS_tgkill, any_of(0, [u64::from(own)])?);
    Ok(rules)
}

/// One rule for each value of this argument.
fn any_of(argument: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, String> {
    values.into_iter().map(|value| when(&[(argument, Op::Eq, value)])).collect()
}

/// A rule: all of these hold, of the lower 32 bits of an argument.
fn when(conditions: &[(u8, Op, u64)]) -> Result<SeccompRule, String> {
    let conditions = conditions.iter().map(|(argument, op, value)| {
        SeccompCondition::new(*argument, Length::Dword, op.clone(), *value).map_err(|error| error.to_string())
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;
    use rustix::net::{AddressFamily, Protocol, SocketType, netlink, socket};

    use super::*;

    /// Does something in a thread of its own, behind this filter.
    fn behind(filter: impl FnOnce() -> Result<(), String> + Send, work: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let tried = scope.spawn(|| filter().map(|()| work()));
            if let Err(why) = tried.join().unwrap() {
                eprintln!("SKIPPED: calls are not filtered: {why}");
            }
        });
    }

    fn opens(family: AddressFamily, kind: SocketType, protocol: Option<Protocol>) -> Result<(), Errno> {
        socket(family, kind, protocol).map(drop)
    }

    #[test]
    fn behind_the_filter_there_are_threads_and_no_programs() {
        let all = || apply_filter(&program()?).map_err(|error| error.to_string());
        behind(all, || {
            assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
            let started = std::process::Command::new("/bin/true").spawn();
            assert_eq!(started.unwrap_err().raw_os_error(), Some(libc::ENOSYS));
            assert!(std::fs::read_to_string("/etc/passwd").is_ok());
            assert!(std::net::TcpListener::bind("127.0.0.1:0").is_ok());
            let raw = SocketType::RAW;
            assert_eq!(opens(AddressFamily::NETLINK, raw, Some(netlink::NETFILTER)), Ok(()));
            assert_eq!(opens(AddressFamily::NETLINK, raw, None), Ok(()));
            assert_eq!(opens(AddressFamily::NETLINK, raw, Some(netlink::AUDIT)), Err(Errno::NOSYS));
            assert_eq!(opens(AddressFamily::PACKET, raw, None), Err(Errno::NOSYS));
            // A signal to the parent, and another user.
            let parent = rustix::process::getppid().unwrap();
            let signalled = rustix::process::kill_process(parent, rustix::process::Signal::CONT);
            assert_eq!(signalled, Err(Errno::NOSYS));
            assert_eq!(rustix::process::test_kill_process(parent), Ok(()));
            assert_eq!(
                io::Error::from(rustix::process::chroot("/").unwrap_err()).raw_os_error(),
                Some(libc::ENOSYS)
            );
        });
    }

    #[test]
    fn who_reads_logs_opens_no_way_to_the_firewall() {
        behind(refuse_netlink, || {
            let refused = opens(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::NETFILTER));
            assert_eq!(refused, Err(Errno::PERM));
            assert_eq!(opens(AddressFamily::UNIX, SocketType::STREAM, None), Ok(()));
        });
    }
}
