//! Bans in hosts.deny, shown with a real service behind TCP wrappers; the machine's own file is not touched.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use stockade::firewall::Firewall;
use stockade::firewall::hosts_deny::HostsDeny;

use crate::lab::skip;
use crate::nft::namespace::{in_namespace, run};
use crate::nft::{ban, on_ports, open, unban};

/// A service that greets everyone whom TCP wrappers let in, with a folder of the test as its `/etc`.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PORT: u16 = 7;

fn start(etc: &Path) -> Service {
    // The wrapper runs what it is called: here, a program that prints one line.
    fs::write(etc.join("greet"), "exec -a /bin/hostname /usr/sbin/tcpd\n").unwrap();
    let script = format!(
        "mount --make-rprivate / && mount --bind {} /etc && exec socat \
         TCP6-LISTEN:{PORT},ipv6only=0,reuseaddr,fork 'EXEC:bash /etc/greet,nofork'",
        etc.display()
    );
    let child = Command::new("unshare").args(["-m", "sh", "-c", &script]).stdin(Stdio::null()).spawn();
    Service(child.unwrap_or_else(|error| panic!("this test needs `unshare` and `socat`: {error}")))
}

/// Whether a client is greeted.
fn is_greeted(client: &str) -> bool {
    let server: SocketAddr = if client.contains(':') {
        format!("[2001:db8::6]:{PORT}").parse().unwrap()
    } else {
        format!("192.0.2.6:{PORT}").parse().unwrap()
    };
    let begin = Instant::now();
    loop {
        match connect_from(client, server) {
            Ok(mut stream) => {
                let mut text = String::new();
                let _ = stream.read_to_string(&mut text);
                return !text.is_empty();
            }
            Err(error) if begin.elapsed() > Duration::from_secs(30) => panic!("no service: {error}"),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// The same for several at once: the wrapper lets go of those it turns away only after five seconds.
fn greeted(clients: &[&str]) -> Vec<bool> {
    std::thread::scope(|scope| {
        let all: Vec<_> = clients.iter().map(|client| scope.spawn(|| is_greeted(client))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn connect_from(client: &str, server: SocketAddr) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let client: SocketAddr = SocketAddr::new(client.parse().unwrap(), 0);
    let family = if client.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &client)?;
    connect(&socket, &server)?;
    Ok(TcpStream::from(socket))
}

#[test]
fn services_behind_tcp_wrappers_turn_banned_hosts_away() {
    if !Path::new("/usr/sbin/tcpd").exists() {
        skip("TCP wrappers (`/usr/sbin/tcpd`) are not installed");
        return;
    }
    in_namespace(|| {
        run("ip link set lo up");
        for host in 1..=6 {
            run(&format!("ip addr add 192.0.2.{host}/32 dev lo"));
            run(&format!("ip addr add 2001:db8::{host}/128 dev lo nodad"));
        }
        let etc = tempfile::tempdir().unwrap();
        let file = etc.path().join("hosts.deny");
        fs::write(&file, "ALL: 192.0.2.5\n").unwrap();
        let _service = start(etc.path());
        let mut firewall = HostsDeny::open(&file).unwrap();
        firewall.apply(&[open("j", on_ports(&[]))]).unwrap();
        let clients = ["192.0.2.1", "192.0.2.3", "2001:db8::1", "2001:db8::3"];
        let bystanders = ["192.0.2.4", "2001:db8::4"];
        assert_eq!(greeted(&clients), [true; 4], "before");
        let nets = ["192.0.2.1", "192.0.2.2/31", "2001:db8::1", "2001:db8::2/127"];
        firewall.apply(&nets.map(|net| ban("j", net))).unwrap();
        assert_eq!(
            greeted(&[&clients[..], &["192.0.2.5"]].concat()),
            [false; 5],
            "banned, the last by others"
        );
        assert_eq!(greeted(&bystanders), [true; 2]);
        firewall.apply(&nets.map(|net| unban("j", net))).unwrap();
        assert_eq!(greeted(&clients), [true; 4], "after");
        assert_eq!(fs::read_to_string(&file).unwrap(), "ALL: 192.0.2.5\n");
    });
}
