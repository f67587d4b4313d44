#!/usr/bin/env python3
"""figures.py [RESULTS]: a table of what tools/peers.py measured (default: target/peers.jsonl).

  tools/figures.py                              to read
  tools/figures.py --markdown                   to paste
  tools/figures.py --write docs/performance.md  replaces what stands there between the marks <!-- figures -->

Where turns were taken, a figure is the median of them, and a ratio the median of the turns' ratios.
"""
import argparse
import json
import os
import re
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WHO = ("stockade", "fail2ban-rs", "fail2ban", "sshguard", "limit")
TITLES = {"stockade": "Stockade", "limit": "`rg -j1 -c`"}
MARKS = ("<!-- figures -->", "<!-- /figures -->")


class Results:
    """What was measured: {who: {test: {turn: result}}}, and on what machine."""

    def __init__(self):
        self.head, self.of = {}, {}

    def value(self, who, row, turn=None):
        turns = self.of.get(who, {}).get(row.test, {})
        found = [row.read(result) for at, result in turns.items() if turn in (None, at)]
        found = [value for value in found if value is not None]
        return statistics.median(found) if found else None

    def ratio(self, row, other):
        """How many times better we are than `other`; below one: worse."""
        pairs = []
        for turn in self.of.get("stockade", {}).get(row.test, {}):
            pairs.append((self.value("stockade", row, turn), self.value(other, row, turn)))
        whole = [pair for pair in pairs if None not in pair] or [(self.value("stockade", row), self.value(other, row))]
        ratios = [ours / theirs if row.more else theirs / ours for ours, theirs in whole if ours and theirs]
        return statistics.median(ratios) if ratios else None


