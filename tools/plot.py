#!/usr/bin/env python3
"""plot.py [RESULTS]: plots of what tools/peers.py measured (default: target/peers.jsonl).

Writes docs/performance-throughput.svg and docs/performance-latency.svg; --into names another folder. Both have logarithmic
axes: peers differ by factors of a hundred.
"""
import argparse
import math
import os
import sys
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import figures

WIDTH, LEFT, RIGHT = 860, 132, 96
STYLE = """
  .paper { fill: #ffffff } .grid { stroke: #d8dee4 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #24292f; paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
  .title { font-size: 17px; font-weight: 600 } .group, .us { font-weight: 600 } .soft, .tick { fill: #57606a; font-size: 12px }
  .tick { text-anchor: middle } .name { text-anchor: end }
  .f-us { fill: #0b6bcb } .f-peer { fill: #8c959f } .f-limit { fill: #c9d1d9 } .s-us { stroke: #0b6bcb } .s-peer { stroke: #8c959f }
  circle { stroke: #ffffff; stroke-width: 1.5px }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .grid { stroke: #30363d } text { fill: #e6edf3; stroke: #0d1117 } .soft, .tick { fill: #9198a1 }
    .f-us { fill: #4c9bf5 } .f-peer { fill: #7d8590 } .f-limit { fill: #3d444d } .s-us { stroke: #4c9bf5 } .s-peer { stroke: #7d8590 }
    circle { stroke: #0d1117 }
  }"""


class Page:
    """An SVG that grows downwards."""

    def __init__(self, title, subtitle, low, high):
        self.low, self.high, self.y, self.parts = math.log10(low), math.log10(high), 84, []
        self.heads = [self.text(24, 34, title, "title"), self.text(24, 55, subtitle, "soft")]

    @staticmethod
    def text(x, y, words, kind=""):
        return '<text x="%.1f" y="%.1f" class="%s">%s</text>' % (x, y, kind, escape(words))

    def x(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0), 1)

    def line(self, x1, y1, x2, y2, kind, width=1.0):
        self.parts.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s" stroke-width="%.1f" stroke-linecap="round"/>' % (x1, y1, x2, y2, kind, width))

    def finish(self, path, unit, ticks, source):
        grid = []
        for value, words in ticks:
            x = self.x(value)
            grid.append('<line x1="%.1f" y1="76" x2="%.1f" y2="%.1f" class="grid"/>' % (x, x, self.y + 4))
            grid.append(self.text(x, self.y + 20, words, "tick"))
        foot = [self.text(24, self.y + 20, unit, "soft")]
        y = self.y + 46
        for words in source:
            foot.append(self.text(24, y, words, "soft"))
            y += 17
        height = y + 4
        with open(path, "w", encoding="utf-8") as file:
            file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">\n<style>%s\n</style>\n' % (WIDTH, height, WIDTH, height, STYLE))
            file.write('<rect width="%d" height="%d" rx="6" class="paper"/>\n' % (WIDTH, height))
            file.write("\n".join(self.heads + grid + self.parts + foot) + "\n</svg>\n")
        print("wrote", os.path.relpath(path))


def kind_of(who):
    return {"stockade": "us", "limit": "limit"}.get(who, "peer")


def name_of(who):
    return {"stockade": "Stockade", "limit": "ripgrep (limit)"}.get(who, who)


def rate(value):
    return figures.number(value) + "/s"


def source_of(results):
    machine, versions = results.head.get("machine", {}), results.head.get("versions", {})
    named = ", ".join("%s %s" % pair for pair in versions.items() if pair[0] != "stockade")
    lines = ["{cores} cores, {cpu}; {system}; Linux {kernel}; {date}".format_map(machine) + ("; a QUICK RUN" if results.head.get("quick") else "")]
    lines.append("Stock filters of Fail2Ban%s. Source: make bench-peers, tools/plot.py" % ("; peers: " + named if named else ""))
    return lines


