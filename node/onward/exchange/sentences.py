"""Terms as sentences that a person understands: one for each clause, whatever its value.

The sentences say what the contract does, not what the clause is called. Two terms with different
clauses never read the same: every value has words of its own, and what stands only because nothing
was said is marked. The text is for people; what binds is the document, by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onward.exchange.letters import spelled
from onward.exchange.moments import duration_in_words, moment_in_words
from onward_chaincode.terms import PROHIBITED, Terms, parse_terms
from onward_proto.documents import canonical_document

DEFAULT_MARK = "(Not said: this is what holds then.)"
_NAME_BEGINS = re.compile(r"[:/#]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
IDLE_MARK = "(Of no effect while nothing may be passed on.)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What one clause says. `said` is whether the document has it, or silence means it."""

    section: str
    clause: str
    said: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A terms document for people. `source` and `roster` are the document's own words."""

    terms_id: str
    label: str
    version: str
    title: str
    source: str
    roster: str
    text_hash: str
    sentences: tuple[Sentence, ...]


def read_terms(document: Mapping[str, Any]) -> Reading:
    """The reading of a terms document. Raises `Refuse` for one that could not be published.

    `DocumentError` for what is no document at all.
    """
    content = dict(document)
    terms = parse_terms(canonical_document(content))
    said = content["clauses"]
    sentences = tuple(
        Sentence(
            section=section,
            clause=clause,
            said=clause in said,
            text=" ".join((say(terms), *_marks(terms, clause, said=clause in said))),
        )
        for section, clauses in _SECTIONS.items()
        for clause, say in clauses.items()
    )
    return Reading(
        terms_id=terms.terms_id.hex(),
        label=terms.label,
        version=terms.version,
        title=terms.title,
        source=content["source"],
        roster=terms.roster,
        text_hash=content.get("text_hash", ""),
        sentences=sentences,
    )


def reading_text(reading: Reading) -> str:
    """The whole reading as plain text, a sentence to a line, with its end of line."""
    lines = [spelled(f"{reading.title} ({reading.label}, version {reading.version})"), ""]
    section = ""
    for sentence in reading.sentences:
        if sentence.section != section:
            section = sentence.section
            lines += ([""] if lines[-1] else []) + [section]
        lines.append(f"  {sentence.text}")
    lines += ["", "This document", f"  Its source: {spelled(reading.source)}."]
    if reading.roster:
        lines.append(f"  It belongs to the roster {spelled(reading.roster)}.")
    if reading.text_hash:
        lines.append(f"  A legal text goes with it, whose SHA-256 is {reading.text_hash}.")
    lines.append(f"  Its id is {reading.terms_id}.")
    return "\n".join(lines) + "\n"


def named(iri: str) -> str:
    """A purpose with its name in words: `service provision (dpv:ServiceProvision)`."""
    words = _WORD.findall(_NAME_BEGINS.split(iri)[-1])
    spoken = " ".join(word if len(word) > 1 and word.isupper() else word.lower() for word in words)
    return f"{spoken} ({iri})"


def _marks(terms: Terms, clause: str, *, said: bool) -> tuple[str, ...]:
    idle = terms.onward_mode == PROHIBITED and clause in _IDLE_WHEN_PROHIBITED
    return (IDLE_MARK,) * idle + (DEFAULT_MARK,) * (not said)


