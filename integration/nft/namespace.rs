//! A network namespace for one test, and what a test does in it.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect as connect_socket, socket_with, sockopt,
};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities, unshare_unsafe};

/// Set in the process that runs as root of a user namespace.
const INSIDE: &str = "STOCKADE_TEST_IN_USER_NAMESPACE";

/// Runs `story` in a new network namespace, which ends with it.
///
/// Without the right to make one, the test called `name` runs again as root of a user namespace; where that is not
/// allowed either, it fails.
pub(crate) fn in_namespace(name: &'static str, story: fn()) {
    let worker = std::thread::spawn(move || match unshare_network() {
        Ok(()) => story(),
        Err(Errno::PERM) if std::env::var_os(INSIDE).is_none() => {
            let program = std::env::current_exe().unwrap();
            let test = [program.to_str().unwrap(), "--exact", name, "--nocapture"];
            let status = Command::new("unshare").arg("-rn").args(test).env(INSIDE, "1").status();
            let ran = status.expect("this test needs `unshare` of util-linux, or root");
            assert!(ran.success(), "{name} failed in a user namespace; without those, this test needs root");
        }
        Err(error) => panic!("this test needs root, or unprivileged user namespaces: {error}"),
    });
    if let Err(panic) = worker.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(unsafe_code, reason = "rustix marks all of unshare so, for the sake of file descriptors")]
fn unshare_network() -> Result<(), Errno> {
    // SAFETY: only the network namespace of this thread changes; no file descriptor does.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Takes all capabilities from this thread.
pub(crate) fn drop_capabilities() {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
}

/// Runs a command that must succeed; answers with what it prints.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs `{command}`: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}` failed: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same for nft.
pub(crate) fn nft(command: &str) -> String {
    run(&format!("nft {command}"))
}

/// How many packets met the elements of a set.
pub(crate) fn packets(set: &str) -> u64 {
    let list = nft(&format!("list set inet stockade {set}"));
    list.split("counter packets ")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// How far a client gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The server answers.
    Open,
    /// The client is told that there is no way.
    Refused,
    /// Nothing comes back: the packet went into a counter instead.
    Silent,
}

/// Connects from an address of this namespace, until an answer comes or a set swallows a packet.
pub(crate) fn connect(client: &str, server: SocketAddr) -> Reach {
    let before = dropped();
    attempt(client, server, || dropped() > before)
}

/// The same, whatever the sets count. Over `lo` an ICMPv6 answer comes while the kernel still has the socket locked, so
/// that only the one to the second packet is heard.
pub(crate) fn await_answer(client: &str, server: SocketAddr) -> Reach {
    attempt(client, server, || false)
}

fn attempt(client: &str, server: SocketAddr, is_dropped: impl Fn() -> bool) -> Reach {
    let client: IpAddr = client.parse().unwrap();
    let family = if client.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    bind(&socket, &SocketAddr::new(client, 0)).unwrap();
    match connect_socket(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(Errno::CONNREFUSED) => return Reach::Refused,
        Err(error) => panic!("{client} → {server}: {error}"),
    }
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        let mut poll_fd = [PollFd::new(&socket, PollFlags::OUT)];
        let turn = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        if poll(&mut poll_fd, Some(&turn)).unwrap() > 0 {
            return match sockopt::socket_error(&socket).unwrap() {
                Ok(()) => Reach::Open,
                Err(Errno::CONNREFUSED) => Reach::Refused,
                Err(error) => panic!("{client} → {server}: {error}"),
            };
        }
        if is_dropped() {
            return Reach::Silent;
        }
    }
    panic!("{client} → {server}: neither an answer nor a dropped packet in 30 s");
}

/// All packets that met an element of any set.
fn dropped() -> u64 {
    let list = nft("list ruleset");
    list.split("counter packets ")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum()
}
