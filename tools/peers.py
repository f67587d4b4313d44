#!/usr/bin/env python3
"""peers.py PROGRAM: measures it and its peers side by side, on the same logs in the same run.

It drives the bench that lies beside the project (../shared/bench): namespaces of its own, the kernel's own
notifications, CPU from a cgroup. Needs root. Which peers are installed is found out; who is not, and how to get it, is
said. Where the order matters, runs take turns: us, peer, us, peer, ...

  tools/peers.py target/release/stockade                   all of it, about half an hour
  tools/peers.py target/release/stockade --quick           few lines, few bans: does it work at all; about 5 minutes
  tools/peers.py target/release/stockade --only A,B-idle   A: lines; B-idle, B-load: latency; C (with D): storms; E: memory

The results are JSON lines, first what machine it was; tools/figures.py makes tables of them, tools/plot.py plots.
"""
import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import figures

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
GROUPS = ("A", "B-idle", "B-load", "C", "E")


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


class Peer:
    """A daemon that the bench has an adapter for."""

    def __init__(self, name, adapter, opts=()):
        self.name, self.adapter, self.opts = name, adapter, list(opts)


def peers(program):
    """Us and who is installed; of the others it is said how to get them."""
    found = [Peer("stockade", "stockade", ["bin=" + os.path.abspath(program)])]
    rival = os.environ.get("FAIL2BAN_RS") or shutil.which("fail2ban-rs") or shutil.which("fail2ban-rs", path="/opt/peers/bin")
    if rival and os.access(rival, os.X_OK):
        found.append(Peer("fail2ban-rs", "f2brs", ["bin=" + os.path.abspath(rival)]))
    else:
        say("SKIPPED: fail2ban-rs: cargo install fail2ban-rs --version 1.5.4, then PATH or FAIL2BAN_RS=/path/of/it")
    server = "/usr/bin/fail2ban-server"
    try:
        with open(server, "rb") as file:
            is_python = b"python" in file.readline(80)
    except OSError:
        is_python = False
    if is_python:
        found.append(Peer("fail2ban", "fail2ban"))
    elif os.path.exists(server):
        say("SKIPPED: fail2ban: %s is another program: make uninstall" % server)
    else:
        say("SKIPPED: fail2ban: apt-get install fail2ban")
    if os.path.exists("/usr/sbin/sshguard") and os.path.isdir("/usr/libexec/sshguard"):
        found.append(Peer("sshguard", "sshguard"))
    else:
        say("SKIPPED: sshguard: apt-get install sshguard")
    if not os.path.isdir("/etc/fail2ban/filter.d"):
        sys.exit("peers: no /etc/fail2ban: its stock filters are what is measured: apt-get install fail2ban")
    return found


