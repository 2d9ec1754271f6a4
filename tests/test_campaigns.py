"""What the campaigns count, and what they leave to the host."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast

import pytest
from tests.campaigns import failover, pauses
from tests.campaigns.course import AnyTrial, Course
from tests.campaigns.figures import spread
from tests.campaigns.host import ATTEMPTS_MAX, TAKEN_OF_TRIAL_MAX, undisturbed
from tests.support.outages import Outage
from tests.support.steady_load import SteadyLoad

from onward.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(AnyTrial):
    number: int


def course_of(wanted: int, taken: Sequence[float | None]) -> Course[Trial]:
    """A campaign on a host that takes so much of each attempt."""
    course, coming = Course[Trial](wanted=wanted), iter(taken)

    async def attempt(number: int) -> Trial:
        return Trial(number=number, taken=next(coming))

    asyncio.run(undisturbed(course, attempt))
    return course


def load() -> SteadyLoad:
    """Clients that were told one verdict."""
    found = SteadyLoad(cast("Any", None), per_s=1, patience_s=1)
    found.stream.tell(bytes(32), 1, "OK")
    return found


def fault_of_leader(*, late: bool = False) -> failover.Trial:
    wait_s = failover.NEXT_S_MAX + 0.1 * (1 if late else -1)
    return failover.Trial(at="", leader=0, next_s=wait_s, stall_s=0.5, back_s=3.0, taken=0.0)


def past_pause(*, late: bool = False) -> pauses.Trial:
    wait_s = pauses.RESUME_S_MAX + 0.1 * (1 if late else -1)
    return pauses.Trial(
        at="", away=(0, 1), first_s=0.1, next_s=wait_s, stall_s=9.0, settled_s=9.0, taken=0.0
    )


CAMPAIGNS = [(failover, fault_of_leader), (pauses, past_pause)]


def done(make: Callable[..., Any], *, wanted: int = 3) -> Course[Any]:
    """A campaign of three trials in which all went well."""
    return Course(wanted=wanted, kept=[make() for _ in range(3)], load=load(), is_compared=True)


def figures(module: ModuleType, course: Course[Any]) -> dict[str, Any]:
    given = (Outage.FREEZE,) if module is failover else (Outage.FREEZE, 60.0)
    found: dict[str, Any] = module.figures(*given, course)
    return found


def test_a_trial_that_the_host_disturbed_is_told_apart_and_made_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A second without a processor would else be called a slow network, or hide one."""
    course = course_of(3, [0.0, 0.9, TAKEN_OF_TRIAL_MAX, 0.3, 0.1])
    assert [item.number for item in course.kept] == [0, 1, 2]
    assert [item.taken for item in course.disturbed] == [0.9, 0.3]
    assert capsys.readouterr().err.count("not counted") == 2


def test_where_nobody_knows_what_the_host_took_every_trial_counts() -> None:
    """No campaign would ever end well on such a machine."""
    assert len(course_of(2, [None, None]).kept) == 2


def test_a_campaign_on_a_host_that_never_lets_it_run_ends_with_too_few() -> None:
    """It says nothing of the network; it does not go on for ever."""
    course = course_of(2, [0.5] * 100)
    assert course.kept == []
    assert len(course.disturbed) == 2 * ATTEMPTS_MAX


@pytest.mark.parametrize(("module", "make"), CAMPAIGNS)
def test_a_campaign_passes_with_all_its_trials_in_time(
    module: ModuleType, make: Callable[..., Any]
) -> None:
    found = figures(module, done(make))
    assert found["passed"] is True
    assert (found["trials"], found["acknowledged"], found["missing"]) == (3, 1, 0)


@pytest.mark.parametrize(("module", "make"), CAMPAIGNS)
def test_a_campaign_with_too_few_trials_fails_and_so_does_one_of_none(
    module: ModuleType, make: Callable[..., Any]
) -> None:
    """Of what was not tried nothing is known, however well the rest went."""
    assert figures(module, done(make, wanted=4))["passed"] is False
    none = Course[Any](wanted=0, load=load(), is_compared=True)
    assert figures(module, none)["passed"] is False


@pytest.mark.parametrize(("module", "make"), CAMPAIGNS)
def test_a_campaign_fails_for_one_late_block_one_failure_or_a_comparison_not_made(
    module: ModuleType, make: Callable[..., Any]
) -> None:
    late, failed, broken_off = done(make), done(make), done(make)
    late.kept[1] = make(late=True)
    assert failed.load is not None
    failed.load.failures.append("E_TIMEOUT: no verdict")
    broken_off.is_compared = False
    for course in (late, failed, broken_off):
        assert figures(module, course)["passed"] is False
    assert figures(module, broken_off)["missing"] is None


def test_after_a_leader_no_later_block_may_be_late_either() -> None:
    """The next one may come at once from the view that was under way."""
    course = done(fault_of_leader)
    course.kept[1] = replace(course.kept[1], stall_s=failover.NEXT_S_MAX + 0.1)
    assert figures(failover, course)["passed"] is False


@pytest.mark.parametrize(("module", "make"), CAMPAIGNS)
def test_a_late_block_of_a_disturbed_trial_is_told_and_fails_nothing(
    module: ModuleType, make: Callable[..., Any]
) -> None:
    course = done(make)
    course.disturbed.append(make(late=True))
    found = figures(module, course)
    assert found["passed"] is True
    assert found["disturbed_by_the_host"] == 1
    assert found["next_s_disturbed"]["max"] > found["next_s"]["max"]
    assert len(found["each"]) == 4


@pytest.mark.parametrize(("module", "make"), CAMPAIGNS)
def test_figures_are_told_also_when_a_campaign_breaks_off(
    module: ModuleType,
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The host may take so much of the fiftieth trial that it never ends: 49 were made."""

    @contextmanager
    def no_network(*_: object, **__: object) -> Iterator[None]:
        yield

    async def campaign(_network: None, course: Course[Any], *_: object) -> None:
        course.load = load()
        course.kept.append(make())
        raise Unavailable("validators [0, 1] got no block in 30 s")

    monkeypatch.setattr(module, "network_for", no_network)
    monkeypatch.setattr(module, "clean_up_on_sigterm", lambda: None)
    monkeypatch.setattr(module, "campaign", campaign)
    monkeypatch.setattr(sys, "argv", ["campaign", "--fault", "freeze", "--trials", "1", "--json"])
    with pytest.raises(Unavailable):
        module.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["trials"], found["passed"], found["missing"]) == (1, False, None)


@pytest.mark.parametrize(("module", "make"), CAMPAIGNS)
def test_a_campaign_of_no_trials_is_not_begun(
    module: ModuleType,
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It would find nothing wrong."""
    monkeypatch.setattr(sys, "argv", ["campaign", "--trials", "0"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 2
    assert "--trials: at least 1" in capsys.readouterr().err


def test_what_raises_ends_the_trials_and_leaves_those_that_were_made() -> None:
    """A network that did not come back from one fault is no network for the next."""
    course = Course[Trial](wanted=3)

    async def attempt(number: int) -> Trial:
        if number == 2:
            raise Unavailable("v2 did not come back")
        return Trial(number=number, taken=0.0)

    with pytest.raises(Unavailable):
        asyncio.run(undisturbed(course, attempt))
    assert [item.number for item in course.kept] == [0, 1]


def test_nothing_has_no_spread() -> None:
    assert spread([]) == {}
    assert spread([3.0, 1.0, 2.0]) == {"p50": 2.0, "p99": 3.0, "max": 3.0}
