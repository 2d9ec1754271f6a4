"""The diagnosis by itself: hand-made observations in, findings out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward.diagnosis.diagnose import BEHIND_BLOCKS, diagnose
from onward.diagnosis.findings import PREDICATES, Certainty, Code, Diagnosis, Verdict, span
from onward.diagnosis.members import BACKLOG_TRANSACTIONS, DISK_LOW_BYTES, STARTING_MS
from onward.diagnosis.observations import (
    Ending,
    EndSeen,
    HomeFault,
    HomeSeen,
    NodeSeen,
    Observations,
    ProcessSeen,
    ProcessState,
    Reach,
    Times,
)
from onward.replica.answers import LinkFault, NodeStatus, PeerStatus
from onward.types import Digest

PAGE = Path(__file__).parents[3] / "docs" / "operating" / "why-stuck.md"
CHAIN = Digest(bytes([7]) * 32)
NAMES = ("v1", "v2", "v3", "v4")
NOW_MS = 1_750_000_000_000
TIMES = Times()
GONE = ProcessSeen(state=ProcessState.NONE)
RUNS = ProcessSeen(state=ProcessState.RUNS, pid=4711, age_ms=600_000)


def status(name: str, **changes: Any) -> NodeStatus:
    facts: dict[str, Any] = {
        "network": "local",
        "chain_id": CHAIN,
        "validator": name,
        "index": NAMES.index(name),
        "height": 41,
        "state_root": Digest(bytes([8]) * 32),
        "time_ms": NOW_MS - 3_000,
        "epoch": 0,
        "view": 43,
        "finalized_height": 41,
        "checkpoint_height": 41,
        "version": "0",
        "peers": tuple(peer(other) for other in NAMES if other != name),
        "now_ms": NOW_MS,
        "uptime_ms": 600_000,
        "finalized_ago_ms": 3_000,
    }
    return NodeStatus(**(facts | changes))


def peer(name: str, **changes: Any) -> PeerStatus:
    facts: dict[str, Any] = {"up": True, "height": 41, "heard_ago_ms": 3_000}
    return PeerStatus(validator=name, index=NAMES.index(name), **(facts | changes))


def well(name: str, **changes: Any) -> NodeSeen:
    return NodeSeen(
        name=name,
        gateway=f"127.0.0.1:71{name[1]}1",
        reach=Reach.ANSWERED,
        answer=status(name, **changes),
        clock_ahead_ms=0,
        height_before=41,
        process=RUNS,
    )


def absent(name: str, **changes: Any) -> NodeSeen:
    facts: dict[str, Any] = {
        "gateway": f"127.0.0.1:71{name[1]}1",
        "reach": Reach.NOBODY_LISTENS,
        "process": GONE,
    }
    return NodeSeen(name=name, **(facts | changes))


def skewed(name: str, ahead_ms: int, **changes: Any) -> NodeSeen:
    node = well(name, now_ms=NOW_MS + ahead_ms, **changes)
    return replace(node, clock_ahead_ms=ahead_ms)


def seen(*nodes: NodeSeen, **changes: Any) -> Observations:
    """The given nodes, and all others well, unless `names` says that only those were looked at."""
    given = {node.name: node for node in nodes}
    facts: dict[str, Any] = {
        "place": "net",
        "names": NAMES,
        "nodes": tuple(given.get(name) or well(name) for name in NAMES),
        "times": TIMES,
        "chain_id": CHAIN,
        "start_command": "onward network up net",
    }
    return Observations(**(facts | changes))


def from_one(node: NodeSeen, **changes: Any) -> Observations:
    """Only this node was asked."""
    return seen(nodes=(node,), start_command="", **changes)


def found(diagnosis: Diagnosis) -> set[tuple[str, tuple[str, ...]]]:
    return {(str(item.code), item.who) for item in diagnosis.findings}


def failed(code: int, reason: str) -> EndSeen:
    return EndSeen(ending=Ending.FAILED, code=code, reason=reason)


# -- the network as a whole ------------------------------------------------------------------------


def test_idle_network_is_not_stuck() -> None:
    """An empty chain grows every five seconds only: silence of that length is no fault."""
    told = diagnose(seen())
    assert (told.verdict, told.state, told.findings) == (Verdict.PROGRESSES, "idle", ())
    assert told.sentence == (
        "The network is not stuck: it is idle; block 41 became final 3 s ago, and nothing waits."
    )


@pytest.mark.parametrize(
    "how", [{"rise": 5}, {"nodes": tuple(well(n, in_flight=9) for n in NAMES)}]
)
def test_busy_network_is_told_from_an_idle_one(how: dict[str, Any]) -> None:
    told = diagnose(seen(**how))
    assert (told.verdict, told.state, told.findings) == (Verdict.PROGRESSES, "busy", ())


def test_one_validator_less_is_no_standstill_but_the_last_that_can_be_lost() -> None:
    told = diagnose(seen(absent("v4")))
    assert told.verdict is Verdict.PROGRESSES
    assert found(told) == {("not-running", ("v4",))}
    assert told.sentence == "The network progresses, but v4 is not running; one more loss stops it."


def test_two_of_four_less_are_a_standstill_however_lately_a_block_came() -> None:
    told = diagnose(seen(absent("v3"), absent("v4")))
    assert (told.verdict, told.state, told.is_decided) == (Verdict.STUCK, "no-quorum", True)
    assert found(told) == {("not-running", ("v3", "v4"))}
    assert told.sentence == (
        "The network is stuck: only 2 of 4 validators can vote, and 3 are needed; "
        "v3 and v4 are not running."
    )
    assert told.findings[0].advice == "onward network up net"


def test_growth_before_ones_eyes_is_progress_whatever_else_was_seen() -> None:
    """Two gateways may be closed to who asks while their nodes vote."""
    told = diagnose(seen(absent("v3"), absent("v4"), rise=2))
    assert told.verdict is Verdict.PROGRESSES


def test_one_last_block_without_a_quorum_is_watched_and_not_taken_for_progress() -> None:
    """The vote of a validator that has just come back can finalize what was left over."""
    after = {"rise": 1, "is_last_look": False}
    told = diagnose(seen(absent("v3"), absent("v4"), **after))
    assert (told.verdict, told.is_decided) == (Verdict.UNKNOWN, False)
    assert diagnose(seen(absent("v3"), absent("v4"), rise=1)).verdict is Verdict.STUCK


def test_silence_of_a_network_that_looks_well_is_called_unexplained_and_nothing_else() -> None:
    """A guess would send an operator to mend what is whole."""
    quiet = {"finalized_ago_ms": 60_000}
    told = diagnose(seen(nodes=tuple(well(name, **quiet) for name in NAMES)))
    assert (told.verdict, told.state, told.findings) == (Verdict.STUCK, "unexplained", ())
    assert "1 min" not in told.sentence
    assert "60 s ago" in told.sentence


def test_silence_that_can_still_be_normal_is_left_open() -> None:
    calm_ms = seen().calm_ms
    for ago_ms, verdict in ((calm_ms, Verdict.UNKNOWN), (calm_ms + 1, Verdict.STUCK)):
        quiet = tuple(well(name, finalized_ago_ms=ago_ms) for name in NAMES)
        assert diagnose(seen(nodes=quiet)).verdict is verdict


def test_network_without_a_block_since_its_start_is_looked_at_again() -> None:
    for uptime_ms, verdict in ((2_000, Verdict.UNKNOWN), (60_000, Verdict.STUCK)):
        young = tuple(well(n, finalized_ago_ms=None, uptime_ms=uptime_ms) for n in NAMES)
        assert diagnose(seen(nodes=young)).verdict is verdict


def test_nodes_of_an_older_version_are_believed_only_when_blocks_come() -> None:
    """They say nothing of times: nothing may be made of that."""
    old = {"now_ms": 0, "uptime_ms": 0, "finalized_ago_ms": None}
    nodes = tuple(replace(well(name, **old), clock_ahead_ms=None) for name in NAMES)
    told = diagnose(seen(nodes=nodes))
    assert (told.verdict, told.findings, told.is_decided) == (Verdict.UNKNOWN, (), False)
    assert diagnose(seen(nodes=nodes, rise=1)).verdict is Verdict.PROGRESSES


def test_nothing_is_said_of_validators_that_were_not_looked_at() -> None:
    told = diagnose(from_one(well("v1"), rise=1))
    assert (told.verdict, told.findings) == (Verdict.PROGRESSES, ())
    nobody = absent("v1", end=EndSeen(ending=Ending.ASKED))
    told = diagnose(from_one(nobody))
    assert (told.verdict, found(told)) == (Verdict.UNKNOWN, {("stopped", ("v1",))})
    assert "could not be found out" in told.sentence


# -- validators that take no part ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (absent("v4", end=EndSeen(ending=Ending.NEVER_BEGAN)), "not-running"),
        (absent("v4", end=EndSeen(ending=Ending.ASKED)), "stopped"),
        (absent("v4", end=EndSeen(ending=Ending.WITHOUT_A_WORD)), "killed"),
        (absent("v4", end=failed(2, "node.toml: log.level: no")), "home-wrong"),
        (absent("v4", end=failed(3, "DIR is in use by process 7")), "home-locked"),
        (absent("v4", end=failed(3, "cannot listen at 127.0.0.1:1")), "address-taken"),
        (absent("v4", end=failed(3, "the home has format b'1', this")), "other-format"),
        (absent("v4", end=failed(65, "journal: a frame is damaged")), "data-damaged"),
        (absent("v4", end=failed(65, "the vote journal is missing")), "journal-lost"),
        (absent("v4", end=failed(70, "InvariantError: x")), "bug"),
        (absent("v4", end=failed(74, "[Errno 28] No space left on device")), "disk-full"),
        (absent("v4", end=failed(74, "[Errno 27] File too large")), "disk-full"),
        (absent("v4", end=failed(74, "[Errno 5] Input/output error")), "disk-failed"),
        (absent("v4", end=failed(74, "[Errno 24] Too many open files")), "out-of-files"),
        (absent("v4", end=failed(76, "two finalizations exclude each other")), "forked"),
        (absent("v4", end=failed(76, "block 6 names log root")), "diverged"),
        (absent("v4", home=HomeSeen(path="h", fault=HomeFault.MISSING)), "home-missing"),
        (absent("v4", home=HomeSeen(path="h", fault=HomeFault.NO_DATA)), "data-missing"),
        (absent("v4", home=HomeSeen(path="h", fault=HomeFault.FOREIGN_KEY)), "foreign-key"),
        (absent("v4", home=HomeSeen(path="h", fault=HomeFault.CONFIGURATION)), "home-wrong"),
        (absent("v4", home=HomeSeen(path="h", fault=HomeFault.UNREADABLE)), "not-running"),
        (absent("v4", process=ProcessSeen(state=ProcessState.STOPPED, pid=5)), "frozen"),
        (absent("v4", process=ProcessSeen(state=ProcessState.WAITS_FOR_DISK, pid=5)), "disk-hangs"),
        (absent("v4", reach=Reach.STRANGER, stranger="the validator v1"), "stranger"),
        (absent("v4", process=None), "not-running"),
        (absent("v4", process=RUNS), "not-answering"),
    ],
)
def test_absence_is_explained_by_the_best_witness(node: NodeSeen, code: str) -> None:
    """Each wants something else done: a restart, room on a disk, or hands off."""
    silent = tuple(
        replace(item, answer=None if item.answer is None else replace(item.answer, peers=cut))
        for item in seen().nodes[:3]
        for cut in [
            tuple(
                peer(other, up=other != "v4", heard_ago_ms=60_000 if other == "v4" else 1_000)
                for other in NAMES
                if other != item.name
            )
        ]
    )
    told = diagnose(seen(nodes=(*silent, node)))
    assert (told.verdict, found(told)) == (Verdict.PROGRESSES, {(code, ("v4",))})
    assert told.findings[0].costs_vote
    assert told.findings[0].because
    assert told.findings[0].advice


def test_stranger_that_may_have_come_later_is_told_how_to_prove_it() -> None:
    """Sending an operator after a process on the wrong home would be sending her astray."""
    for epoch, proofs in ((0, " proofs show"), (2, "newer proofs show")):
        node = absent("v4", reach=Reach.STRANGER, stranger="a stranger", unproved_after=epoch)
        finding = diagnose(seen(nodes=(node,))).findings[0]
        assert (finding.code, finding.certainty) == ("stranger", "possible")
        assert f"after epoch {epoch}," in finding.advice
        assert proofs in finding.advice
        assert "--epochs FILE" in finding.advice


def test_frozen_validator_is_told_how_to_go_on() -> None:
    frozen = absent("v4", process=ProcessSeen(state=ProcessState.STOPPED, pid=5))
    (finding,) = diagnose(seen(frozen)).findings
    assert finding.advice.startswith("kill -CONT 5")
    assert finding.certainty is Certainty.CERTAIN


def test_diverged_validator_is_not_told_to_start_again() -> None:
    (finding,) = diagnose(seen(absent("v4", end=failed(76, "x")))).findings
    assert finding.advice.startswith("do not start it again")


def test_young_process_that_does_not_listen_is_starting_and_waited_for() -> None:
    for age_ms, code in ((STARTING_MS - 1, "starting"), (STARTING_MS, "not-answering")):
        young = ProcessSeen(state=ProcessState.RUNS, pid=5, age_ms=age_ms)
        told = diagnose(seen(nodes=_lonely(young)))
        assert (code, ("v4",)) in found(told)
        assert (told.verdict is Verdict.UNKNOWN) == (code == "starting")


def _lonely(process: ProcessSeen) -> tuple[NodeSeen, ...]:
    dead = {name: peer(name, up=False, heard_ago_ms=None) for name in ("v3", "v4")}
    return (
        well("v1", peers=(peer("v2"), dead["v3"], dead["v4"])),
        well("v2", peers=(peer("v1"), dead["v3"], dead["v4"])),
        absent("v3"),
        absent("v4", process=process),
    )


def test_validator_whose_gateway_alone_is_silent_still_votes() -> None:
    """A firewall between clients and a node is no loss of a vote."""
    told = diagnose(seen(absent("v4", process=RUNS, reach=Reach.SILENT)))
    assert found(told) == {("gateway-silent", ("v4",))}
    assert not told.findings[0].costs_vote


def test_one_witness_is_enough_for_a_validator_that_votes() -> None:
    long_ago = tuple(peer(name, heard_ago_ms=60_000) for name in ("v2", "v3", "v4"))
    told = diagnose(
        seen(well("v1", peers=long_ago), absent("v4", process=RUNS, reach=Reach.SILENT))
    )
    assert found(told) == {("gateway-silent", ("v4",))}


def test_network_of_which_nobody_answers_though_all_run_may_only_be_slow() -> None:
    """A machine out of breath for seconds must send no operator to restart a ledger that works."""
    silent = {"process": RUNS, "reach": Reach.SILENT}
    told = diagnose(seen(nodes=tuple(absent(name, **silent) for name in NAMES)))
    assert (told.verdict, told.is_decided) == (Verdict.UNKNOWN, False)
    assert found(told) == {("not-answering", (name,)) for name in NAMES}
    assert "v1 runs but does not answer" in told.sentence
    gone = (absent("v3"), absent("v4"))
    told = diagnose(seen(nodes=(absent("v1", **silent), absent("v2", **silent), *gone)))
    assert (told.verdict, told.is_decided) == (Verdict.STUCK, True)


# -- links and chains ------------------------------------------------------------------------------


def split() -> tuple[NodeSeen, ...]:
    def side(name: str, friend: str) -> NodeSeen:
        far = [other for other in NAMES if other not in {name, friend}]
        cut = tuple(
            peer(other, up=False, heard_ago_ms=None, fault=LinkFault.UNREACHABLE) for other in far
        )
        return well(name, peers=(peer(friend), *cut), finalized_ago_ms=None)

    return side("v1", "v2"), side("v2", "v1"), side("v3", "v4"), side("v4", "v3")


def test_two_halves_that_do_not_hear_each_other_are_stuck_though_all_run() -> None:
    told = diagnose(seen(nodes=split()))
    assert told.verdict is Verdict.STUCK
    assert {item.code for item in told.findings} == {Code.LINK_DOWN}
    assert "4 of 4 validators run, but no 3 of them are linked" in told.sentence


def test_address_that_contradicts_the_peers_own_is_named() -> None:
    nodes = list(split())
    nodes[0] = replace(
        nodes[0], home=HomeSeen(path="h1", peers=(("v3", "10.0.0.3:9"),), listens="0.0.0.0:7")
    )
    nodes[2] = replace(nodes[2], home=HomeSeen(path="h3", listens="0.0.0.0:7"))
    told = diagnose(seen(nodes=tuple(nodes)))
    reasons = " ".join(reason for item in told.findings for reason in item.because)
    assert "v1's node.toml says that v3 listens at 10.0.0.3:9; v3's own says 0.0.0.0:7" in reasons


def test_one_missing_link_of_many_is_told_and_takes_no_vote() -> None:
    v1 = well("v1", peers=(peer("v2", up=False), peer("v3"), peer("v4")))
    v2 = well("v2", peers=(peer("v1", up=False), peer("v3"), peer("v4")))
    told = diagnose(seen(v1, v2))
    assert told.verdict is Verdict.PROGRESSES
    assert found(told) == {("link-down", ("v1",))}
    assert not told.findings[0].costs_vote


def test_links_that_come_up_just_now_are_waited_for() -> None:
    young = tuple(
        replace(node, answer=replace(node.answer, uptime_ms=1_000)) if node.answer else node
        for node in split()
    )
    assert diagnose(seen(nodes=young, is_last_look=False)).verdict is Verdict.UNKNOWN
    assert diagnose(seen(nodes=young)).verdict is Verdict.STUCK


def test_validator_with_another_genesis_is_named_and_its_links_are_not() -> None:
    stranger = well("v4", chain_id=Digest(bytes([9]) * 32), peers=())
    told = diagnose(seen(stranger))
    assert (told.verdict, found(told)) == (Verdict.PROGRESSES, {("other-chain", ("v4",))})


def test_one_node_alone_names_who_refuses_its_chain_and_who_is_silent() -> None:
    peers = (
        peer("v2"),
        peer("v3", heard_ago_ms=60_000),
        peer("v4", up=False, fault=LinkFault.CHAIN),
    )
    told = diagnose(from_one(well("v1", peers=peers, finalized_ago_ms=60_000)))
    assert told.verdict is Verdict.STUCK
    assert found(told) == {("unheard", ("v3",)), ("other-chain", ("v4",))}


def test_two_that_refuse_each_others_chain_are_not_judged_by_that_alone() -> None:
    """Either may be the stranger; a wrong name would have a good home thrown away."""
    v1 = well("v1", peers=(peer("v2", up=False, fault=LinkFault.CHAIN), peer("v3"), peer("v4")))
    v2 = well("v2", peers=(peer("v1", up=False, fault=LinkFault.CHAIN), peer("v3"), peer("v4")))
    assert found(diagnose(seen(v1, v2))) == {("link-down", ("v1",))}


def test_refusal_that_is_long_past_says_nothing_of_a_validator_that_is_down_now() -> None:
    old_ms = seen().silence_ms + 1
    for ago_ms, code in ((old_ms - 1, "other-chain"), (old_ms, "unheard")):
        refused = peer("v4", up=False, fault=LinkFault.CHAIN, fault_ago_ms=ago_ms)
        told = diagnose(from_one(well("v1", peers=(peer("v2"), peer("v3"), refused)), rise=1))
        assert found(told) == {(code, ("v4",))}


def test_one_node_alone_is_not_believed_about_progress_until_a_block_comes() -> None:
    """Its peers may have frozen a moment ago; their connections still stand."""
    told = diagnose(from_one(well("v1")))
    assert (told.verdict, told.is_decided) == (Verdict.UNKNOWN, False)


def test_one_node_cut_off_from_all_says_that_it_speaks_for_itself() -> None:
    cut = tuple(peer(n, up=False, fault=LinkFault.UNREACHABLE) for n in NAMES[1:])
    told = diagnose(from_one(well("v1", peers=cut)))
    assert told.verdict is Verdict.STUCK
    assert told.sentence == (
        "Seen from v1 the network is stuck: v1 hears 0 of 3 other validators and needs 2; "
        "v2, v3 and v4 are missing."
    )


# -- clocks ----------------------------------------------------------------------------------------


def test_clock_within_the_bounds_is_no_finding_and_one_beyond_is() -> None:
    future_ms, past_ms = TIMES.future_ms_max, TIMES.past_ms_max
    cases = {
        -future_ms: set(),
        -future_ms - 1: {("clock", ("v4",))},
        future_ms: set(),
        future_ms + 1: {("clock-ahead", ("v4",))},
        past_ms: {("clock-ahead", ("v4",))},
        past_ms + 1: {("clock", ("v4",))},
    }
    for ahead_ms, expected in cases.items():
        told = diagnose(seen(skewed("v4", ahead_ms, time_ms=0)))
        assert (ahead_ms, found(told)) == (ahead_ms, expected)
        assert told.verdict is Verdict.PROGRESSES


def test_two_clocks_off_are_a_standstill_and_those_nearest_to_ours_count_as_right() -> None:
    day_ms = 86_400_000
    told = diagnose(seen(skewed("v1", day_ms), skewed("v2", day_ms)))
    assert told.verdict is Verdict.STUCK
    assert found(told) == {("clock", ("v1",)), ("clock", ("v2",))}


def test_clocks_that_all_went_back_behind_the_chain_stop_it() -> None:
    """They agree with each other; but no next block may be as old as they want it."""
    hour_ms = 3_600_000
    told = diagnose(seen(nodes=tuple(skewed(name, -hour_ms) for name in NAMES)))
    assert told.verdict is Verdict.STUCK
    assert {item.code for item in told.findings} == {Code.CLOCK}


def test_ones_own_wrong_clock_is_not_blamed_on_the_validators() -> None:
    told = diagnose(seen(nodes=tuple(skewed(name, 3_600_000) for name in NAMES)))
    assert (told.verdict, found(told)) == (Verdict.PROGRESSES, {("own-clock", ())})


def test_one_node_alone_tells_of_proposals_whose_time_it_refused() -> None:
    for reason, codes in (("90000 ms ahead of this clock", {"clock-ahead"}), ("other", set())):
        told = diagnose(from_one(well("v1", not_voted=reason, not_voted_ago_ms=10), rise=1))
        assert {str(item.code) for item in told.findings} == codes


# -- heights, states, burdens ----------------------------------------------------------------------


def test_validator_far_behind_has_no_vote_until_it_has_caught_up() -> None:
    for gap, expected in ((BEHIND_BLOCKS - 1, set()), (BEHIND_BLOCKS, {("catching-up", ("v4",))})):
        late = well("v4", height=41 - gap, finalized_height=41 - gap)
        assert found(diagnose(seen(late))) == expected
    late = replace(well("v4", height=11, finalized_height=11), height_before=2)
    (finding,) = diagnose(seen(late)).findings
    assert finding.sentence == "v4 is 30 blocks behind and catches up"


def test_other_state_after_the_same_block_is_told_before_the_node_stops() -> None:
    told = diagnose(seen(well("v4", state_root=Digest(bytes(32)))))
    assert found(told) == {("results-differ", ("v4",))}


def test_restored_home_that_only_follows_costs_its_vote() -> None:
    told = diagnose(seen(well("v2", abstains=True)))
    assert found(told) == {("abstains", ("v2",))}
    assert "one more loss stops it" in told.sentence


def test_follower_that_is_no_validator_any_more_costs_nobodys_vote() -> None:
    """Who was removed must not be told to look for a newer home, and nobody misses its vote."""
    told = diagnose(seen(well("v2", abstains=True, view=0, epoch=1)))
    (finding,) = told.findings
    assert "no validator in epoch 1" in finding.sentence
    assert "one more loss stops it" not in told.sentence


def test_proven_liar_is_named_with_who_holds_the_evidence() -> None:
    told = diagnose(seen(well("v1", accused=("v3",)), well("v2", accused=("v3",))))
    assert (told.verdict, found(told)) == (Verdict.PROGRESSES, {("accused", ("v3",))})
    assert told.findings[0].because == ("v1 and v2 hold the evidence",)


def test_burdens_are_told_at_their_bounds() -> None:
    for free, expected in ((DISK_LOW_BYTES, set()), (DISK_LOW_BYTES - 1, {("disk-low", ("v4",))})):
        node = replace(well("v4"), home=HomeSeen(path="h", free_bytes=free))
        assert found(diagnose(seen(node))) == expected
    for count in (BACKLOG_TRANSACTIONS - 1, BACKLOG_TRANSACTIONS):
        told = diagnose(seen(well("v4", in_flight=count)))
        assert bool(told.findings) == (count == BACKLOG_TRANSACTIONS)


# -- what is said ----------------------------------------------------------------------------------


def test_what_stops_the_network_comes_before_what_only_hurts() -> None:
    heavy = well("v1", in_flight=BACKLOG_TRANSACTIONS)
    lost = absent("v4", end=failed(76, "x"))
    told = diagnose(seen(heavy, lost, absent("v3", process=None, reach=Reach.UNREACHABLE)))
    assert [str(item.code) for item in told.findings] == ["diverged", "backlog", "gateway-silent"]
    young = ProcessSeen(state=ProcessState.RUNS, pid=5, age_ms=STARTING_MS)
    lonely = tuple(
        replace(node, answer=replace(node.answer, in_flight=BACKLOG_TRANSACTIONS))
        if node.answer
        else node
        for node in _lonely(young)
    )
    told = diagnose(seen(nodes=lonely))
    assert [str(item.code) for item in told.findings][1:] == ["not-answering", "backlog", "backlog"]


def test_every_code_has_its_words_and_its_row_in_the_manual() -> None:
    """An operator looks a code up at night."""
    assert set(PREDICATES) == set(Code)
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows == {str(code) for code in Code}


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0.0 s"),
        (1_999, "1.9 s"),
        (2_000, "2 s"),
        (-119_000, "119 s"),
        (120_000, "2 min"),
        (10_799_000, "3 h"),
        (86_400_000 * 3, "3 days"),
    ],
)
def test_lengths_of_time_are_written_as_people_say_them(ms: int, text: str) -> None:
    assert span(ms) == text