class Run:
    """One run over everything: where the bench is, what was found, when it must end."""

    def __init__(self, args):
        self.args, self.deadline = args, time.monotonic() + 60 * args.minutes
        self.work = tempfile.mkdtemp(prefix="stockade-peers-")
        self.out = open(args.json, "w", encoding="utf-8")
        self.child = None

    def note(self, who, test, turn, result):
        self.out.write(json.dumps({"who": who, "test": test, "turn": turn, "r": result}) + "\n")
        self.out.flush()

    def bench(self, peer, tests, turn, *options, cap=300):
        """One call of the bench; its results are noted, under names with the size in them where `options` has one."""
        left = self.deadline - time.monotonic()
        if left < 5:
            return say("OUT OF TIME: %s %s (--minutes)" % (peer.name, tests))
        command = [sys.executable, "-B", self.args.bench + "/bench.py", "--adapter", peer.adapter, "--tests", tests,
                   "--label=-peers", "--ns", self.args.ns, "--work", self.work, "--results", self.work + "/results",
                   "--seed", str(self.args.seed), "--cap", str(cap)]
        for opt in peer.opts:
            command += ["--opt", opt]
        say(peer.name, tests, "turn %d" % turn, *options)
        with open(self.work + "/bench.err", "ab") as errors:
            self.child = subprocess.Popen(command + list(options), stdout=subprocess.PIPE, stderr=errors, text=True)
            try:
                text, _ = self.child.communicate(timeout=min(left, 2.5 * cap + 120))
            except subprocess.TimeoutExpired:
                say("TOOK TOO LONG: %s %s" % (peer.name, tests))
                self.child.terminate()
                text, _ = self.child.communicate()
        for line in text.splitlines():
            result = json.loads(line) if line.startswith("{") else {}
            if "error" in result.get("r", {}):
                say("FAILED: %s %s: %s" % (peer.name, result["test"], result["r"]["error"]))
            if "r" in result:
                self.note(peer.name, self.sized(result["test"], options), turn, dict(result["r"], loadavg=result["loadavg"]))
        return None

    @staticmethod
    def sized(test, options):
        if test not in ("C", "D"):
            return test
        size = int(options[options.index("--storm") + 1])
        return "%s-%s" % (test, "%dk" % (size // 1000) if size >= 1000 else size)

    def limit(self, kind, lines, turn):
        """What ripgrep needs to count lines that match a few plain patterns: nobody can be much faster."""
        if not shutil.which("rg"):
            return
        log = "%s/limit-%s.log" % (self.work, kind)
        if not os.path.exists(log):
            subprocess.run([sys.executable, "-B", self.args.bench + "/loggen.py", "file", "--kind", kind, "--lines", str(lines),
                            "--seed", str(self.args.seed), "--out", log], check=True)
        patterns = "%s/limit/%s.pat" % (self.args.bench, {"auth": "sshd"}.get(kind, kind))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["rg", "--no-config", "-j1", "--no-mmap", "-c", "-f", patterns, log], stdout=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.note("limit", "A-" + kind, turn, {"done": True, "cpu_s": round(cpu, 3), "lines_s": int(lines / max(cpu, 0.001))})

    def close(self, *_):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            self.child.wait()
        self.out.close()
        shutil.rmtree(self.work, ignore_errors=True)


def lines(run, found):
    """A: a million lines at once, through the daemon and through the offline matcher; turns for those who are fast."""
    quick = run.args.quick
    count = 200_000 if quick else 1_000_000
    fast = [peer for peer in found if peer.name in ("stockade", "fail2ban-rs")]
    for kind in ("auth", "mail"):
        for turn in range(1, run.args.pairs + 1):
            for peer in fast:
                run.bench(peer, "A-" + kind, turn, "--lines", str(count))
            run.limit(kind, count, turn)
        for peer in (peer for peer in found if peer.name == "fail2ban"):
            run.bench(peer, "A-" + kind, 1, "--lines", str(20_000 if quick else count))
        if any(peer.name == "sshguard" for peer in found):
            say("left out: sshguard A-%s: it does not come to the end in minutes" % kind)


def latency(run, found, test):
    """B: from the last line written to the kernel's word."""
    bans, gap = (40, 0.2) if run.args.quick else (300, 0.25)
    for peer in found:
        if test == "B-load" and peer.name == "sshguard":
            say("left out: sshguard B-load: it collapses under the load")
            continue
        run.bench(peer, test, 1, "--bans", str(bans), "--gap", str(gap))


def storms(run, found):
    """C: so many attackers at once; D: a restart with so many bans."""
    for peer in found:
        if peer.name == "sshguard":
            say("left out: sshguard C: ten of ten thousand in two minutes")
            continue
        sizes = [2000] if run.args.quick else [10_000]
        if peer.name == "stockade" and not run.args.quick or run.args.slow:
            sizes.append(100_000)
        for size in sizes:
            run.bench(peer, "C", 1, "--storm", str(size), cap=600 if run.args.slow else 240)


def restarts(run):
    """D by our own word, in Fail2Ban's sets and in our own table: from the start to the last acknowledgement."""
    words = [os.path.join(ROOT, "tools", "linear.py"), run.args.program, "--only", "tree,bans", "--json"]
    said = subprocess.run([sys.executable, *words, "--most", "10000" if run.args.quick else "1000000"], stdout=subprocess.PIPE, text=True, check=True)
    for world, rows in json.loads(said.stdout).items():
        for row in rows:
            run.note("stockade", "D-%s-%s" % (world, row["bans"]), 1, dict(row, done=row["in_force"] == row["bans"]))


def machine():
    """The machine in words that name no host."""
    def first(path, pattern):
        try:
            with open(path, encoding="utf-8") as file:
                found = re.search(pattern, file.read(), re.M)
        except OSError:
            found = None
        return found.group(1).strip() if found else "?"
    memory = int(first("/proc/meminfo", r"^MemTotal:\s+(\d+)") or 0) // 1048576
    kernel = re.match(r"[\d.]+", os.uname().release)
    return {"cores": os.cpu_count(), "cpu": first("/proc/cpuinfo", r"^model name\s*:\s*(.*)$"), "memory_gib": memory,
            "system": first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'), "kernel": kernel.group(0) if kernel else "?",
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "loadavg": round(os.getloadavg()[0], 1)}


def versions(found):
    asked = {"stockade": [found[0].opts[0][4:], "version"], "fail2ban": ["/usr/bin/fail2ban-server", "--version"]}
    asked.update({peer.name: [peer.opts[0][4:], "--version"] for peer in found if peer.name == "fail2ban-rs"})
    said = {}
    for name, command in asked.items():
        try:
            text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        number = re.search(r"\d+\.\d+[\w.]*", text)
        said[name] = number.group(0) if number else "?"
    return said


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("program", help="the program to measure, of a release build")
    add("--only", default=",".join(GROUPS), help="some of " + ",".join(GROUPS))
    add("--quick", action="store_true", help="few lines and bans; not for publishing")
    add("--slow", action="store_true", help="100 k attackers for the peers, too: a quarter of an hour each")
    add("--pairs", type=int, help="turns of A; 5, with --quick 2")
    add("--peers", help="only these, such as stockade,fail2ban-rs")
    add("--seed", type=int, default=1, help="of the logs")
    add("--ns", default="p", help="a letter, so that two benches may run at once")
    add("--minutes", type=float, default=90, help="after so many, what is left is skipped")
    add("--bench", default=os.path.join(ROOT, "..", "shared", "bench"), help="where the bench is")
    add("--json", default=os.path.join(ROOT, "target", "peers.jsonl"), help="where the results go")
    args = parser.parse_args()
    args.bench = os.path.abspath(args.bench)
    args.pairs = args.pairs or (2 if args.quick else 5)
    wrong = set(args.only.split(",")) - set(GROUPS)
    if wrong:
        parser.error("--only: no %s; there are %s" % (", ".join(sorted(wrong)), ",".join(GROUPS)))
    return args


def main():
    args = arguments()
    if not os.path.exists(args.bench + "/bench.py"):
        print("SKIPPED: the bench is not beside this project (%s): nothing was measured" % args.bench)
        return
    if os.geteuid() != 0:
        sys.exit("peers: namespaces and nftables need root")
    if not os.access(args.program, os.X_OK):
        sys.exit("peers: %s is no program: make build" % args.program)
    found = peers(args.program)
    if not shutil.which("rg"):
        say("SKIPPED: the limit of matching: apt-get install ripgrep")
    if args.peers:
        found = [peer for peer in found if peer.name in args.peers.split(",")]
    os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
    run = Run(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run.out.write(json.dumps({"machine": machine(), "versions": versions(found), "quick": args.quick, "pairs": args.pairs, "seed": args.seed}) + "\n")
        for group in GROUPS:
            if group not in args.only.split(","):
                continue
            if group == "A":
                lines(run, found)
            elif group == "C":
                storms(run, found)
                if any(peer.name == "stockade" for peer in found):
                    restarts(run)
            elif group == "E":
                for peer in found:
                    run.bench(peer, "E", 1)
            else:
                latency(run, found, group)
    finally:
        run.close()
    print(figures.plain(figures.load(args.json)))
    say("results: %s; tools/figures.py and tools/plot.py make table and plots of them" % os.path.relpath(args.json))


if __name__ == "__main__":
    main()
