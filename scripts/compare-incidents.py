#!/usr/bin/env python3
"""Compares what two runs said, after dropping what a consumer drops.

compare-incidents.py EXPECTED ACTUAL DEAD_LETTER_HEADERS DEAD_LETTERS_EXPECTED

Of each incident every version must be there once, with the same bytes in both runs.
"""
import json
import sys


def versions(path):
    """(incident, version) -> body, dropping each record whose version was seen before."""
    seen, kept, dropped = {}, {}, 0
    for line in open(path):
        record = json.loads(line)
        incident, version = record["incident"], record["version"]
        if version <= seen.get(incident, 0):
            dropped += 1
            if kept[incident, version] != line:
                sys.exit(f"{path}: version {version} of {incident} was said in two ways")
            continue
        if version != seen.get(incident, 0) + 1:
            sys.exit(f"{path}: {incident} goes from version {seen.get(incident, 0)} to {version}")
        seen[incident], kept[incident, version] = version, line
    return kept, dropped


def main():
    expected, actual, letters, count = sys.argv[1:]
    want, repeated = versions(expected)
    have, dropped = versions(actual)
    lost, extra = want.keys() - have.keys(), have.keys() - want.keys()
    differ = [key for key in want.keys() & have.keys()
              if want[key] != have[key]]
    for name, keys in (("lost", lost), ("not expected", extra), ("different", differ)):
        for key in sorted(keys)[:5]:
            print(f"{name}: {key[0]} version {key[1]}")
    positions = {line for line in open(letters) if line.strip()}
    if len(positions) != int(count):
        sys.exit(f"{len(positions)} dead letters, expected {count}")
    if lost or extra or differ or not want:
        sys.exit(f"{len(want)} versions expected: {len(lost)} lost, {len(extra)} not expected, "
                 f"{len(differ)} different")
    incidents = {key[0] for key in want}
    print(f"{len(incidents)} incidents in {len(want)} versions: none lost, none different; "
          f"{dropped} repeats dropped, {len(positions)} dead letters")


main()
