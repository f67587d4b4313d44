#!/usr/bin/env python3
"""Writes tools/order.ld, which puts the functions that a running daemon uses next to each other.

The kernel maps a program's code in pieces of 64 KiB and more around each page that is used. Where what is used lies all
over the program, most of it is in memory after a while. So the linker is told what to put first (build.rs): what a daemon
uses while it reads, then what it uses while it starts. Names stand without their hashes and with the crate they were
compiled in, so that the order outlives changes, new compilers and new dependencies; what it does not know any more lies
where it would without it. Run it again after larger changes.

It builds a release, starts it in a network namespace of its own with a breakpoint at each function, and writes lines to
its logs. Takes root on x86-64; with Debian's fail2ban installed that tree is tried, too.
"""
import ctypes, os, random, re, shutil, signal, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
TRACEME, PEEKUSER, POKEUSER, CONT, SETOPTIONS, RIP = 0, 3, 6, 7, 0x4200, 128
FOLLOW = 0x2 | 0x4 | 0x8 | 0x100000  # fork, vfork, clone; nothing outlives this
ALL, POLL = 0x40000000, 0x40000001  # waitpid: all threads, without waiting


def build(folder):
    """Builds a release with the linker's map; the program and its functions: {address: (crate, section)}."""
    target, chart = os.path.join(ROOT, "target/order"), os.path.join(folder, "map")
    subprocess.run(["cargo", "rustc", "--release", "--locked", "--bin", "stockade", "--",
                    "-Clink-arg=-Wl,-Map=" + chart], cwd=ROOT, check=True, env={**os.environ, "CARGO_TARGET_DIR": target})
    return os.path.join(target, "release/stockade"), functions(chart)


def functions(chart):
    found = {}
    for line in open(chart, errors="replace"):
        part = re.match(r"\s*([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+\s+(\S+):\((\.text\.[^)]+)\)$", line)
        if part and int(part[2], 16):
            crate = re.search(r"\.(\w+)-[0-9a-f]{16}\.", part[3].split("/")[-1])
            found[int(part[1], 16)] = (crate[1] if crate else "", part[4])
    return found


