//! Connections that stay, as of an attacker who tries one password after the other.

use std::process::{Child, Stdio};

use super::{Holder, Lab, run, until};

/// A connection that somebody in the world holds open.
pub(crate) struct Connection(Holder);

impl Connection {
    /// Whether the other end has ended it.
    pub(crate) fn is_over(&mut self) -> bool {
        self.0.0.try_wait().unwrap().is_some()
    }
}

/// A host behind the victim, which forwards packets to it.
pub(crate) struct Inner(Holder);

impl Lab {
    /// A connection from this address of the world to this port of the victim, once the victim has taken it.
    pub(crate) fn connect(&self, from: &str, port: u16) -> Connection {
        let (to, from_there) = if from.contains(':') {
            ("TCP6:[2001:db8::1]", format!("[{from}]"))
        } else {
            ("TCP4:192.0.2.1", from.to_owned())
        };
        let held = Connection(Holder(self.talk(&format!("{to}:{port},bind={from_there}"))));
        until("the victim has the connection", || {
            self.connections(port).iter().any(|peer| peer.contains(from))
        });
        held
    }

    /// The same, where what stands for the connection is known to the caller.
    pub(crate) fn talk(&self, target: &str) -> Child {
        let mut command = self.inside(&self.world, "socat");
        command.args(["STDIO", target]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("socat is needed")
    }

    /// The peers of all connections to this port of the victim, by TCP and UDP.
    pub(crate) fn connections(&self, port: u16) -> Vec<String> {
        let filter = format!("sport = :{port}");
        let listed =
            run(self.inside(&self.victim, "ss").args(["-Hntu", "state", "established", &filter])).stdout;
        let lines = String::from_utf8(listed).unwrap();
        lines.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
    }

    /// A host at 10.0.0.2 behind the victim, whose port 80 the victim publishes as 8080, as a container engine does.
    pub(crate) fn publish(&self) -> Inner {
        let inner = Inner(Self::hold(Some(&self.victim)));
        let at = |holder: &Holder, words: &str| {
            let mut words = words.split(' ');
            run(self.inside(holder, words.next().unwrap()).args(words));
        };
        at(&self.victim, "ip link add bridge type veth peer name inner");
        at(&self.victim, &format!("ip link set inner netns {}", inner.0.0.id()));
        at(&self.victim, "ip address add 10.0.0.1/24 dev bridge");
        at(&self.victim, "ip link set bridge up");
        at(&inner.0, "ip link set lo up");
        at(&inner.0, "ip address add 10.0.0.2/24 dev inner");
        at(&inner.0, "ip link set inner up");
        at(&inner.0, "ip route add default via 10.0.0.1");
        run(self.inside(&self.victim, "sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]));
        at(&self.victim, "nft add table ip engine");
        at(&self.victim, "nft add chain ip engine in { type nat hook prerouting priority dstnat ; }");
        at(&self.victim, "nft add rule ip engine in tcp dport 8080 dnat to 10.0.0.2:80");
        inner
    }

    /// Something that takes every connection to this port of the host behind the victim.
    pub(crate) fn serve_behind(&self, inner: &Inner, port: u16) -> impl Drop + use<> {
        let mut command = self.inside(&inner.0, "socat");
        command.args(["-T100", "-u", &format!("TCP4-LISTEN:{port},fork,reuseaddr"), "OPEN:/dev/null"]);
        let holder =
            Holder(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("socat is needed"));
        until("the host behind it listens", || {
            let mut command = self.inside(&inner.0, "ss");
            !run(command.args(["-Hltn", &format!("sport = :{port}")])).stdout.is_empty()
        });
        holder
    }

    /// What conntrack knows inside the victim of connections of this address.
    pub(crate) fn tracked(&self, of: &str) -> Vec<String> {
        let text = run(self.inside(&self.victim, "cat").arg("/proc/net/nf_conntrack")).stdout;
        let lines = String::from_utf8(text).unwrap();
        let of = format!("src={of} ");
        lines.lines().filter(|line| line.contains(&of)).map(str::to_owned).collect()
    }
}
