"""The program that is counted: material once, then each task in a process of its own.

    python benchmarks/counted.py STOCK [--jobs N] NAME=TIMES...

`NAME=TIMES` makes TIMES of the calls `NAME` of `calls.py`. Everything before is shared, so that it
costs its time once; each process forgets what the others did. One JSON object on stdout tells which
process id had which task. `instructions.py` runs this under a counter and takes differences.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import traceback
from pathlib import Path

from calls import CALLS, Material


def perform(material: Material, task: str) -> None:
    """One task, whole."""
    name, _, times = task.partition("=")
    call = CALLS[name](material).call
    for _ in range(int(times)):
        call()


def begin(material: Material, task: str) -> int:
    """Start the process of a task; answers its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        perform(material, task)
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may pass the end of this process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> int:
    """Exit code 1 when a task failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stock", type=Path)
    parser.add_argument("tasks", nargs="+", metavar="NAME=TIMES")
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    material = Material(chosen.stock)
    # Garbage is collected when so and so many objects have come into being, somewhere or other:
    # a count would jump by a whole collection.
    gc.collect()
    gc.freeze()
    gc.disable()
    begun: dict[int, str] = {}
    under_way = failed = 0
    for task in (*chosen.tasks, *[""] * chosen.jobs):
        if under_way == chosen.jobs or (under_way and not task):
            _, status = os.wait()
            failed += status != 0
            under_way -= 1
        if task:
            begun[begin(material, task)] = task
            under_way += 1
    sys.stdout.write(json.dumps(begun) + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
