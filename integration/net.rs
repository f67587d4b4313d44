//! Own addresses and gateways, in a network namespace of the test's own thread. Needs root and `ip`.

use std::process::Command;
use std::time::Duration;

use rustix::thread::UnshareFlags;
use stockade::net::{self, Own};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long the kernel may take to tell of a change.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `story` in a thread of its own, which has a network of its own and a runtime as an arbiter has.
fn in_own_network(story: impl AsyncFnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        own_network();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(unsafe_code, reason = "rustix marks it so for another flag")]
fn own_network() {
    // SAFETY: only the table of files must not be unshared; this unshares the network alone.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) };
    assert!(unshared.is_ok(), "no network namespace can be made, run this as root: {unshared:?}");
}

/// Runs `ip` in the network of the calling thread.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.unwrap_or_else(|error| panic!("ip: {error} (is iproute2 installed?)"));
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until `addresses` and `gateways` are told.
async fn told(heard: &mut UnboundedReceiver<Own>, addresses: &str, gateways: &str) {
    let text = |own: &Own| {
        let list = |nets: &[stockade::subnet::Subnet]| {
            nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        (list(&own.addresses), list(&own.gateways))
    };
    let mut last = None;
    let waiting = async {
        while let Some(own) = heard.recv().await {
            last = Some(text(&own));
            if last == Some((addresses.to_owned(), gateways.to_owned())) {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    assert_eq!(found, Ok(true), "told last: {last:?}, expected: {addresses:?} through {gateways:?}");
}

#[test]
fn own_addresses_and_gateways_are_followed() {
    in_own_network(async || {
        for arguments in [
            "link set lo up",
            "link add here type veth peer name there",
            "link set here addrgenmode none",
            "link set there addrgenmode none",
            "link set there up",
            "link set here up",
            "address add 192.0.2.1/24 dev here",
            "address add fe80::1/64 dev here nodad",
            "address add 198.51.100.1/24 dev there",
            "route add default via 192.0.2.254",
        ] {
            ip(arguments);
        }
        let (tell, mut heard) = unbounded_channel();
        let (tell_there, mut heard_there) = unbounded_channel();
        let watching = tokio::task::LocalSet::new();
        watching.spawn_local(net::watch(Vec::new(), move |own| {
            let _ = tell.send(own);
        }));
        watching.spawn_local(net::watch(vec!["there".to_owned()], move |own| {
            let _ = tell_there.send(own);
        }));
        let (tell_later, mut heard_later) = unbounded_channel();
        watching.spawn_local(net::watch(vec!["here".to_owned(), "later".to_owned()], move |own| {
            let _ = tell_later.send(own);
        }));
        watching
            .run_until(async {
                let lo = "127.0.0.0/8 127.0.0.1";
                told(&mut heard, &format!("{lo} 192.0.2.1 198.51.100.1 ::1 fe80::1"), "192.0.2.254").await;
                told(&mut heard_there, "127.0.0.0/8 198.51.100.1 ::1", "").await;
                // One of its interfaces is not there yet: all count until it is.
                told(&mut heard_later, &format!("{lo} 192.0.2.1 198.51.100.1 ::1 fe80::1"), "192.0.2.254")
                    .await;
                ip("link add later type veth peer name end");
                told(&mut heard_later, "127.0.0.0/8 192.0.2.1 ::1 fe80::1", "192.0.2.254").await;

                ip("address add 2001:db8::1/64 dev here nodad");
                let six = format!("{lo} 192.0.2.1 198.51.100.1 ::1 2001:db8::1 fe80::1");
                told(&mut heard, &six, "192.0.2.254").await;

                ip("-6 route add default via fe80::ff dev here");
                told(&mut heard, &six, "192.0.2.254 fe80::ff").await;

                ip("route replace default via 192.0.2.253");
                told(&mut heard, &six, "192.0.2.253 fe80::ff").await;

                ip("address del 198.51.100.1/24 dev there");
                told(&mut heard_there, "127.0.0.0/8 ::1", "").await;

                // Takes the IPv4 route along without a word about it.
                ip("link set here down");
                told(&mut heard, &format!("{lo} 192.0.2.1 ::1"), "").await;
            })
            .await;
    });
}