class Traced:
    """A program that stops at the first use of each function."""

    def __init__(self, argv, places):
        self.used, self.over = [], False
        self.pid = os.fork()
        if self.pid == 0:
            keep_what_is_given_back()
            LIBC.ptrace(TRACEME, 0, None, None)
            os.execv(argv[0], argv)
        os.waitpid(self.pid, 0)
        LIBC.ptrace(SETOPTIONS, self.pid, None, FOLLOW)
        program, base = os.readlink("/proc/%d/exe" % self.pid), None
        for line in open("/proc/%d/maps" % self.pid):
            words = line.split()
            if len(words) > 5 and words[5] == program:
                start, end = (int(word, 16) for word in words[0].split("-"))
                base = start - int(words[2], 16) if base is None else base
                if "x" in words[1]:
                    self.start, self.size = start, end - start
        self.memory = open("/proc/%d/mem" % self.pid, "r+b", buffering=0)
        self.memory.seek(self.start)
        self.text = self.memory.read(self.size)
        self.places = {base + place: what for place, what in places.items()}
        self.arm()
        LIBC.ptrace(CONT, self.pid, None, None)

    def arm(self):
        text = bytearray(self.text)
        for place in self.places:
            text[place - self.start] = 0xCC
        self.memory.seek(self.start)
        self.memory.write(text)

    def begin_anew(self):
        """Forgets what was used so far."""
        stopped = []
        for thread in [int(name) for name in os.listdir("/proc/%d/task" % self.pid)]:
            LIBC.syscall(234, self.pid, thread, signal.SIGSTOP)  # tgkill
            while True:
                status = os.waitpid(thread, ALL)[1]
                if os.WIFSTOPPED(status) and os.WSTOPSIG(status) != signal.SIGSTOP:
                    self.handle(thread, status)
                    continue
                break
            stopped.append(thread)
        used, self.used = self.used, []
        self.arm()
        for thread in stopped:
            LIBC.ptrace(CONT, thread, None, None)
        return used

    def handle(self, thread, status):
        if not os.WIFSTOPPED(status):
            self.over |= thread == self.pid
            return
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP and not status >> 16:
            place = LIBC.ptrace(PEEKUSER, thread, RIP, None) - 1
            if place in self.places:
                self.used.append(self.places[place])
                at = place - self.start
                with open("/proc/%d/mem" % thread, "r+b", buffering=0) as memory:
                    memory.seek(place)
                    memory.write(self.text[at:at + 1])
                LIBC.ptrace(POKEUSER, thread, RIP, place)
        passed = None if number in (signal.SIGTRAP, signal.SIGSTOP) else number
        LIBC.ptrace(CONT, thread, None, passed)

    def go_on(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.over and not until():
            thread, status = os.waitpid(-1, POLL)
            if thread:
                self.handle(thread, status)
            else:
                time.sleep(0.001)


def keep_what_is_given_back():
    """The daemon gives pages of code back (MADV_DONTNEED), and with them the breakpoints: here it cannot."""
    code = [(0x20, 0, 0, 0), (0x15, 0, 3, 28), (0x20, 0, 0, 32), (0x15, 0, 1, 4), (6, 0, 0, 0x50016), (6, 0, 0, 0x7FFF0000)]
    raw = b"".join(a.to_bytes(2, "little") + bytes((b, c)) + d.to_bytes(4, "little") for a, b, c, d in code)
    buffer = ctypes.create_string_buffer(raw, len(raw))
    program = len(code).to_bytes(8, "little") + ctypes.addressof(buffer).to_bytes(8, "little")
    LIBC.prctl(22, 2, ctypes.c_char_p(program), 0, 0)


def lines(kind, count):
    chance, stamp = random.Random(1), time.strftime("%b %e %H:%M:%S host ")
    some = {
        "sshd": ["sshd[{n}]: Failed password for invalid user u{n} from {ip} port {n} ssh2",
                 "sshd[{n}]: Invalid user u{n} from {ip} port {n}", "sshd[{n}]: Connection closed by {ip} port {n} [preauth]",
                 "sshd[{n}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user=root",
                 "sshd[{n}]: Received disconnect from {ip} port {n}:11: Bye Bye [preauth]"],
        "mail": ["postfix/smtpd[{n}]: NOQUEUE: reject: RCPT from unknown[{ip}]: 554 5.7.1 <a@example.org>: Relay access denied; "
                 "from=<b@example.net> to=<a@example.org> proto=ESMTP helo=<x{n}>",
                 "postfix/smtpd[{n}]: warning: unknown[{ip}]: SASL LOGIN authentication failed: authentication failure",
                 "dovecot: imap-login: Disconnected (auth failed, 1 attempts in 5 secs): user=<u{n}>, method=PLAIN, rip={ip}, "
                 "lip=192.0.2.1, TLS"],
    }[kind]
    noise = ["CRON[{n}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
             "sshd[{n}]: Accepted publickey for anna from {ip} port {n} ssh2: ED25519 SHA256:{n}",
             "postfix/qmgr[{n}]: {n}A: removed", "dovecot: imap(anna)<{n}>: Logged out in={n} out=1"]
    for number in range(count):
        text = chance.choice(some if chance.random() < 0.1 else noise)
        address = "198.%d.%d.%d" % (18 + chance.randrange(2), chance.randrange(40), chance.randrange(250))
        yield stamp + text.format(n=1000 + number, ip=address) + "\n"
    for kind in some:
        yield from (stamp + kind.format(n=1, ip="198.18.99.9") + "\n" for _ in range(6))


def own(program, folder, kind):
    """Jails in TOML"""
    names = {"sshd": ["sshd"], "mail": ["postfix", "dovecot"]}[kind]
    jails = "".join('[jail.%s]\nenabled = true\nlogs = ["%s/log"]\n' % (name, folder) for name in names)
    daemon = "".join('%s = "%s/%s"\n' % (key, folder, key) for key in ("socket", "pid_file", "store"))
    with open(folder + "/stockade.toml", "w") as file:
        file.write("[daemon]\n%slog_target = \"%s/said\"\n%s" % (daemon, folder, jails))
    return [program, "run", "--etc", folder]


def theirs(program, folder, kind):
    ""
    shutil.copytree("/etc/fail2ban", folder + "/etc")
    for old in os.listdir(folder + "/etc/jail.d"):
        os.unlink(folder + "/etc/jail.d/" + old)
    names = {"sshd": ["sshd"], "mail": ["postfix", "dovecot"]}[kind]
    more = "enabled = true\nbackend = auto\nbanaction = nftables-multiport\nlogpath = %s/log\n" % folder
    open(folder + "/etc/jail.local", "w").write("".join("[%s]\n%s" % (name, more) for name in names))
    open(folder + "/etc/fail2ban.local", "w").write(
        "[Definition]\nlogtarget = %s/said\nsocket = %s/sock\npidfile = %s/pid\ndbfile = %s/db\n" % ((folder,) * 4))
    os.symlink(program, folder + "/fail2ban-server")
    return [folder + "/fail2ban-server", "-f", "-c", folder + "/etc", "start"]


def watch(program, places, configure, kind):
    """What a start uses, and what is used from then on."""
    with tempfile.TemporaryDirectory() as folder:
        open(folder + "/log", "w").close()
        argv, said = configure(program, folder, kind), folder + "/said"
        traced = Traced(argv, places)
        traced.go_on(60, lambda: os.path.exists(said) and "ready" in open(said).read())
        start = traced.begin_anew()
        with open(folder + "/log", "a") as log:
            log.writelines(lines(kind, 60_000))
        traced.go_on(8)
        os.kill(traced.pid, signal.SIGKILL)
        traced.go_on(5)
        banned = " Ban " in open(said).read()
        print("%s, %s: %d functions at the start, %d then%s"
              % (configure.__doc__, kind, len(start), len(traced.used), "" if banned else "; NOBODY WAS BANNED"))
        return start, traced.used


def plain(section):
    """A name without what differs from compiler to compiler."""
    return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", re.sub(r"17h[0-9a-f]{16}E.*|\.llvm\.\d+", lambda m: "17h*" if m[0][0] == "1" else "*", section))


def script(parts):
    yield "/* Written by tools/order.py, which says what it is for. */\nSECTIONS {"
    known = set()
    for name, used in parts:
        yield "  .text.%s : {" % name
        crates = {}
        for crate, section in used:
            if (crate, plain(section)) not in known:
                known.add((crate, plain(section)))
                crates.setdefault(crate, []).append(plain(section))
        for crate, sections in crates.items():
            yield "    %s(%s)" % ("*.%s-*" % crate if crate else "*", "\n      ".join(sections))
        yield "  }"
    yield "} INSERT BEFORE .text;"


def main():
    LIBC.unshare(0x40000000)
    with tempfile.TemporaryDirectory() as folder:
        program, places = build(folder) if len(sys.argv) == 1 else (sys.argv[1], functions(sys.argv[2]))
    start, then = [], []
    for configure in [own] + ([theirs] if os.path.isdir("/etc/fail2ban/filter.d") else []):
        for kind in ("sshd", "mail"):
            one, other = watch(program, places, configure, kind)
            start += one
            then += other
    with open(os.path.join(ROOT, "tools/order.ld"), "w") as file:
        file.write("\n".join(script([("running", then), ("starting", start)])) + "\n")


main()
