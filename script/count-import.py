"""Counts a file of sessions by other means than Millrace: per day the events, parties and sessions,
and the most frequent items. `count-import.py FILE DELIMITER PARTY ITEM TIME [CLOCK]`, JSON to
standard output. A session ends where a party is idle for more than 30 minutes."""

import csv
import gzip
import json
import sys
from collections import Counter, defaultdict
from datetime import datetime, timezone
from decimal import Decimal

path, delimiter, party_column, item_column, time_column = sys.argv[1:6]
clock_column = sys.argv[6] if len(sys.argv) > 6 else None
delimiter = "\t" if delimiter == "tab" else delimiter
gap_ms = 30 * 60 * 1000


def time_of(row):
    if clock_column:
        text = f"{row[time_column]} {row[clock_column]}"
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        return int(moment.timestamp()) * 1000
    return int((Decimal(row[time_column]) * 1000).to_integral_value())


def day_of(time):
    return datetime.fromtimestamp(time // 1000, timezone.utc).strftime("%Y-%m-%d")


events = Counter()
parties = defaultdict(set)
items = Counter()
timelines = defaultdict(list)
with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file, delimiter=delimiter):
        time = time_of(row)
        events[day_of(time)] += 1
        parties[day_of(time)].add(row[party_column])
        timelines[row[party_column]].append(time)
        if item_column and row[item_column]:
            items[row[item_column]] += 1

sessions = Counter()
for times in timelines.values():
    times.sort()
    for before, time in zip([None] + times, times):
        if before is None or time - before > gap_ms:
            sessions[day_of(time)] += 1

top = sorted(items.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
json.dump(
    {
        "days": {
            day: [events[day], len(parties[day]), sessions[day]] for day in sorted(events)
        },
        "events": sum(events.values()),
        "parties": len(timelines),
        "items": top,
    },
    sys.stdout,
)
