#!/usr/bin/env python3
"""Prints the bodies of one route of a recorded webhook stream, one a line, moved in time.

shift-recording.py RECORDING.jsonl.gz PATH

The latest event comes to lie at now. Three lines that are no alerts are mixed in.
"""
import gzip
import json
import re
import sys
import time
from datetime import datetime, timedelta, timezone

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
POISON = ['{"alerts": [', '"not an alert"', '[{"labels": {"alertname": 7}}]']


def main():
    recording, path = sys.argv[1:]
    with gzip.open(recording, "rt") as lines:
        requests = [json.loads(line) for line in lines]
    requests = [request for request in requests if request["path"] == path]
    shift = timedelta(seconds=time.time() - requests[-1]["t"])

    def moved(match):
        text = match.group(0)
        if text.startswith("0001-"):
            return text
        at = datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)
        fraction = match.group(1) or ""
        whole = timedelta(seconds=round(shift.total_seconds()))
        return (at + whole).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"

    for number, request in enumerate(requests):
        print(TIME.sub(moved, request["body"]).strip())
        if number % (len(requests) // 3) == 5:
            print(POISON.pop() if POISON else "{}")


main()
