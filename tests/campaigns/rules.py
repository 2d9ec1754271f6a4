"""The contract against the naive rules, on a hundred thousand attempts and more.

    python -m tests.campaigns.rules                     100 000 onward shares
    python -m tests.campaigns.rules --attempts 5000     so many
    python -m tests.campaigns.rules --forests 17:18     the forest that differed, again

Random forests of agreements grow by the real transactions of `isa`, and every attempt on them is
judged twice: by the contract, and by `tests/properties/chaincode/naive_rules.py`, which was written
from docs/spec/isa.md. An eighth as many forests follow in which most is tried in the millisecond
in which something ends. Exit code 1 with the shortest story found when the two differ, and when a
verdict that can occur occurred less than `LEAST` times in a full run.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.properties.chaincode.side_by_side import Tally, play_forest, shortest

ATTEMPTS = 100_000
STEPS = 250  # of each forest, planting included
LEAST = 50
FULL = 50_000  # attempts from which on every verdict must have occurred
TOLD_EVERY = 50  # forests


def differs(number: int, tally: Tally, *, on_time: bool) -> bool:
    """Play one forest; tell the difference, if there is one, or now and then that there is none."""
    found = play_forest(number, STEPS, tally, on_time=on_time)
    if found is not None:
        kind = "forest on time" if on_time else "forest"
        print(f"{kind} {number}: {shortest(found)}")
        return True
    if tally.forests % TOLD_EVERY == 0:
        print(f"{tally.attempts:>8} in {tally.forests} forests, no difference", flush=True)
    return False


def play(first: int, last: int | None, attempts: int, tally: Tally) -> bool:
    """All forests; whether there was no difference."""
    number = first
    while number < last if last is not None else tally.attempts < attempts:
        if differs(number, tally, on_time=False):
            return False
        number += 1
    last = last if last is not None else first + tally.forests // 8
    return not any(differs(again, tally, on_time=True) for again in range(first, last))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="The contract against the naive rules.")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS)
    parser.add_argument("--forests", help="A:B, instead of a number of attempts")
    options = parser.parse_args()
    first, last = map(int, options.forests.split(":")) if options.forests else (0, None)
    tally, began = Tally(), time.monotonic()
    if not play(first, last, options.attempts, tally):
        return 1
    print(tally.table())
    seconds = time.monotonic() - began
    print(f"{tally.attempts} onward shares in {tally.forests} forests ({tally.steps} steps)")
    print(f"paths of up to {tally.deepest} agreements below a root; no difference; {seconds:.0f} s")
    missing = tally.too_seldom(LEAST) if tally.attempts >= FULL else []
    if missing:
        print(f"less than {LEAST} times: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
