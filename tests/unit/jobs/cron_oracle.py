#!/usr/bin/python3 -B
"""When cron expressions come, by Python's zoneinfo and plain search: the oracle of test_cron_zones.c.
usage: cron_oracle.py FROM TO CRON…  (seconds since 1970). A line for each time zone and expression,
by zone and in the order given: zone, number of the expression, instants."""
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

FOLDER = Path("/usr/share/zoneinfo")
UTC = timezone.utc


def numbers(text, least, most):
    found = set()
    for part in text.split(","):
        base, _, step = part.partition("/")
        low, _, high = base.partition("-")
        if base == "*":
            low, high = least, most
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return found


class Cron:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        self.times = [(h, m) for h in sorted(numbers(hour, 0, 23)) for m in sorted(numbers(minute, 0, 59))]
        self.days, self.months = numbers(day, 1, 31), numbers(month, 1, 12)
        self.weekdays = {w % 7 for w in numbers(weekday, 0, 7)}
        self.either = day[0] != "*" and weekday[0] != "*"
        self.passing = minute[0] == "*" or hour[0] == "*"

    def on(self, d):
        day, weekday = d.day in self.days, d.isoweekday() % 7 in self.weekdays
        return d.month in self.months and (day or weekday if self.either else day and weekday)


def change_between(zone, low, high):
    """The first second at which the offset is that of high."""
    wanted = datetime.fromtimestamp(high, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == wanted:
            high = middle
        else:
            low = middle
    return high


def instants(zone, cron, start, end):
    found = set()
    day = datetime.fromtimestamp(start, UTC).date() - timedelta(days=2)
    last = datetime.fromtimestamp(end, UTC).date() + timedelta(days=2)
    while day <= last:
        for h, m in cron.times if cron.on(day) else ():
            wall = datetime(day.year, day.month, day.day, h, m, tzinfo=zone)
            shown = []
            for fold in (0, 1):
                at = int(wall.replace(fold=fold).timestamp())
                back = datetime.fromtimestamp(at, zone)
                if (back.date(), back.hour, back.minute) == (day, h, m):
                    shown.append(at)
            if cron.passing:
                found.update(shown)
            elif shown:
                found.add(min(shown))
            else:
                sides = sorted(int(wall.replace(fold=fold).timestamp()) for fold in (0, 1))
                found.add(change_between(zone, sides[0] - 1, sides[1] + 1))
        day += timedelta(days=1)
    return sorted(at for at in found if start < at <= end)


def main():
    start, end, crons = int(sys.argv[1]), int(sys.argv[2]), [Cron(text) for text in sys.argv[3:]]
    known = {}
    for name in sorted(available_timezones()):
        content = (FOLDER / name).read_bytes()
        if content not in known:
            zone = ZoneInfo(name)
            known[content] = [" ".join(map(str, instants(zone, cron, start, end))) for cron in crons]
        for i, line in enumerate(known[content]):
            print(name, i, line)


main()
