//! A network namespace for one test, and what a test does in it.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
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

/// Runs `story`, a closure of the test itself, in a new network namespace, which ends with it.
///
/// Without the right to make one, the test runs again as root of a user namespace; where that is not allowed either, it
/// fails.
pub(crate) fn in_namespace<F: FnOnce() + Send + 'static>(story: F) {
    let worker = std::thread::spawn(move || match unshare_network() {
        Ok(()) => story(),
        Err(Errno::PERM) if std::env::var_os(INSIDE).is_none() => {
            // As in `integration::nft::name_of_the_test::{{closure}}`.
            let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
            let (_, name) = name.split_once("::").unwrap();
            let program = std::env::current_exe().unwrap();
            let inside = Command::new("unshare")
                .arg("-rn")
                .arg(program)
                .args(["--exact", name])
                .env(INSIDE, "1")
                .output();
            let inside = inside.expect("this test needs root, or `unshare` of util-linux");
            let told = String::from_utf8_lossy(&inside.stdout) + String::from_utf8_lossy(&inside.stderr);
            let passed = inside.status.success() && told.contains("1 passed");
            assert!(
                passed,
                "failed as root of a user namespace; without those, this test needs root:\n{told}"
            );
        }
        Err(error) => panic!("this test needs root, or unprivileged user namespaces: {error}"),
    });
    if let Err(panic) = worker.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A new network namespace for this thread.
#[expect(unsafe_code, reason = "rustix marks all of unshare so, for the sake of file descriptors")]
pub(crate) fn unshare_network() -> Result<(), Errno> {
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

/// How many packets of a banned host were counted.
pub(crate) fn packets(host: &str) -> u64 {
    let family = if host.contains(':') { 6 } else { 4 };
    let list = nft(&format!("list set inet stockade ipv{family}-hits"));
    let (_, rest) = list.split_once(&format!(" {host} counter packets ")).unwrap_or_default();
    rest.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
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

/// Connects from an address of this namespace.
pub(crate) fn connect(client: &str, server: SocketAddr) -> Reach {
    connect_watching(client, server, dropped)
}

/// The same, where `dropped` tells how many packets have been dropped.
pub(crate) fn connect_watching(client: &str, server: SocketAddr, dropped: impl Fn() -> u64) -> Reach {
    let before = dropped();
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
        if dropped() > before {
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

/// Sends a datagram from an address of this namespace to a server in it, which has answered or not by then.
pub(crate) fn send(client: &str, server: &UdpSocket) -> Reach {
    let client = UdpSocket::bind((client, 0)).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    server.set_nonblocking(true).unwrap();
    client.send(b"x").unwrap();
    let refused =
        client.take_error().unwrap().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    match (refused, server.recv(&mut [0]).is_ok()) {
        (true, false) => Reach::Refused,
        (false, true) => Reach::Open,
        (false, false) => Reach::Silent,
        (true, true) => panic!("{client:?} was refused and let through"),
    }
}
