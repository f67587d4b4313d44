#!/usr/bin/env python3
"""bench.py: reads what `cargo bench` (divan) prints and makes a table of it: bench, case, time for one, so many a second.

What is no line of a bench passes through. "One takes" is the median; the further the mean is from it, the busier the
machine was.
"""
import re
import sys

UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


def seconds(text):
    found = re.fullmatch(r"([\d.]+) (ns|µs|ms|s)", text)
    return float(found.group(1)) * UNITS[found.group(2)] if found else None


def rate(text):
    found = re.fullmatch(r"([\d.]+) ([KMG]?)item/s", text)
    return float(found.group(1)) * SCALE[found.group(2)] if found else None


def span(value):
    unit = next((unit for unit in ("s", "ms", "µs") if value >= UNITS[unit]), "ns")
    return "%.3g %s" % (value / UNITS[unit], unit)


def per_second(value):
    for sign in ("G", "M", "k"):
        if value >= SCALE[sign.upper()]:
            return "%.3g %s" % (value / SCALE[sign.upper()], sign)
    return "%.3g" % value


def read(lines):
    """(bench, case, fastest, median, mean) in items a second."""
    path, rows, name = [], [], None
    for line in lines:
        found = re.match(r"((?:[│ ]  )*)[├╰]─ (.*)", line)
        if found:
            depth = len(found.group(1)) // 3
            cells = [cell.strip() for cell in re.split(r" *│ *", found.group(2))]
            # The name ends where the padded first figure begins.
            first = re.match(r"(.*?)\s{2,}(\S+ (?:ns|µs|ms|s))$", cells[0])
            name = (first.group(1) if first else cells[0]).strip()
            path = path[:depth] + [name]
            continue
        cells = [cell.strip() for cell in line.replace("│", " │ ").split("│")]
        rates = [rate(cell) for cell in cells]
        rates = [value for value in rates if value]
        if len(rates) == 4 and name:
            fastest, _, median, mean = rates
            rows.append((": ".join(path[1:-1]).replace("_", " "), path[-1], fastest, median, mean))
        elif line.strip() and not line.startswith(("stages", "Timer")) and not rates and "B/s" not in line:
            print(line.rstrip(), flush=True)
    return rows


def main():
    rows = read(sys.stdin)
    table = [("bench", "case", "one takes", "fastest", "mean", "a second")]
    for bench, case, fastest, median, mean in rows:
        table.append((bench, case[:60], span(1 / median), span(1 / fastest), span(1 / mean), per_second(median)))
    widths = [max(len(row[at]) for row in table) for at in range(6)]
    last = None
    for row in table:
        shown = ("" if row[0] == last else row[0],) + row[1:]
        last = row[0]
        text = [cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(shown, widths))]
        print("  ".join(text).rstrip())


if __name__ == "__main__":
    main()
