#!/usr/bin/env python3
"""breakdown.py PROGRAM: where a line's time goes in the running daemon, stage by stage, from perf's samples.

PROGRAM needs symbols (`make bench-profile` builds it). The bench beside the project (../shared/bench) gives it a million
lines in namespaces; samples from the moment on when they were written are told apart by the innermost function that
belongs to a stage. Needs root and perf.

  tools/breakdown.py target/profiling/stockade                               sshd's lines, then those of postfix and dovecot
  tools/breakdown.py target/profiling/stockade --kind auth --folded STACKS   besides, stacks for a flame graph
  tools/breakdown.py target/profiling/stockade --write docs/performance.md   puts it there between its marks
"""
import argparse
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import figures

ROOT = figures.ROOT
MARKS = ("<!-- breakdown -->", "<!-- /breakdown -->")

# The first that the innermost frame matches; where none does, the frame around it is asked.
STAGES = [(stage, re.compile(pattern)) for stage, pattern in (
    ("read", r"filemap_read|file_read_iter|copy_page_to_iter|inotify"),
    ("store", r"rusqlite|sqlite|stockade::store|stockade::actor::store|fdatasync|fsync"),
    ("firewall", r"stockade::firewall|stockade::actor::firewall|nf_tables|nft_|netlink"),
    ("date", r"stockade::filter::date|jiff::"),
    ("prefilter", r"stockade::filter::prefilter|aho_corasick|memchr::memmem|regex_automata::hybrid"),
    ("match", r"stockade::filter::(?:pattern|matcher|patterns|rewrite|syntax)|regex_automata|fancy_regex"),
    ("session", r"stockade::filter::session"),
    ("judge", r"stockade::filter"),
    ("count", r"stockade::(?:jail|tracker|roster|ignore|id|subnet)"),
    ("read", r"stockade::source|stockade::actor::tailer|linemux|ksys_read"),
    ("log", r"stockade::log|tracing"),
    ("actors", r"stockade::actor|actix|tokio::|crossbeam|futures"),
)]
MEANS = {
    "read": "files and blocks of lines", "prefilter": "scan for literals, automaton of all patterns", "date": "find and read it",
    "match": "patterns and their captures", "session": "what a connection said before", "judge": "the rest of the filter",
    "count": "tracker, roster, ignore rules", "store": "SQLite and the disk", "firewall": "netlink and the kernel's part of it",
    "log": "what is said",
    "actors": "messages and waiting", "other": "none of these"}


def stage_of(frames):
    for frame in frames:
        for stage, pattern in STAGES:
            if pattern.search(frame):
                return stage
    return "other"


def samples(text, since):
    """(thread, frames from the innermost on) of each sample after `since`, a moment of the monotonic clock."""
    thread, frames, when = None, [], 0.0
    for line in text:
        line = line.rstrip("\n")
        head = re.match(r"^(\S.*?)\s+\d+\s+([\d.]+):", line)
        if head:
            thread, when, frames = head.group(1), float(head.group(2)), []
        elif not line and thread is not None:
            if when >= since and frames:
                yield thread, frames
            thread = None
        elif line.startswith((" ", "\t")):
            found = re.match(r"\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$", line)
            if found:
                frames.append(found.group(1))


def plain(symbol):
    """A symbol without hash, types and the crate's name."""
    symbol = re.sub(r"::h[0-9a-f]{16}$", "", symbol)
    previous = None
    while previous != symbol:
        previous, symbol = symbol, re.sub(r"::<[^<>]*>", "", symbol)
    return symbol.replace("stockade::", "").replace("|", "/")[:60]


def daemon_of(work):
    """The process id of the bench's daemon, once it runs."""
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words and words[0].startswith(work.encode()) and words[0].endswith(b"/fail2ban-server"):
            return int(name)
    return None


def waited(condition, seconds, child):
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        value = condition()
        if value:
            return value
        time.sleep(0.002)
    return None