def load(path):
    results = Results()
    with open(path, encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            if "machine" in entry:
                results.head = entry
            elif "error" not in entry["r"]:
                results.of.setdefault(entry["who"], {}).setdefault(entry["test"], {})[entry["turn"]] = entry["r"]
    return results


def matcher(result, key):
    """All commands of the offline matcher together: each read all lines."""
    runs = result.get("matcher") or []
    if not runs:
        return None
    lines = runs[0]["lines_s"] * runs[0]["secs"]
    total = sum(run[key] for run in runs)
    return lines / total if total else None


class Row:
    """A line of the table: what it reads from a result, and what is to be reached."""

    def __init__(self, title, test, read, unit="", more=False, target="", most=None, times=None):
        self.title, self.test, self.read, self.unit, self.more = title, test, read, unit, more
        self.target, self.most, self.times = target, most, times or {}

    def met(self, results):
        """Whether the target is met; none: it has none, or it was not measured."""
        value = results.value("stockade", self)
        if value is None or not (self.most or self.times):
            return None
        ratios = [(results.ratio(self, other), least) for other, least in self.times.items()]
        if any(ratio is None for ratio, _ in ratios):
            return None
        return (self.most is None or value <= self.most) and all(ratio >= least for ratio, least in ratios)


def key(name):
    return lambda result: result.get(name)


def finished(name):
    return lambda result: result.get(name) if result.get("done") else None


def within(group, name):
    return lambda result: (result.get(group) or {}).get(name)


def per_ban(result):
    return 1000 * result["cpu_s"] / result["in_set"] if result.get("done") and result.get("in_set") else None


ROWS = [row for kind, title in (("auth", "sshd"), ("mail", "mail")) for row in (
    Row("A %s, daemon: lines/s" % title, "A-" + kind, finished("lines_s"), more=True,
        target="≥ 3 × fail2ban-rs, ≥ 150 × fail2ban", times={"fail2ban-rs": 3, "fail2ban": 150}),
    Row("A %s, daemon: CPU s" % title, "A-" + kind, finished("cpu_s"), "s",
        target="≤ ⅓ fail2ban-rs, ≤ 2.5 × rg", times={"fail2ban-rs": 3, "limit": 1 / 2.5}),
    Row("A %s, daemon: peak RSS" % title, "A-" + kind, finished("peak_mib"), "MiB", target="≤ 16 MiB", most=16),
    Row("offline %s: lines/s" % title, "A-" + kind, lambda result: matcher(result, "secs"), more=True,
        target="≥ 3 × fail2ban-rs", times={"fail2ban-rs": 3}),
    Row("offline %s: lines/s of CPU" % title, "A-" + kind, lambda result: matcher(result, "cpu_s"), more=True,
        target="≥ 1.5 × fail2ban-rs", times={"fail2ban-rs": 1.5}))]
ROWS += [
    Row("B idle, written → in the kernel: p50", "B-idle", within("set_ms", "p50"), "ms", target="≤ 1 ms", most=1),
    Row("B idle: p99", "B-idle", within("set_ms", "p99"), "ms", target="≤ 5 ms", most=5),
    Row("B under 10 k lines/s: p50", "B-load", within("set_ms", "p50"), "ms", target="≤ 1 ms", most=1),
    Row("B under 10 k lines/s: p90", "B-load", within("set_ms", "p90"), "ms", target="≤ 3 ms", most=3),
    Row("B under 10 k lines/s: p99", "B-load", within("set_ms", "p99"), "ms", target="≤ 10 ms", most=10),
    Row("B under 10 k lines/s: CPU", "B-load", key("cpu_pct"), "%", target="≤ 4 %", most=4)]
ROWS += [row for size, storm, again in (("2k", None, None), ("10k", 0.4, 0.2), ("100k", 4, 0.3)) for row in (
    Row("C %s attackers at once, all in the kernel" % size, "C-" + size, finished("all_s"), "s",
        target="≤ %s s" % storm if storm else "", most=storm),
    Row("C %s: CPU a ban, matching included" % size, "C-" + size, per_ban, "ms"),
    Row("D restart with %s bans, start → all read by the bench" % size, "D-" + size, finished("all_s"), "s",
        target="≤ %s s" % again if again else "", most=again))]
# By our own word, from the start to the kernel's last acknowledgement; nobody else listens.
OWN = (("10k", 10_000, 0.2, None), ("100k", 100_000, 0.3, 20), ("1M", 1_000_000, 2.5, 90))
ROWS += [row for world, sets in (("tree", "Fail2Ban's sets"), ("bans", "our own table")) for size, bans, again, most in OWN for row in (
    Row("D %s bans, %s, after a boot: last acknowledgement" % (size, sets), "D-%s-%s" % (world, bans), finished("boot_s"), "s",
        target="≤ %s s" % again, most=again),
    Row("D %s bans, %s, after a restart: last acknowledgement" % (size, sets), "D-%s-%s" % (world, bans), finished("restart_s"), "s",
        target="≤ %s s" % again, most=again),
    Row("E %s bans, %s: RSS" % (size, sets), "D-%s-%s" % (world, bans), finished("rss_mib"), "MiB",
        target="≤ %s MiB" % most if most else "", most=most))]
ROWS += [
    Row("E idle with sshd: RSS", "E", key("idle_rss_mib"), "MiB", target="≤ 12 MiB", most=12),
    Row("E 100 k tracked: RSS", "E", key("rss_100k_mib"), "MiB", target="≤ 18 MiB", most=18),
    Row("E program", "E", key("size_mib"), "MiB")]


def number(value, unit=""):
    if value is None:
        return "–"
    if value >= 1e6:
        text = "%.2f M" % (value / 1e6)
    elif value >= 1e4:
        text = "%.3g k" % (value / 1e3) if value < 1e5 else "%.0f k" % (value / 1e3)
    elif value >= 100:
        text = "%.0f" % value
    else:
        text = "%.3g" % value if value >= 0.1 or not value else "%.2g" % value
    return (text + " " + unit).strip()


def cells(results):
    """The rows that were measured, as texts; and who is in them."""
    who = [name for name in WHO if name in results.of]
    table = []
    for row in ROWS:
        ours = results.value("stockade", row)
        if all(results.value(name, row) is None for name in who):
            continue
        met = {None: "", True: " ✓", False: " ✗"}[row.met(results)]
        line = [row.title, number(ours, row.unit), row.target + met]
        for name in who[1:] if who[0] == "stockade" else who:
            ratio = results.ratio(row, name)
            theirs = number(results.value(name, row), row.unit)
            line.append("%s (%s ×)" % (theirs, number(ratio)) if ratio else theirs)
        table.append(line)
    return ["", "Stockade", "target"] + [TITLES.get(name, name) for name in who if name != "stockade"], table


def words(results):
    """The machine, in a sentence."""
    machine, versions = results.head.get("machine", {}), results.head.get("versions", {})
    others = ", ".join("%s %s" % pair for pair in versions.items() if pair[0] != "stockade")
    text = "{cores} cores ({cpu}), {memory_gib} GiB, {system}, Linux {kernel}; {date}".format_map(machine)
    text += "; " + (others or "no peers")
    turns = "A: medians of %s turns, one after the other" % results.head.get("pairs", "?")
    return text + ". " + turns + (". QUICK RUN: few lines, few bans; to be run again" if results.head.get("quick") else "") + "."


def markdown(results):
    head, table = cells(results)
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---|" * (len(head) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]
    return "Measured on %s In brackets: how many times better Stockade is.\n\n%s\n" % (words(results), "\n".join(lines))


def plain(results):
    head, table = cells(results)
    head = [cell.strip("`") for cell in head]
    widths = [max(len(line[at]) for line in [head] + table) for at in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in [head] + table]
    return words(results) + "\n(in brackets: how many times better Stockade is)\n" + "\n".join(lines)


def write(path, text, marks=MARKS):
    """Replaces what stands between two marks of a page."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    begin, end = (re.escape(mark) for mark in marks)
    page, count = re.subn("(%s\n).*?(%s)" % (begin, end), lambda found: found.group(1) + text + found.group(2), page, flags=re.S)
    if count != 1:
        sys.exit("figures: %s has no place between %s and %s" % ((path,) + marks))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", default=os.path.join(ROOT, "target", "peers.jsonl"))
    parser.add_argument("--markdown", action="store_true", help="as a table in Markdown")
    parser.add_argument("--write", metavar="PAGE", help="put the table into this page")
    args = parser.parse_args()
    if not os.path.exists(args.results):
        sys.exit("figures: no %s: make bench-peers" % args.results)
    results = load(args.results)
    if args.write:
        write(args.write, markdown(results))
    else:
        print(markdown(results) if args.markdown else plain(results))


if __name__ == "__main__":
    main()
