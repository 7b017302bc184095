"""Prints the table of one run of script/bench: `report.py FILE.jsonl`; the last line counts the floors met.

`report.py about BUILD DISK SECONDS RUNS PIN SHORT` prints the first record of such a file: what was measured
and where.
"""

import json
import os
import platform
import statistics
import subprocess
import sys

FLAGS = ("buildtype", "optimization", "debug", "b_lto", "b_sanitize", "c_args")


def twice_the_sync(disk):
    """On a slow disk the goal cannot be above the floor."""
    return min(5000, 2 * disk["p99_us"])


# row, what, unit, whether less is better, floor and goal on SQLite, on PostgreSQL. A goal that is a function
# takes the disk's calibration.
ROWS = [
    ("intake-64", "webhook intake, 64 connections", "/s", False, (20000, 30000), (8000, 15000)),
    ("intake-256", "webhook intake, 256 connections", "/s", False, (None, 45000), (None, 15000)),
    ("effects", "intake with effects applied", "/s", False, (10000, 18000), (3000, 8000)),
    ("latency", "intake p99 at 2,000/s", "µs", True, (5000, twice_the_sync), (5000, twice_the_sync)),
    ("moves", "ledger moves, one hot SKU", "/s", False, (12000, 20000), (4000, 10000)),
    ("jobs-noop", "jobs drained, no-op", "/s", False, (60000, 100000), (30000, 45000)),
    ("jobs-move", "jobs drained, one ledger move each", "/s", False, (12000, 25000), (3000, 8000)),
    ("reads", "read of one indexed row", "/s", False, (50000, 70000), (12000, 25000)),
    ("start", "start to first good health", "ms", True, (150, 50), (150, 50)),
    ("memory-idle", "memory, 10 s after start", "MB", True, (25, 15), (25, 15)),
    ("memory-loaded", "memory after load", "MB", True, (64, None), (64, None)),
]
HEAD = ("what", "on", "ours: median (min–max)", "peer: median (min–max)", "ratio", "floor", "goal", "verdict")


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def about(build, disk, seconds, runs, pin, short):
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    with open(os.path.join(build, "meson-info/intro-buildoptions.json"), encoding="utf-8") as options:
        flags = {option["name"]: option["value"] for option in json.load(options) if option["name"] in FLAGS}
    commit = git("rev-parse", "--short", "--verify", "-q", "HEAD") or "none"
    commit += " and changes" if git("status", "--porcelain") else ""
    record = {"commit": commit, "kernel": platform.release(), "cpu": models[0] if models else "unknown",
              "cores": os.cpu_count(), "flags": flags, "disk": json.loads(disk), "seconds": int(seconds),
              "runs": int(runs), "pinned": pin == "1", "short": short == "1"}
    print(json.dumps({"about": record}, ensure_ascii=False))


def figure(value):
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values):
    if not values:
        return "–"
    return f"{figure(statistics.median(values))} ({figure(min(values))}–{figure(max(values))})"


def verdict(value, floor, goal, less):
    def meets(bound):
        return bound is not None and (value <= bound if less else value >= bound)

    if meets(goal):
        return "goal"
    if floor is None:
        return "no floor"
    return "floor" if meets(floor) else "BELOW"


def table_row(row, target, bounds, ours, peer, disk):
    _, what, unit, less, _, _ = row
    floor, goal = bounds
    goal = goal(disk) if callable(goal) else goal
    value = statistics.median(ours) if ours else None
    ratio = "–"
    if ours and peer:
        other = statistics.median(peer)
        ratio = f"{(other / value if less else value / other):.1f} ×"
    result = "FAILED" if value is None else verdict(value, floor, goal, less)
    return (f"{what}, {unit}", target, spread(ours), spread(peer), ratio, figure(floor), figure(goal), result)


def read(path):
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    figures, failures = {}, []
    for record in records[1:]:
        place = figures.setdefault((record["row"], record["target"]), [])
        if "failed" in record:
            failures.append(record)
        else:
            place.append(record["value"])
    return records[0]["about"], figures, failures


def print_about(run):
    disk = run["disk"]
    flags = ", ".join(f"{name} {value}" for name, value in run["flags"].items() if value not in ([], ""))
    print(f"commit {run['commit']}; kernel {run['kernel']}; {run['cores']} × {run['cpu']}; {flags}")
    print(f"runs: {run['runs']} of {run['seconds']} s, {'pinned' if run['pinned'] else 'not pinned'}")
    print(f"disk: 4 KiB + fdatasync p50 {disk['p50_us']} µs, p99 {disk['p99_us']} µs")
    print("ratio: how many times better than the peer\n")


def print_table(table):
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    for line in table:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if line is HEAD:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print()


def main(path):
    run, figures, failures = read(path)
    table = [HEAD]
    for row in ROWS:
        for target, bounds in (("sqlite", row[4]), ("postgres", row[5])):
            if (row[0], target) in figures:
                ours = figures[row[0], target]
                peer = figures.get((row[0], "peer"), [])
                table.append(table_row(row, target, bounds, ours, peer, run["disk"]))
    print_about(run)
    print_table(table)
    for record in failures:
        print(f"FAILED {record['row']} on {record['target']}, run {record['run']}: {record['failed']}")
    verdicts = [line[-1] for line in table[1:]]
    below = verdicts.count("BELOW")
    failed = len(failures) + (0 if run["short"] else below)
    skipped = verdicts.count("no floor") + (below if run["short"] else 0)
    print(f"{verdicts.count('goal') + verdicts.count('floor')} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "about":
        about(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1]))
