//! Looks for connections and ends them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::{fmt, fs, io};

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_SOCK_DIAG};

use super::socket::Asker;
use super::{Flow, UDP, Wanted, Way, sockets, tracked};
use crate::fault;
use crate::subnet::Subnet;

/// So many connections of one list are ended before it is asked for again.
const MOST: usize = 16_384;
/// So often it is asked for.
const TIMES: usize = 8;
/// How many connections conntrack knows in this network namespace; not there: it does not run.
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// What a kernel cannot, or does not let us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// We may not.
    Permission,
    /// It does not tell which sockets there are.
    Sockets,
    /// The same, of UDP alone.
    Udp,
    /// It ends no sockets.
    Destroy,
    /// It forgets no connections that go through.
    Tracked,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permission => "CAP_NET_ADMIN is missing",
            Self::Sockets => "this kernel does not tell its sockets (CONFIG_INET_DIAG, module tcp_diag)",
            Self::Udp => {
                "this kernel does not tell its sockets of UDP (CONFIG_INET_UDP_DIAG, module udp_diag)"
            }
            Self::Destroy => "this kernel ends no sockets by netlink (CONFIG_INET_DIAG_DESTROY)",
            Self::Tracked => {
                "this kernel's conntrack takes no orders (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink)"
            }
        })
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many connections were ended, by jail and ban.
    pub cut: BTreeMap<(Arc<str>, Subnet), u64>,
    /// What was found missing now; it is not tried again.
    pub lacks: Vec<Lack>,
    /// What went wrong besides; another try may help.
    pub failed: Option<io::Error>,
    done: HashSet<Flow>,
}

impl Outcome {
    fn count(&mut self, (net, jail): (Subnet, &Arc<str>), flows: &[Flow]) {
        let is_new = !flows.iter().any(|flow| self.done.contains(flow));
        self.done.extend(flows);
        *self.cut.entry((jail.clone(), net)).or_default() += u64::from(is_new);
    }
}

/// Ends connections, as far as this kernel can.
#[derive(Debug, Default)]
pub struct Knife {
    lacks: BTreeSet<Lack>,
}

impl Knife {
    /// What it found missing so far.
    pub fn lacks(&self) -> impl Iterator<Item = Lack> + use<> {
        self.lacks.clone().into_iter()
    }

