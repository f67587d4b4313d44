#!/usr/bin/env python3
"""Whether cost grows linearly: jails on one file, files of one jail, bans at a restart.

  tools/linear.py target/release/stockade [--json] [--only jails,files,bans,tree] [--lines N] [--most N]

`bans` come back into our own table, `tree` into the sets of Fail2Ban's stock action (where /etc/fail2ban is installed). They
come back twice: into a kernel that knows nothing, as after a boot, and where the last run left off. Fail2Ban takes its sets
away when it ends, and so do we there. Runs the program in network namespaces of its own; needs root and `unshare`. Bounded:
a measurement that does not end within --cap seconds counts as failed. Prints a table, or with --json one object.
"""
import argparse
import ipaddress
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

LINE = "{stamp} mx1 sshd[{pid}]: {text}\n"
TEXTS = (
    "Accepted publickey for deploy from 203.0.113.9 port 40022 ssh2: ED25519 SHA256:abcdef",
    "pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    "Received disconnect from 203.0.113.9 port 40022:11: disconnected by user",
    "pam_unix(sshd:session): session closed for user deploy",
)


class Daemon:
    """The program in namespaces and a folder of its own."""

    jail = "j0"

    def __init__(self, program, folder, cap):
        self.program, self.folder, self.cap, self.process = os.path.abspath(program), folder, cap, None
        self.keeper = None

    def configure(self, jails, logs):
        os.makedirs(self.folder + "/etc", exist_ok=True)
        place = {key: self.folder + "/" + key for key in ("socket", "pid_file", "store", "log_target")}
        text = "[daemon]\n" + "".join(f"{key} = {json.dumps(path)}\n" for key, path in place.items())
        for number in range(jails):
            text += f"[jail.j{number}]\nenabled = true\nlogs = {json.dumps(logs)}\nmax_retry = 1000\nports = [\"22\"]\n"
            text += f"[jail.j{number}.filter]\nprefix = '''^\\s*\\S+ sshd\\[\\d+\\]: <F-CONTENT>.+</F-CONTENT>$'''\n"
            text += "patterns = ['''^Failed password for .* from <HOST> port \\d+ ssh2$''']\n"
        with open(self.folder + "/etc/stockade.toml", "w", encoding="utf-8") as file:
            file.write(text)

    def words(self):
        return [self.program, "--etc", self.folder + "/etc", "run"]

    def boot(self):
        """A kernel without a ban: a network namespace, which this process keeps."""
        self.halt()
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdout.readline()

    def halt(self):
        if self.keeper:
            self.keeper.communicate()
            self.keeper = None

    def start(self):
        """Starts it; the seconds until saved bans are in force."""
        if not self.keeper:
            self.boot()
        out = open(self.folder + "/out", "ab")
        begin = time.monotonic()
        words = ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", *self.words()]
        self.process = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.until(lambda: (self.ask("ping") or {}).get("pong", {}).get("ready"), 0.002)
        return time.monotonic() - begin

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(self.cap)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def ask(self, request):
        """The answer to a request, none while nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(self.folder + "/socket")
                peer.sendall(json.dumps(request).encode() + b"\n")
                with peer.makefile() as answer:
                    return json.loads(answer.readline() or "null")
        except (OSError, ValueError):
            return None

    def lines(self):
        """The fewest lines that a jail has read."""
        status = (self.ask({"status": {"jail": None}}) or {}).get("status", {"jails": []})
        return min((jail["lines"] for jail in status["jails"]), default=0)

    def until(self, holds, pause):
        end = time.monotonic() + self.cap
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.folder + "/out", encoding="utf-8", errors="replace") as out:
                    raise RuntimeError("it did not get there: " + out.read()[-600:])
            time.sleep(pause)

    def cpu(self):
        """CPU seconds of all its threads so far."""
        spent = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="utf-8") as stat:
                spent += int(stat.read().split()[0])
        return spent / 1e9

    def took(self, *words):
        """Milliseconds from the start of a command of Fail2Ban's client to its end, the median of eleven; its answer."""
        client, times = self.folder + "/fail2ban-client", []
        if not os.path.lexists(client):
            os.symlink(self.program, client)
        for _ in range(11):
            begin = time.monotonic()
            said = subprocess.run([client, "-s", self.folder + "/socket", *words], capture_output=True, check=True)
            times.append((time.monotonic() - begin) * 1e3)
        return round(statistics.median(times), 1), said.stdout.decode()

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


class Tree(Daemon):
    """The same on Fail2Ban's configuration, as it is installed, with sshd."""

    jail = "sshd"
    SOURCE = "/etc/fail2ban"

    def configure(self, _jails, logs):
        etc = self.folder + "/etc"
        shutil.copytree(self.SOURCE, etc, dirs_exist_ok=True)
        for file in os.listdir(etc + "/jail.d"):
            os.unlink(f"{etc}/jail.d/{file}")
        with open(etc + "/jail.local", "w", encoding="utf-8") as file:
            file.write(f"[sshd]\nenabled = true\nlogpath = {logs[0]}\nbackend = auto\nbanaction = nftables-multiport\n")
        with open(etc + "/fail2ban.local", "w", encoding="utf-8") as file:
            places = {"socket": "socket", "pidfile": "pid_file", "dbfile": "store", "logtarget": "log_target"}
            file.write("[Definition]\n" + "".join(f"{key} = {self.folder}/{name}\n" for key, name in places.items()))
        os.symlink(self.program, self.folder + "/fail2ban-server")

    def words(self):
        place = self.folder
        options = ["-c", place + "/etc", "-s", place + "/socket", "-p", place + "/pid_file"]
        return [place + "/fail2ban-server", "-f", "-x", *options, "start"]


