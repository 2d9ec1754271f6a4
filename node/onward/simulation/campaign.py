"""Many seeds on several processes. Nothing here decides what happens inside a run."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool

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
    began = time.monotonic()
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
    report = summarize(results, time.monotonic() - began, settings)
    return replace(report, interrupted=is_interrupted)


def _results(seeds: Sequence[int], jobs: int, settings: Settings) -> Generator[Result, None, None]:
    run = partial(run_one, settings=settings)
    if jobs <= 1:
        yield from map(run, seeds)
        return
    with workers(jobs) as pool:
        yield from pool.imap_unordered(run, seeds)


@contextmanager
def workers(jobs: int) -> Iterator[Pool]:
    """So many processes; none is left afterwards. This one hears interrupts, and ends them."""
    resource_tracker.ensure_running()  # at its start it would end the hold
    with ExitStack() as ending:
        # A process begins with what is held: workers hear no interrupt from their first moment on.
        with interrupts_held():
            context = multiprocessing.get_context("spawn")
            pool = ending.enter_context(context.Pool(jobs, initializer=settle_in))
        yield pool


@contextmanager
def interrupts_held() -> Iterator[None]:
    """An interrupt waits until this is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle_in() -> None:
    """A worker makes garbage by the world: what it has loaded is none, and worlds are cleared away.

    The collector by itself would let hundreds of them pile up, or look through each many times.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def clear_away() -> None:
    """After a run, when nobody holds its world any more."""
    gc.collect()


def run_one(seed: int, settings: Settings) -> Result:
    """One seed, in a worker; what it costs is what this process spends on it."""
    began_s = time.process_time()
    result = settings.plan(seed).run()
    clear_away()
    return replace(result, cpu_s=time.process_time() - began_s)
