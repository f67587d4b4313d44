//! A socket that systemd opens: the first client starts the daemon.

use std::time::Duration;

use stockade::control::talk::Client;
use stockade::python::words;

use crate::lab::{Lab, skip, until};

#[test]
fn the_first_client_starts_the_daemon_and_the_socket_outlives_it() {
    let mut lab = Lab::new(&[]);
    if std::process::Command::new("systemd-socket-activate").arg("--version").output().is_err() {
        skip("systemd-socket-activate is not installed: socket activation was not tried");
        return;
    }
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    let socket = lab.path("stockade.sock");
    let names = ["SOCKET", "PID_FILE", "STORE"].map(|name| format!("--setenv=STOCKADE_DAEMON__{name}"));
    let listen = format!("--listen={}", socket.display());
    let [first, second, third] = names.each_ref().map(String::as_str);
    lab.launch_by(&["systemd-socket-activate", &listen, first, second, third], &[]);
    let mut client = None;
    until("the socket is there", || {
        client = Client::connect(&socket, Duration::from_secs(30)).ok();
        client.is_some()
    });
    let mut client = client.unwrap();
    assert_eq!(client.ask(&words(["ping"])).unwrap(), Ok("pong".into()));
    until("the daemon is ready", || lab.is_ready());
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    assert!(socket.exists(), "it is systemd's to remove");
}