    /// Ends the connections of these bans, after [`Wanted::sort`].
    pub fn cut(&mut self, wanted: &Wanted) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(error) = self.end_sockets(wanted, &mut outcome) {
            outcome.failed = Some(error);
        }
        if let Err(error) = self.forget_tracked(wanted, &mut outcome) {
            outcome.failed = Some(error);
        }
        outcome
    }

    /// Whether it was found missing, now or before; an error that is no lack is handed on.
    fn lacks_it(
        &mut self,
        result: io::Result<()>,
        lack: Lack,
        missing: &[i32],
        outcome: &mut Outcome,
    ) -> io::Result<bool> {
        let Err(error) = result else { return Ok(false) };
        let lack = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Lack::Permission,
            Some(errno) if missing.contains(&errno) => lack,
            _ => return Err(error),
        };
        if self.lacks.insert(lack) {
            outcome.lacks.push(lack);
        }
        Ok(true)
    }

    /// Whether one of these was found missing before.
    fn is_vain(&self, lacks: &[Lack]) -> bool {
        lacks.iter().any(|lack| self.lacks.contains(lack))
    }

    fn end_sockets(&mut self, wanted: &Wanted, outcome: &mut Outcome) -> io::Result<()> {
        let kinds = wanted.kinds();
        if kinds.is_empty() || self.is_vain(&[Lack::Permission, Lack::Sockets, Lack::Destroy]) {
            return Ok(());
        }
        let mut asker = match Asker::open(NETLINK_SOCK_DIAG) {
            Ok(asker) => asker,
            Err(error) => {
                return self.lacks_it(Err(error), Lack::Sockets, &NO_PROTOCOL, outcome).map(drop);
            }
        };
        for kind in kinds {
            let mut left = TIMES;
            while left > 0 && self.end_some(&mut asker, kind, wanted, outcome)? {
                left -= 1;
            }
        }
        Ok(())
    }

    /// Ends sockets of a kind; whether there are more.
    fn end_some(
        &mut self,
        asker: &mut Asker,
        (is_ipv6, protocol): (bool, u8),
        wanted: &Wanted,
        outcome: &mut Outcome,
    ) -> io::Result<bool> {
        let lack = if protocol == UDP { Lack::Udp } else { Lack::Sockets };
        if self.is_vain(&[Lack::Permission, Lack::Destroy, lack]) {
            return Ok(false);
        }
        let mut found = Vec::new();
        let mut list = |peers: &[Subnet]| {
            asker.ask(
                |writer| sockets::list(writer, is_ipv6, protocol, peers),
                |message| {
                    let socket = sockets::read(message.body, protocol).filter(|_| found.len() <= MOST);
                    found.extend(socket.filter(|socket| wanted.find(&socket.flow, Way::Here).is_some()));
                },
            )
        };
        let mut listed = list(&wanted.peers(is_ipv6));
        // A kernel that wants no such condition.
        if listed.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)) {
            listed = list(&[]);
        }
        if self.lacks_it(listed, lack, &NO_SOCKETS, outcome)? {
            return Ok(false);
        }
        let is_more = found.len() > MOST;
        for socket in found {
            let ended = fault::refusal("cut.destroy")
                .and_then(|()| asker.ask(|writer| sockets::destroy(writer, &socket), |_| {}));
            if ended.as_ref().is_err_and(is_gone) {
                continue;
            }
            if self.lacks_it(ended, Lack::Destroy, &[libc::EOPNOTSUPP], outcome)? {
                return Ok(false);
            }
            if let Some(whose) = wanted.find(&socket.flow, Way::Here) {
                outcome.count(whose, &[socket.flow]);
            }
        }
        Ok(is_more)
    }

    fn forget_tracked(&mut self, wanted: &Wanted, outcome: &mut Outcome) -> io::Result<()> {
        let families = wanted.families();
        if families.is_empty() || self.is_vain(&[Lack::Permission, Lack::Tracked]) || knows_nobody() {
            return Ok(());
        }
        let mut asker = Asker::open(NETLINK_NETFILTER)?;
        for is_ipv6 in families {
            let mut left = TIMES;
            while left > 0 && self.forget_some(&mut asker, is_ipv6, wanted, outcome)? {
                left -= 1;
            }
        }
        Ok(())
    }

    /// Has connections of a family forgotten; whether there are more.
    fn forget_some(
        &mut self,
        asker: &mut Asker,
        is_ipv6: bool,
        wanted: &Wanted,
        outcome: &mut Outcome,
    ) -> io::Result<bool> {
        let mut found = Vec::new();
        let listed = asker.ask(
            |writer| tracked::list(writer, is_ipv6),
            |message| {
                let is_mine = |flow: &Flow| wanted.find(flow, Way::Through).is_some();
                let tracked = tracked::read(message).filter(|_| found.len() <= MOST);
                found.extend(tracked.filter(|tracked| tracked.flows.iter().any(is_mine)));
            },
        );
        if self.lacks_it(listed, Lack::Tracked, &NO_CONNTRACK, outcome)? {
            return Ok(false);
        }
        let is_more = found.len() > MOST;
        for tracked in found {
            let ended = asker.ask(|writer| tracked::delete(writer, &tracked), |_| {});
            if ended.as_ref().is_err_and(is_gone) {
                continue;
            }
            if self.lacks_it(ended, Lack::Tracked, &NO_CONNTRACK, outcome)? {
                return Ok(false);
            }
            if let Some(whose) = tracked.flows.iter().find_map(|flow| wanted.find(flow, Way::Through)) {
                outcome.count(whose, &tracked.flows);
            }
        }
        Ok(is_more)
    }
}

const NO_SOCKETS: [i32; 3] = [libc::ENOENT, libc::EOPNOTSUPP, libc::EINVAL];
const NO_PROTOCOL: [i32; 2] = [libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT];
/// `nfnetlink` does not know conntrack.
const NO_CONNTRACK: [i32; 3] = [libc::EINVAL, libc::EOPNOTSUPP, libc::EPROTONOSUPPORT];

/// Whether it ended by itself meanwhile.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE))
}

/// Whether conntrack knows no connection, or does not run: it is not asked then, for a question would start it.
fn knows_nobody() -> bool {
    match fs::read_to_string(TRACKED) {
        Ok(count) => count.trim() == "0",
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
