//! Whether this kernel keeps out whom we ban: tried, in a network namespace of its own, with packets.
//!
//! `unshare` (util-linux) runs this program in the namespace, so that nothing of the host is touched; what it found
//! comes back as one line.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rtnetlink::LinkUnspec;
use serde::{Deserialize, Serialize};

use crate::cli::Exit;
use crate::firewall::cut::{Knife, Scope, Wanted, Ways};
use crate::firewall::nftables::Nftables;
use crate::firewall::{Block, Change, Element, Firewall, Hook, Protocol, Rules, Ruleset};
use crate::subnet::Subnet;

/// Who is banned, and who is not.
const BANNED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const FREE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// On the loopback a packet is there at once or never.
const PATIENCE: Duration = Duration::from_millis(200);
/// Loopback is always the first interface.
const LOOPBACK: u32 = 1;
/// Chains that accept everything before ours is asked; in nftables that ends nothing but their own way.
const ACCEPT: &str = "table inet other { \
    chain early { type filter hook input priority -300; policy accept; accept; }; \
    chain filter { type filter hook input priority -10; policy accept; accept; }; }";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Proof {
    /// Banned packets are dropped, others are not; `accepted`: also where another table accepted them first; `uncut`: why
    /// the connections of a banned host cannot be ended, if that is so.
    Holds { accepted: bool, uncut: Option<String> },
    /// Bans do not work.
    Fails(String),
    /// It could not be tried.
    Untried(String),
}

/// Has it tried: as root, else in a user namespace, where anybody may.
pub(super) fn ask() -> Proof {
    match ask_in(&["--net"]) {
        Proof::Untried(_) if !rustix::process::geteuid().is_root() => {
            ask_in(&["--user", "--map-root-user", "--net"])
        }
        proof => proof,
    }
}

fn ask_in(namespaces: &[&str]) -> Proof {
    let Ok(program) = std::env::current_exe() else {
        return Proof::Untried("this program does not know where it is".to_owned());
    };
    let ran = Command::new("unshare")
        .args(namespaces)
        .arg("--")
        .arg(program)
        .args(["doctor", "--proof"])
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    match ran {
        Ok(output) => serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            Proof::Untried(said.lines().next().unwrap_or("no namespace").to_owned())
        }),
        Err(error) => Proof::Untried(format!("unshare: {error}")),
    }
}

/// Tries it, here, and prints what was found.
pub(super) fn show(out: &mut dyn Write) -> anyhow::Result<Exit> {
    // Elsewhere the first interface may be somebody's, and rules would be.
    if std::fs::read_dir("/sys/class/net").is_ok_and(|there| there.count() > 1) && has_neighbours()? {
        anyhow::bail!("this is no namespace of its own");
    }
    let proof = tried().unwrap_or_else(|error| Proof::Fails(format!("{error:#}")));
    crate::cli::json::write(out, &proof)?;
    Ok(Exit::Done)
}

/// Whether there are other interfaces than loopback; `/sys` may still show those of the namespace before.
fn has_neighbours() -> io::Result<bool> {
    let text = std::fs::read_to_string("/proc/self/net/dev")?;
    Ok(text.lines().skip(2).any(|line| !line.trim_start().starts_with("lo:")))
}

fn tried() -> anyhow::Result<Proof> {
    raise_loopback()?;
    let mut firewall = Nftables::open()?;
    let to = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    to.set_read_timeout(Some(PATIENCE))?;
    if !arrives(BANNED, &to)? {
        return Ok(Proof::Untried("packets do not come through the loopback".to_owned()));
    }

    let (jail, net) = (Arc::<str>::from("doctor"), Subnet::from(std::net::IpAddr::from(BANNED)));
    let rules = Rules::Own(Ruleset {
        ports: Vec::new(),
        protocols: Vec::new(),
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    });
    let element = Element { net, timeout: Some(Duration::from_secs(60)) };
    let changes = [Change::Open { jail: Arc::clone(&jail), rules }, Change::Ban { jail, element }];
    for answer in firewall.apply(&changes)? {
        answer?;
    }
    let listed = firewall.list()?;
    if !listed.iter().any(|(_, elements)| elements.iter().any(|element| element.net == net)) {
        return Ok(Proof::Fails(
            "the kernel confirmed a ban and does not have it when it is read back".to_owned(),
        ));
    }
    if arrives(BANNED, &to)? {
        return Ok(Proof::Fails("the kernel has a ban and lets the banned address through".to_owned()));
    }
    if !arrives(FREE, &to)? {
        return Ok(Proof::Fails("a ban of one address keeps out others, too".to_owned()));
    }
    let accepted =
        Command::new("nft").arg(ACCEPT).stderr(Stdio::null()).status().is_ok_and(|ended| ended.success());
    if accepted && arrives(BANNED, &to)? {
        return Ok(Proof::Fails("another table's accept lets banned addresses through".to_owned()));
    }
    Ok(Proof::Holds { accepted, uncut: uncut()? })
}

fn raise_loopback() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(handle.link().set(LinkUnspec::new_with_index(LOOPBACK).up().build()).execute().await?)
    })
}

/// Why a connection to here cannot be ended, if that is so.
fn uncut() -> anyhow::Result<Option<String>> {
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let _there = TcpStream::connect(address)?;
    let (mut here, peer) = listener.accept()?;
    here.set_read_timeout(Some(PATIENCE))?;
    let scope = Scope::ports(vec![(address.port(), address.port())], &[Protocol::Tcp], Ways::ALL);
    let mut wanted = Wanted::default();
    wanted.add(&Arc::from("doctor"), &Arc::new(scope), &[Subnet::from(peer.ip())]);
    wanted.sort();
    let outcome = Knife::default().cut(&wanted);
    let why =
        outcome.lacks.iter().map(ToString::to_string).chain(outcome.failed.map(|error| error.to_string()));
    if let Some(why) = why.reduce(|all, one| format!("{all}; {one}")) {
        return Ok(Some(why));
    }
    // Nothing was sent: what can be read is that it is over.
    let is_over = match here.read(&mut [0; 8]) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    };
    Ok((!is_over).then(|| "the kernel says that it ended a connection, which goes on".to_owned()))
}

/// Whether a packet from there comes through.
fn arrives(from: Ipv4Addr, to: &UdpSocket) -> io::Result<bool> {
    let sender = UdpSocket::bind(SocketAddrV4::new(from, 0))?;
    sender.send_to(b"proof", to.local_addr()?)?;
    match to.recv(&mut [0; 8]) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
