"""Many seeds on several processes. Nothing here decides what happens inside a run."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from onward.simulation.plan import AS_DRAWN, Settings
from onward.simulation.report import Report, summarize
from onward.simulation.run import Result

Progress = Callable[[int, Result], None]
"""Called with the number of seeds done and the newest result."""


def run_campaign(
    seeds: Sequence[int],
    jobs: int = 1,
    *,
    settings: Settings = AS_DRAWN,
    progress: Progress | None = None,
    stop_at_failure: bool = False,
) -> Report:
    """Run the seeds, over `jobs` processes; each does the same however many there are.

    An interrupt ends it with the report of what was done: hours of seeds are not lost.
    """
    began, cpu_began_s = time.monotonic(), _cpu_s()
    results: list[Result] = []
    is_interrupted = False
    try:
        with closing(_results(seeds, jobs, settings)) as coming:
            for result in coming:
                results.append(result)
                if progress is not None:
                    progress(len(results), result)
                if result.failure and stop_at_failure:
                    break
    except KeyboardInterrupt:
        is_interrupted = True
    results.sort(key=lambda item: item.seed)
    elapsed_s, cpu_s = time.monotonic() - began, _cpu_s() - cpu_began_s
    report = summarize(results, elapsed_s, cpu_s, settings)
    return replace(report, interrupted=is_interrupted)


def _results(seeds: Sequence[int], jobs: int, settings: Settings) -> Generator[Result, None, None]:
    run = partial(run_one, settings=settings)
    if jobs <= 1:
        yield from map(run, seeds)
        return
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(jobs, initializer=settle_in)
    try:
        yield from pool.imap_unordered(run, seeds)
    finally:
        pool.terminate()
        pool.join()  # what a worker has used is known when it has been waited for


def _cpu_s() -> float:
    """Processor time of this process and of the workers that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(item.ru_utime + item.ru_stime for item in spent)


def settle_in() -> None:
    """A worker makes garbage by the world: what it has loaded is none, and worlds are cleared away.

    The collector by itself would let hundreds of them pile up, or look through each many times.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the campaign hears it, and ends its workers
    gc.collect()
    gc.freeze()
    gc.disable()


def clear_away() -> None:
    """After a run, when nobody holds its world any more."""
    gc.collect()


def run_one(seed: int, settings: Settings) -> Result:
    """One seed, in a worker."""
    result = settings.plan(seed).run()
    clear_away()
    return result