def text(lines):
    """Lines of sshd, one in twenty a failure of one of a thousand addresses."""
    stamp, one = time.strftime("%b %e %H:%M:%S"), []
    for number in range(min(lines, 20_000)):
        said = TEXTS[number % len(TEXTS)]
        if number % 20 == 0:
            said = f"Failed password for root from 100.64.{number // 20 // 250}.{number // 20 % 250 + 1} port 40022 ssh2"
        one.append(LINE.format(stamp=stamp, pid=1000 + number, text=said))
    return "".join(one) * (lines // len(one)) + "".join(one[: lines % len(one)])


def reading(daemon, jails, files, lines):
    """Lines written round-robin over the files; read by every jail."""
    logs = [f"{daemon.folder}/log{number}" for number in range(files)]
    for log in logs:
        open(log, "wb").close()
    daemon.configure(jails, [f"{daemon.folder}/log*"])
    daemon.start()
    time.sleep(1)
    idle = daemon.cpu()
    time.sleep(5)
    idle = (daemon.cpu() - idle) / 5
    rounds = max(1, min(10, lines // files // 20))
    part = text(lines // files // rounds).encode()
    total = part.count(b"\n") * files * rounds
    cpu, begin = daemon.cpu(), time.monotonic()
    for _ in range(rounds):
        for log in logs:
            with open(log, "ab", buffering=0) as file:
                file.write(part)
    daemon.until(lambda: daemon.lines() >= total, 0.005)
    seconds, cpu, rss = time.monotonic() - begin, daemon.cpu() - cpu, daemon.rss()
    daemon.stop()
    return {
        "jails": jails, "files": files, "lines": total, "lines_s": round(total / seconds),
        "cpu_us_a_line": round(cpu / total * 1e6, 2), "cpu_us_a_line_and_jail": round(cpu / total / jails * 1e6, 2),
        "idle_cpu_pct": round(100 * idle, 2), "rss_mib": round(rss, 1),
    }


def restart(daemon, bans):
    """Starts with so many bans saved."""
    open(daemon.folder + "/log0", "wb").close()
    daemon.configure(1, [daemon.folder + "/log0"])
    daemon.start()
    daemon.stop()
    now, first = int(time.time()), int(ipaddress.ip_address("198.18.0.0"))
    with sqlite3.connect(daemon.folder + "/store") as store:
        rows = ((str(ipaddress.ip_address(first + n)), daemon.jail, now) for n in range(bans))
        store.executemany("INSERT INTO bips(ip, jail, timeofban, bantime, bancount, data) VALUES (?, ?, ?, 86400, 1, '{}')", rows)
    store.close()
    daemon.boot()
    seconds = daemon.start()
    cpu = daemon.cpu()
    daemon.stop()
    again = daemon.start()
    time.sleep(2)
    status = daemon.ask({"status": {"jail": None}})["status"]["jails"][0]
    rss = daemon.rss()
    brief, listed = daemon.took("status"), daemon.took("get", daemon.jail, "banip", "--with-time")
    lines = listed[1].count("\n")
    if lines != bans:
        raise RuntimeError(f"{lines} bans were listed, not {bans}")
    daemon.stop()
    return {
        "bans": bans, "in_force": status["banned_now"], "boot_s": round(seconds, 3), "cpu_s": round(cpu, 2),
        "restart_s": round(again, 3), "us_a_ban": round(seconds / bans * 1e6, 1), "rss_mib": round(rss, 1),
        "status_ms": brief[0], "listed_ms": listed[0],
    }


def table(rows):
    names = list(rows[0])
    lines = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(word.rjust(width) for word, width in zip(line, widths)), flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="jails,files,bans,tree")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--most", type=int, default=1_000_000, help="bans at most")
    parser.add_argument("--cap", type=float, default=120)
    options = parser.parse_args()
    series = {
        "jails": [lambda d, n=n: reading(d, n, 1, options.lines) for n in (1, 5, 20)],
        "files": [lambda d, n=n: reading(d, 1, n, options.lines) for n in (1, 10, 100, 1000)],
        "bans": [lambda d, n=n: restart(d, n) for n in (1_000, 10_000, 100_000, 1_000_000) if n <= options.most],
    }
    series["tree"] = series["bans"]
    results = {}
    for name in options.only.split(","):
        results[name] = []
        if name == "tree" and not os.path.isdir(Tree.SOURCE):
            print(f"SKIPPED: tree: there is no {Tree.SOURCE}", file=sys.stderr)
            continue
        for measure in series[name]:
            folder = tempfile.mkdtemp(prefix="linear-")
            daemon = (Tree if name == "tree" else Daemon)(options.program, folder, options.cap)
            try:
                results[name].append(measure(daemon))
            finally:
                daemon.stop()
                daemon.halt()
                shutil.rmtree(folder, ignore_errors=True)
        if not options.json:
            table(results[name])
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    sys.exit(main())