def throughput(results, path):
    """Bars: lines a second through the daemon, and through the offline matcher."""
    lines = "Few lines" if results.head.get("quick") else "One million lines"
    page = Page("Log lines a second", lines + " written at once, 5 % of them failures; logarithmic scale, longer is better", 1e3, 1e7)
    groups = [("The daemon, sshd: one jail", "A-auth", figures.finished("lines_s")),
              ("The daemon, mail: postfix and dovecot, two jails on one file", "A-mail", figures.finished("lines_s")),
              ("Offline, sshd: fail2ban-regex and what corresponds to it", "A-auth", lambda result: figures.matcher(result, "secs")),
              ("Offline, mail", "A-mail", lambda result: figures.matcher(result, "secs"))]
    for title, test, read in groups:
        row = figures.Row(title, test, read, more=True)
        found = [(who, results.value(who, row)) for who in figures.WHO]
        found = [(who, value) for who, value in found if value]
        if not found:
            continue
        page.parts.append(page.text(24, page.y + 12, title, "group"))
        page.y += 22
        for who, value in sorted(found, key=lambda pair: -pair[1]):
            end, kind = page.x(value), kind_of(who)
            page.parts.append(page.text(LEFT - 10, page.y + 13, name_of(who), "name " + kind))
            page.parts.append('<rect x="%d" y="%.1f" width="%.1f" height="16" rx="2" class="f-%s"/>' % (LEFT, page.y, end - LEFT, kind))
            page.parts.append(page.text(end + 7, page.y + 13, rate(value), kind))
            page.y += 21
        page.y += 12
    page.finish(path, "lines/s", [(1e3, "1 k"), (1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M"), (1e7, "10 M")], source_of(results))


def latency(results, path):
    """Ranges: from the last line of an attacker to his address in the kernel's set."""
    page = Page("From the last failed login to the ban in the kernel", "Thin line to the slowest ban; marks at half, 90 % and 99 % of bans; logarithmic scale, further left is better", 0.1, 1e4)
    for title, test in (("Idle", "B-idle"), ("Under 10 000 lines a second", "B-load")):
        found = []
        for who in figures.WHO:
            marks = [results.value(who, figures.Row("", test, figures.within("set_ms", name))) for name in ("p50", "p90", "p99", "max")]
            if None not in marks:
                found.append((who, marks))
        if not found:
            continue
        page.parts.append(page.text(24, page.y + 12, title, "group"))
        page.y += 24
        for who, (half, most, nearly, slowest) in sorted(found, key=lambda pair: pair[1][0]):
            kind, y = kind_of(who), page.y + 9
            page.parts.append(page.text(LEFT - 10, y + 4, name_of(who), "name " + kind))
            page.line(page.x(half), y, page.x(slowest), y, "s-" + kind, 1.5)
            page.line(page.x(half), y, page.x(nearly), y, "s-" + kind, 5)
            for value, radius in ((half, 6), (most, 4), (nearly, 4)):
                page.parts.append('<circle cx="%.1f" cy="%.1f" r="%d" class="f-%s"/>' % (page.x(value), y, radius, kind))
            words = " / ".join(figures.number(value) for value in (half, most, nearly)) + " ms"
            # About seven points a letter; where they do not fit they stand before the marks.
            fits = page.x(slowest) + 9 + 7.2 * len(words) < WIDTH - 12
            page.parts.append(page.text(page.x(slowest) + 9, y + 4, words, kind) if fits else page.text(page.x(half) - 12, y + 4, words, "name " + kind))
            page.y += 26
        page.y += 10
    page.finish(path, "ms", [(0.1, "0.1"), (1, "1"), (10, "10"), (100, "100"), (1e3, "1 000"), (1e4, "10 000")], source_of(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", default=os.path.join(figures.ROOT, "target", "peers.jsonl"))
    parser.add_argument("--into", default=os.path.join(figures.ROOT, "docs"), help="the folder")
    args = parser.parse_args()
    if not os.path.exists(args.results):
        sys.exit("plot: no %s: make bench-peers" % args.results)
    results = figures.load(args.results)
    throughput(results, os.path.join(args.into, "performance-throughput.svg"))
    latency(results, os.path.join(args.into, "performance-latency.svg"))


if __name__ == "__main__":
    main()
