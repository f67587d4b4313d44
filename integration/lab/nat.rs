//! What stands between a victim and its clients where addresses are translated.

use std::process::Stdio;

use super::{Holder, Lab, run};

/// The router between the victim and clients; the victim's default gateway.
pub(crate) const GATEWAY: &str = "192.0.2.254";

/// A network behind the world, whose packets reach the victim from the address of its gateway.
pub(crate) struct Behind(Holder);

impl Lab {
    /// Makes the world the victim's default gateway, and puts clients with these addresses of 198.51.100.0/24 behind
    /// it. Their own addresses do not arrive: the router masquerades. The world's first address is [`GATEWAY`].
    pub(crate) fn masquerade(&self, clients: &[&str]) -> Behind {
        let behind = Behind(Self::hold(Some(&self.world)));
        let at = |holder: &Holder, words: &str| {
            let mut words = words.split(' ');
            run(self.inside(holder, words.next().unwrap()).args(words));
        };
        at(&self.world, "ip link add inner type veth peer name outer");
        at(&self.world, &format!("ip link set outer netns {}", behind.0.0.id()));
        at(&self.world, "ip address add 198.51.100.1/24 dev inner");
        at(&self.world, "ip link set inner up");
        at(&behind.0, "ip link set outer up");
        for client in clients {
            at(&behind.0, &format!("ip address add {client}/24 dev outer"));
        }
        at(&behind.0, "ip route add default via 198.51.100.1");
        at(&self.victim, &format!("ip route add default via {GATEWAY}"));
        run(self.inside(&self.world, "sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]));
        at(&self.world, "nft add table ip nat");
        at(&self.world, "nft add chain ip nat out { type nat hook postrouting priority srcnat ; }");
        at(&self.world, "nft add rule ip nat out oifname world ip saddr 198.51.100.0/24 masquerade");
        behind
    }

    /// Whether a connection from this client behind the router to this port of the victim works.
    pub(crate) fn reaches_from_behind(&self, behind: &Behind, from: &str, port: u16) -> bool {
        self.connects(&behind.0, from, "192.0.2.1", port)
    }

    /// Whether a connection inside the victim to this address of its own works.
    pub(crate) fn reaches_itself(&self, address: &str, port: u16) -> bool {
        self.connects(&self.victim, address, address, port)
    }

    fn connects(&self, holder: &Holder, from: &str, to: &str, port: u16) -> bool {
        let target = format!("TCP:{to}:{port},bind={from},connect-timeout=1");
        let mut command = self.inside(holder, "socat");
        command.args(["-u", "OPEN:/dev/null", &target]).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    /// A service that refuses everybody's password and logs it as sshd would, with the address that it sees.
    pub(crate) fn serve_and_log(&self, port: u16, log: &str) -> impl Drop + use<> {
        let log = self.path(log);
        std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let script = format!(
            "echo \"$(LC_ALL=C date '+%b %e %H:%M:%S') victim sshd[$$]: Failed password for root from $SOCAT_PEERADDR \
             port $SOCAT_PEERPORT ssh2\" >>{}\n",
            log.display()
        );
        self.write("refuse.sh", &script);
        let run = format!("EXEC:sh {}", self.path("refuse.sh").display());
        self.serve_by(port, &["socat", "-u", &format!("TCP4-LISTEN:{port},fork,reuseaddr"), &run])
    }
}
