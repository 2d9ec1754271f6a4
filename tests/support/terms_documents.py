"""Random terms documents: every clause said or left out, every kind of value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from onward_chaincode import limits
from onward_chaincode.terms import CLAUSES

PURPOSES = ("dpv:Advertising", "dpv:AdvertisingX", "dpv:ServiceProvision", "onward:AITraining")
PARTIES = ("acme", "beta", "gamma")

_span = st.one_of(
    st.integers(0, limits.DURATION_MS_MAX),
    st.sampled_from([0, 1, 999, 1_000, 60_000, 86_400_000, 86_400_001, limits.DURATION_MS_MAX]),
)
_time = st.one_of(st.integers(1, limits.TIME_MS_MAX), st.sampled_from([1, limits.TIME_MS_MAX]))


def _set(*words: str) -> st.SearchStrategy[list[str]]:
    return st.sets(st.sampled_from(words)).map(sorted)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "onward.mode": st.sampled_from(
        ["PROHIBITED", "SAME_TERMS", "CONSENT_PER_SHARE", "ANONYMISED_ONLY"]
    ),
    "onward.max_depth": st.integers(1, limits.DEPTH_MAX),
    "onward.recipients": st.one_of(
        st.just("ANY_MEMBER"),
        st.sampled_from(PARTIES).map(lambda name: {"group": name}),
        _set(*PARTIES).map(lambda names: {"list": names}),
    ),
    "onward.max_count": st.one_of(st.none(), st.integers(1, limits.ONWARD_COUNT_MAX)),
    "duration": st.one_of(
        st.just("UNLIMITED"),
        _span.filter(bool).map(lambda ms: {"from_accept_ms": ms}),
        _time.map(lambda ms: {"until_ms": ms}),
    ),
    "retention_after_end_ms": st.one_of(st.none(), _span),
    "deletion": st.sampled_from(["NOT_REQUIRED", "ON_REQUEST", "REQUIRED"]),
    "attest_within_ms": _span,
    "purposes_allowed": _set(*PURPOSES),
    "purposes_forbidden": _set(*PURPOSES),
    "jurisdictions": _set("DE", "FR", "US"),
    "revocable_by": st.sampled_from(["FIRST", "BOTH", "NONE"]),
    "notice_ms": _span,
    "breach_notice_ms": _span,
    "transparency": st.one_of(
        st.sampled_from(["EX_POST", "ON_REQUEST"]), _span.map(lambda ms: {"ex_ante_ms": ms})
    ),
    "signals": _set("DNT", "GPC"),
    "portability": st.booleans(),
    "counter_roster": _set("ab" * 32, "cd" * 32),
}

_SPANS = [0, 1, 2, 999, 1_000, 1_001, 60_000, 3_600_000, 86_400_000, 172_800_000, 2_592_000_000]

EDGES: dict[str, list[Any]] = {
    "attest_within_ms": _SPANS,
    "breach_notice_ms": _SPANS,
    "counter_roster": [[], ["ab" * 32], ["ab" * 32, "cd" * 32]],
    "deletion": ["NOT_REQUIRED", "ON_REQUEST", "REQUIRED"],
    "duration": [
        "UNLIMITED",
        *({"from_accept_ms": ms} for ms in _SPANS[1:]),
        *({"until_ms": ms} for ms in _SPANS[1:]),
    ],
    "jurisdictions": [[], ["DE"], ["DE", "FR"], ["FR"]],
    "notice_ms": _SPANS,
    "onward.max_count": [None, 1, 2, 3],
    "onward.max_depth": [1, 2, 3, 8],
    "onward.mode": ["PROHIBITED", "SAME_TERMS", "CONSENT_PER_SHARE", "ANONYMISED_ONLY"],
    "onward.recipients": [
        "ANY_MEMBER",
        {"group": "acme"},
        {"list": []},
        {"list": ["acme"]},
        {"list": ["acme", "beta"]},
    ],
    "portability": [False, True],
    "purposes_allowed": [[], ["dpv:A"], ["dpv:A", "dpv:B"], ["dpv:a"], ["ex:A"]],
    "purposes_forbidden": [[], ["dpv:A"], ["dpv:A", "dpv:B"], ["dpv:a"], ["ex:A"]],
    "retention_after_end_ms": [None, *_SPANS],
    "revocable_by": ["FIRST", "BOTH", "NONE"],
    "signals": [[], ["DNT"], ["DNT", "GPC"]],
    "transparency": ["EX_POST", "ON_REQUEST", *({"ex_ante_ms": ms} for ms in _SPANS)],
}

NEEDED = ("duration", "onward.recipients", "purposes_allowed")

clauses = st.fixed_dictionaries(
    {name: VALUES[name] for name in NEEDED},
    optional={name: VALUES[name] for name in CLAUSES if name not in NEEDED},
)


def document(said: dict[str, Any]) -> dict[str, Any]:
    """The terms document with these clauses."""
    return {
        "format": "onward/terms/1",
        "label": "T-ANY",
        "version": "1",
        "title": "Any terms",
        "source": "drawn by chance",
        "clauses": said,
    }
