//! A victim and a world of attackers in network namespaces of their own, and the real daemon among them.
//!
//! Nothing of the host is touched. Needs root or user namespaces, and `ip`, `nft`, `socat`, `unshare`, `nsenter`;
//! what is missing fails the test with one line that names it: nothing is skipped in silence.

mod connections;
mod container;
mod nat;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use connections::Connection;
pub(crate) use container::{CUSTOM_JAILS, Container};
pub(crate) use nat::GATEWAY;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Victim, world, daemon.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    victim: Holder,
    world: Holder,
    daemon: Option<Child>,
}

/// A process that does nothing but keep its namespace alive.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(command: &mut Command) -> Output {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error} (is it installed?)"));
    assert!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Waits until `condition` holds; fails with `what` after a while.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Says aloud, past the test harness, what a test does not try.
pub(crate) fn skip(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// The words of what nft lists, without those after `expires`: the kernel counts the time down.
pub(crate) fn without_times(listing: &str) -> Vec<&str> {
    let mut words = listing.split_whitespace();
    let mut still = Vec::new();
    while let Some(word) = words.next() {
        if word == "expires" {
            words.next();
        } else {
            still.push(word);
        }
    }
    still
}

/// The current time as syslog writes it (local time), `ago` seconds ago.
pub(crate) fn syslog(ago: i64) -> String {
    let time = jiff::Zoned::now() - jiff::SignedDuration::from_secs(ago);
    time.strftime("%b %e %H:%M:%S").to_string()
}

/// A failed login as sshd writes it; no two are alike.
pub(crate) fn ssh_failure(address: &str) -> String {
    static PORT: AtomicU32 = AtomicU32::new(1024);
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    format!("{} victim sshd[4711]: Failed password for root from {address} port {port} ssh2\n", syslog(0))
}

impl Lab {
    /// A victim at 192.0.2.1 and `2001:db8::1`, and a world with these addresses behind a cable.
    pub(crate) fn new(world_addresses: &[&str]) -> Self {
        let lab = Self::alone();
        fs::create_dir_all(lab.path("etc/jails.d")).unwrap();
        let ip = |words: &str| run(lab.inside(&lab.victim, "ip").args(words.split(' ')));
        let ip_world = |words: &str| run(lab.inside(&lab.world, "ip").args(words.split(' ')));
        ip("link add victim type veth peer name world");
        ip(&format!("link set world netns {}", lab.world.0.id()));
        ip("address add 192.0.2.1/24 dev victim");
        ip("address add 2001:db8::1/64 dev victim nodad");
        ip("link set victim up");
        ip_world("link set lo up");
        ip_world("link set world up");
        for address in world_addresses {
            if address.contains(':') {
                ip_world(&format!("address add {address}/64 dev world nodad"));
            } else {
                ip_world(&format!("address add {address}/24 dev world"));
            }
        }
        lab
    }

    /// A victim with nothing but loopback, and a world of its own.
    pub(crate) fn alone() -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::create_dir_all(dir.path().join("logs")).unwrap();
        let victim = Self::hold(None);
        let world = Self::hold(Some(&victim));
        let lab = Self { dir, victim, world, daemon: None };
        run(lab.inside(&lab.victim, "ip").args(["link", "set", "lo", "up"]));
        lab
    }

    /// Any program of the victim.
    pub(crate) fn program(&self, path: &Path) -> Command {
        self.inside(&self.victim, &path.display().to_string())
    }

    fn hold(inside: Option<&Holder>) -> Holder {
        let mut command = match inside {
            None => {
                let mut unshare = Command::new("unshare");
                if !is_root() {
                    unshare.args(["--user", "--map-root-user"]);
                }
                unshare
            }
            Some(victim) => {
                let mut nsenter = enter(victim);
                nsenter.arg("unshare");
                nsenter
            }
        };
        command.args(["--net", "sh", "-c", "echo up; exec sleep infinity"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("unshare (util-linux) is needed");
        let mut up = [0; 3];
        let stdout = child.stdout.as_mut().unwrap();
        std::io::Read::read_exact(stdout, &mut up)
            .expect("a network namespace is needed: run as root, or allow user namespaces");
        Holder(child)
    }

    fn inside(&self, holder: &Holder, program: &str) -> Command {
        let mut command = enter(holder);
        command.arg(program);
        command.current_dir(self.dir.path());
        command
    }

    /// Another program inside the victim's namespace.
    pub(crate) fn tool(&self, program: &str) -> Command {
        self.inside(&self.victim, program)
    }

    /// A file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file below the test's directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Appends to a file below the test's directory, in one write.
    pub(crate) fn append(&self, name: &str, text: &str) {
        self.append_bytes(name, text.as_bytes());
    }

    /// The same, where it need not be text.
    pub(crate) fn append_bytes(&self, name: &str, bytes: &[u8]) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// A jail for sshd lines in `logs/<name>.log`, with more TOML lines.
    pub(crate) fn ssh_jail(&self, name: &str, more: &str) {
        let text = format!(
            "[jail.{name}]\nenabled = true\nlogs = [\"{}\"]\nmax_retry = 3\n{more}\n[jail.{name}.filter]\n\
             patterns = ['''sshd\\[\\d+\\]: Failed password for \\S+ from <HOST> port \\d+ ssh2$''']\n",
            self.path(&format!("logs/{name}.log")).display()
        );
        self.write(&format!("etc/jails.d/{name}.toml"), &text);
    }

    /// The program inside the victim's namespace.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.inside(&self.victim, env!("CARGO_BIN_EXE_stockade"));
        command
            .args(arguments)
            .arg("--etc")
            .arg(self.path("etc"))
            .env("STOCKADE_DAEMON__SOCKET", self.path("stockade.sock"))
            .env("STOCKADE_DAEMON__PID_FILE", self.path("stockade.pid"))
            .env("STOCKADE_DAEMON__STORE", self.path("stockade.sqlite3"));
        command
    }

    /// Runs a command of the program to its end.
    pub(crate) fn stockade(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that prints JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.stockade(&[arguments, &["--json"]].concat());
        answer(&output.stdout).unwrap_or_else(|| panic!("{arguments:?}: {output:?}\n{}", self.log()))
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(&mut self, arguments: &[&str]) {
        self.launch(arguments);
        until("the daemon is ready", || self.is_ready());
    }

    /// Starts the daemon.
    pub(crate) fn launch(&mut self, arguments: &[&str]) {
        self.launch_by(&[], arguments);
    }

    /// Starts the daemon by way of another program.
    pub(crate) fn launch_by(&mut self, wrapper: &[&str], arguments: &[&str]) {
        self.spawn(by(wrapper, &self.command(&[&["run"], arguments].concat())));
    }

    /// Starts a command that is, or becomes, the daemon.
    fn spawn(&mut self, mut command: Command) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("daemon.log")).unwrap();
        self.daemon = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    pub(crate) fn is_ready(&mut self) -> bool {
        if let Some(status) = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().unwrap()) {
            panic!("the daemon ended ({status}):\n{}", self.log());
        }
        let output = self.stockade(&["status", "--json"]);
        answer(&output.stdout).is_some_and(|status| status["ready"] == true)
    }

    /// What the daemon has logged so far, over all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// The daemon's process id.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        // nsenter replaces itself by the daemon, so the child is the daemon.
        rustix::process::Pid::from_child(self.daemon.as_ref().expect("the daemon runs"))
    }

    /// Sends the daemon a signal by its number.
    pub(crate) fn signal(&self, number: i32) {
        let pid = self.pid().as_raw_nonzero().to_string();
        run(Command::new("kill").args([format!("-{number}"), pid]));
    }

    /// Ends the daemon and waits for it.
    pub(crate) fn end(&mut self, number: i32) -> ExitStatus {
        self.signal(number);
        self.daemon.take().unwrap().wait().unwrap()
    }

    /// Waits for a daemon that ends by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.daemon.take().unwrap().wait().unwrap()
    }

    /// Whether no daemon runs.
    pub(crate) fn is_down(&mut self) -> bool {
        self.daemon.as_mut().is_none_or(|daemon| daemon.try_wait().unwrap().is_some())
    }

    /// Something that takes every connection to this port of the victim, for the life of the answer.
    pub(crate) fn serve(&self, port: u16) -> impl Drop + use<> {
        let mut command = self.inside(&self.victim, "socat");
        command.args(["-u", &format!("TCP6-LISTEN:{port},fork,reuseaddr,ipv6only=0"), "OPEN:/dev/null"]);
        self.listening(port, command)
    }

    /// The same, by another command of the victim.
    pub(crate) fn serve_by(&self, port: u16, words: &[&str]) -> impl Drop + use<> {
        let mut command = self.inside(&self.victim, words[0]);
        command.args(&words[1..]);
        self.listening(port, command)
    }

    fn listening(&self, port: u16, mut command: Command) -> Holder {
        let holder = Holder(command.spawn().expect("socat is needed"));
        until("the victim listens", || {
            let listening = run(self.inside(&self.victim, "ss").args(["-Hltn", &format!("sport = :{port}")]));
            !listening.stdout.is_empty()
        });
        holder
    }

    /// Whether a service of the victim says anything to this address of the world.
    pub(crate) fn is_greeted(&self, from: &str, port: u16) -> bool {
        let target = format!("TCP:192.0.2.1:{port},bind={from},connect-timeout=1");
        let mut command = self.inside(&self.world, "socat");
        let output = command.args(["-u", &target, "STDOUT"]).stderr(Stdio::null()).output().unwrap();
        !output.stdout.is_empty()
    }

    /// Whether a shell command of the victim succeeds.
    pub(crate) fn run_inside(&self, script: &str) -> bool {
        let mut command = self.inside(&self.victim, "sh");
        command.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    /// Whether a connection from this address of the world to this port of the victim works.
    pub(crate) fn reaches(&self, from: &str, port: u16) -> bool {
        let (to, from) = if from.contains(':') {
            ("[2001:db8::1]", format!("[{from}]"))
        } else {
            ("192.0.2.1", from.to_owned())
        };
        let target = format!("TCP:{to}:{port},bind={from},connect-timeout=1");
        let mut command = self.inside(&self.world, "socat");
        command.args(["-u", "OPEN:/dev/null", &target]).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    /// What nft says inside the victim.
    pub(crate) fn nft(&self, words: &str) -> String {
        let output = self.inside(&self.victim, "nft").args(words.split(' ')).output().expect("nft is needed");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// Who is banned in a jail, each as `address state`.
    pub(crate) fn banned(&self, jail: &str) -> Vec<String> {
        let mut status = Value::Null;
        until(&format!("{jail} has a moment"), || {
            status = self.json(&["status", jail]);
            !status["jails"][0]["state"].as_str().is_some_and(|state| state.starts_with("busy"))
        });
        let bans = status["jails"][0]["bans"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        bans.iter().map(|ban| format!("{} {}", text(&ban["id"]), text(&ban["state"]))).collect()
    }

    /// Waits until this address is banned in this jail and the kernel has confirmed it.
    pub(crate) fn until_banned(&self, jail: &str, address: &str) {
        let want = format!("{address} enforced");
        until(&format!("{address} is banned in {jail}"), || self.banned(jail).contains(&want));
    }

    /// One jail's status.
    pub(crate) fn status(&self, jail: &str) -> Value {
        self.json(&["status", jail])["jails"][0].clone()
    }

    /// Waits until a jail has read this many lines since its start.
    pub(crate) fn until_lines(&self, jail: &str, lines: u64) {
        until(&format!("{jail} has read {lines} lines"), || self.status(jail)["lines"] == lines);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// A command of [`Lab::command`] with a wrapper between the namespace and the program.
pub(crate) fn by(wrapper: &[&str], command: &Command) -> Command {
    let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let cut = words.iter().position(|word| word == "--").expect("nsenter ends its options with --") + 1;
    let mut inner = Command::new(command.get_program());
    inner.args(&words[..cut]).args(wrapper).args(&words[cut..]);
    inner.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        inner.current_dir(directory);
    }
    inner
}

/// What is inside the answer to a question: `{"status": …}`.
pub(crate) fn answer(json: &[u8]) -> Option<Value> {
    let Value::Object(object) = serde_json::from_slice(json).ok()? else { return None };
    object.into_iter().next().map(|(_, inside)| inside)
}

fn enter(holder: &Holder) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={}", holder.0.id())).arg("--net");
    if !is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.arg("--");
    command
}

/// Reads a file as text, empty when it is not there.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