def _listed(items: tuple[str, ...]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


# -- what the data is for --------------------------------------------------------------------------


def _purposes_allowed(terms: Terms) -> str:
    if not terms.purposes_allowed:
        return "The data may be used for nothing at all."
    purposes = _listed(tuple(named(iri) for iri in terms.purposes_allowed))
    return f"The data may be used for {purposes}, and for nothing else."


def _purposes_forbidden(terms: Terms) -> str:
    if not terms.purposes_forbidden:
        return "No purpose is forbidden by its name."
    purposes = _listed(tuple(named(iri) for iri in terms.purposes_forbidden))
    return f"It may never be used for {purposes}, whatever else is agreed."


def _jurisdictions(terms: Terms) -> str:
    if not terms.jurisdictions:
        return "It may go to any country."
    return f"It may only go to: {', '.join(terms.jurisdictions)}."


# -- how long --------------------------------------------------------------------------------------


def _duration(terms: Terms) -> str:
    if terms.from_accept_ms is not None:
        span = duration_in_words(terms.from_accept_ms)
        return f"An agreement ends {span} after its acceptance at the latest."
    if terms.until_ms is not None:
        return f"Every agreement ends on {moment_in_words(terms.until_ms)} at the latest."
    return "An agreement lasts until a party ends it, unless the parties set an end."


_REVOCABLE = {
    "FIRST": (
        "The party that gives the data may revoke at any moment, wholly or in part; so may the "
        "person whose data it is, for everybody further on."
    ),
    "BOTH": (
        "The party that gives the data may revoke at any moment, wholly or in part; so may the "
        "person whose data it is, for everybody further on. The recipient may revoke as a whole."
    ),
    "NONE": "Nobody may revoke: an agreement lasts as long as it was made for.",
}


def _revocable_by(terms: Terms) -> str:
    return _REVOCABLE[terms.revocable_by]


def _notice(terms: Terms) -> str:
    if not terms.notice_ms:
        return "The recipient may end an agreement at once, without notice."
    return (
        f"The recipient may end an agreement with {duration_in_words(terms.notice_ms)} of notice."
    )


# -- passing it on ---------------------------------------------------------------------------------

_MODES = {
    "PROHIBITED": "The recipient may not pass the data on to anybody.",
    "SAME_TERMS": "The recipient may pass the data on, under these very same terms.",
    "CONSENT_PER_SHARE": (
        "The recipient may pass the data on, under these very same terms, when the person whose "
        "data it is has approved that one hand-over before."
    ),
    "ANONYMISED_ONLY": (
        "The recipient may pass on anonymised data only, with no field that points to a person, "
        "under these very same terms."
    ),
}


def _mode(terms: Terms) -> str:
    return _MODES[terms.onward_mode]


def _max_depth(terms: Terms) -> str:
    if terms.onward_max_depth == 1:
        return "Passing on ends after one step: who received it that way keeps it to herself."
    return f"Passing on ends after {terms.onward_max_depth} steps."


def _recipients(terms: Terms) -> str:
    if terms.onward_group is not None:
        return f"Members of the group {terms.onward_group} may receive it that way, nobody else."
    if terms.onward_list is None:
        return "Every registered party may receive it that way."
    if not terms.onward_list:
        return "Nobody may receive it that way."
    return f"Only these may receive it that way: {', '.join(terms.onward_list)}."


def _max_count(terms: Terms) -> str:
    if terms.onward_max_count is None:
        return "How often one share is passed on has no limit of its own."
    times = "once" if terms.onward_max_count == 1 else f"{terms.onward_max_count} times"
    return f"One share is passed on {times} at most."


# -- after the end, and what the recipient owes ----------------------------------------------------


def _retention(terms: Terms) -> str:
    if terms.retention_after_end_ms is None:
        return "After the end the data may be kept without a limit of time."
    if not terms.retention_after_end_ms:
        return "After the end the data may not be kept."
    return (
        f"After the end the data may be kept for {duration_in_words(terms.retention_after_end_ms)}."
    )


_DELETION = {
    "NOT_REQUIRED": "The recipient need not erase it.",
    "ON_REQUEST": "The recipient erases it when asked to, or when it ends the agreement itself.",
    "REQUIRED": "The recipient erases it without being asked.",
}


def _deletion(terms: Terms) -> str:
    return _DELETION[terms.deletion]


def _attest(terms: Terms) -> str:
    if not terms.attest_within_ms:
        return "What is owed at the end must be confirmed at once."
    within = duration_in_words(terms.attest_within_ms)
    return f"What is owed at the end must be confirmed within {within}."


def _breach(terms: Terms) -> str:
    if not terms.breach_notice_ms:
        return "A breach must be reported at once."
    return f"A breach must be reported within {duration_in_words(terms.breach_notice_ms)}."


def _transparency(terms: Terms) -> str:
    if terms.transparency == "EX_POST":
        return "The recipient tells afterwards what it used the data for."
    if terms.ex_ante_ms is None:
        return "The recipient tells what it uses the data for when asked."
    if not terms.ex_ante_ms:
        return "The recipient tells beforehand what it will use the data for."
    span = duration_in_words(terms.ex_ante_ms)
    return f"The recipient tells what it will use the data for {span} beforehand."


def _signals(terms: Terms) -> str:
    if not terms.signals:
        return "No signal of a browser or device is part of these terms."
    return f"The recipient obeys the signals {', '.join(terms.signals)}."


def _portability(terms: Terms) -> str:
    if terms.portability:
        return "The person whose data it is gets a copy to take along."
    return "No copy to take along is promised."


def _counter_roster(terms: Terms) -> str:
    if not terms.counter_roster:
        return "No other terms are named that would do as a counter-offer."
    ids = ", ".join(item.hex() for item in terms.counter_roster)
    return f"A counter-offer may instead use the terms {ids}."


_Say = Callable[[Terms], str]

_SECTIONS: dict[str, dict[str, _Say]] = {
    "What the data is for": {
        "purposes_allowed": _purposes_allowed,
        "purposes_forbidden": _purposes_forbidden,
        "jurisdictions": _jurisdictions,
    },
    "How long": {
        "duration": _duration,
        "revocable_by": _revocable_by,
        "notice_ms": _notice,
    },
    "Passing it on": {
        "onward.mode": _mode,
        "onward.recipients": _recipients,
        "onward.max_depth": _max_depth,
        "onward.max_count": _max_count,
    },
    "After the end": {
        "retention_after_end_ms": _retention,
        "deletion": _deletion,
        "attest_within_ms": _attest,
    },
    "What else is promised": {
        "breach_notice_ms": _breach,
        "transparency": _transparency,
        "signals": _signals,
        "portability": _portability,
        "counter_roster": _counter_roster,
    },
}

_IDLE_WHEN_PROHIBITED = ("onward.max_count", "onward.max_depth", "onward.recipients")

SPOKEN = frozenset(clause for clauses in _SECTIONS.values() for clause in clauses)
"""The clauses that have a sentence: all that there are, as a test holds."""