def record(args, kind, work):
    """Runs the bench with perf at its daemon; what it measured, when the lines were written, where the samples are."""
    log, data = "%s/stockade-profile%s/%s.log" % (work, args.ns, kind), work + "/perf.data"
    command = [sys.executable, "-B", args.bench + "/bench.py", "--adapter", "stockade", "--opt", "bin=" + os.path.abspath(args.program),
               "--label=-profile", "--ns", args.ns, "--work", work, "--results", work + "/results", "--no-matcher",
               "--lines", str(args.lines), "--seed", str(args.seed), "--tests", "A-" + kind, "--cap", "120"]
    bench = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    perf = None
    try:
        pid = waited(lambda: daemon_of(work), 60, bench)
        if not pid:
            sys.exit("breakdown: the bench started no daemon")
        # The warm-up: from here on it has all its threads, and a second to go.
        if not waited(lambda: os.path.exists(log) and os.path.getsize(log) > 0, 60, bench):
            sys.exit("breakdown: the daemon did not come up")
        words = open(work + "/perf.err", "wb")
        perf = subprocess.Popen(["perf", "record", "-q", "-F", str(args.rate), "--call-graph", args.unwind, "-k", "CLOCK_MONOTONIC", "-o", data, "-p", str(pid)],
                                stdout=subprocess.DEVNULL, stderr=words)
        grown = waited(lambda: os.path.exists(log) and os.path.getsize(log) > 500_000, 240, bench)
        since = time.monotonic()
        text, _ = bench.communicate(timeout=300)
        # It ends by itself with the daemon.
        perf.wait(timeout=30)
    finally:
        for child in (bench, perf):
            if child and child.poll() is None:
                child.send_signal(signal.SIGINT if child is perf else signal.SIGTERM)
                child.wait()
    result = json.loads(text.splitlines()[-1])["r"] if text.strip() else {}
    if not grown or not result.get("done"):
        sys.exit("breakdown: the bench did not come to its end: %s" % result)
    return result, since, data


def fold(folded, since, data):
    """Samples by stage, by stage and function, and by stack."""
    script = subprocess.Popen(["perf", "script", "--no-inline", "-F", "comm,tid,time,ip,sym,dso", "-i", data],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
    stages, functions, stacks = collections.Counter(), collections.defaultdict(collections.Counter), collections.Counter()
    for thread, frames in samples(script.stdout, since):
        stage = stage_of(frames)
        stages[stage] += 1
        functions[stage][plain(frames[0])] += 1
        stacks[";".join([thread, stage] + [plain(frame) for frame in reversed(frames)])] += 1
    script.wait()
    if folded:
        with open(folded, "w", encoding="utf-8") as file:
            file.writelines("%s %d\n" % pair for pair in sorted(stacks.items()))
    return stages, functions


def table(args, kind, result, stages, functions):
    total = sum(stages.values())
    kind = {"auth": "sshd"}.get(kind, kind)
    rows = ["%s lines of %s through the running daemon: %.2f CPU s (%d samples; perf's own work slows it a little)" % (
        "{:,}".format(args.lines).replace(",", " "), kind, result["cpu_s"], total), "",
        "| stage | what it does | share | CPU ms | ns a line | mostly in |", "|---|---|---|---|---|---|"]
    for stage, count in stages.most_common():
        seconds = result["cpu_s"] * count / total
        top = ", ".join("`%s` %d %%" % (name, round(100 * part / total)) for name, part in functions[stage].most_common(3))
        rows.append("| %s | %s | %.1f %% | %.0f | %.0f | %s |" % (
            stage, MEANS[stage], 100 * count / total, 1000 * seconds, 1e9 * seconds / args.lines, top))
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("program", help="the program, with symbols")
    add("--kind", choices=["auth", "mail"], help="only this log")
    add("--lines", type=int, default=1_000_000)
    add("--rate", type=int, default=1500, help="samples a second")
    add("--unwind", choices=["fp", "dwarf"], default="fp", help="how callers are found; dwarf: slow, for a program without frame pointers")
    add("--seed", type=int, default=1, help="of the log")
    add("--ns", default="q", help="a letter, so that two benches may run at once")
    add("--write", metavar="PAGE", help="put the tables into this page, too")
    add("--folded", help="a file for stacks, as flamegraph.pl and speedscope read them")
    add("--bench", default=os.path.join(ROOT, "..", "shared", "bench"), help="where the bench is")
    args = parser.parse_args()
    args.bench = os.path.abspath(args.bench)
    if not os.path.exists(args.bench + "/bench.py"):
        print("SKIPPED: the bench is not beside this project (%s): nothing was measured" % args.bench)
        return
    if os.geteuid() != 0:
        sys.exit("breakdown: namespaces and perf need root")
    if not shutil.which("perf"):
        sys.exit("breakdown: apt-get install linux-perf")
    tables = []
    for kind in [args.kind] if args.kind else ["auth", "mail"]:
        work = tempfile.mkdtemp(prefix="stockade-profile-")
        try:
            result, since, data = record(args, kind, work)
            stages, functions = fold(args.folded, since, data)
            if not stages:
                with open(work + "/perf.err", encoding="utf-8", errors="replace") as file:
                    sys.exit("breakdown: perf took no samples: " + file.read().strip())
            tables.append(table(args, kind, result, stages, functions) + "\n")
        finally:
            shutil.rmtree(work, ignore_errors=True)
        print(tables[-1], flush=True)
    if args.write:
        figures.write(args.write, "\n".join(tables), MARKS)


if __name__ == "__main__":
    main()
