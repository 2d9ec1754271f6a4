"""That the parts of a dossier speak of one agreement, and say the same of it.

Nothing in a dossier is proven but its receipts, so nobody can tell whether it is true. What can be
told is whether it could be: each part was answered out of the same committed records, and says of
them what every other part says. Parts of two agreements, or of two moments, would make an export
that is true of neither; the chain's own rules (one data subject to a path, no agreement in force
below one that is not) leave little that could be changed in one place alone.

Agreements further down may be a block older or newer than the rest: of them only that is asked
which never changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from onward.errors import MalformedError
from onward.exchange.dossier import (
    ACTIVE,
    ENDED_BY_ANCESTOR,
    FOUNDING,
    HANDED_OVER,
    OVER_BY_TIME,
    SCHEDULED,
    Agreement,
    Dossier,
    Share,
    read_dossier,
)


def parse_dossier(data: bytes) -> Dossier:
    """The dossier in a file's bytes.

    Raises `MalformedError` saying which part is wrong, or which two contradict each other.
    """
    dossier = read_dossier(data)
    wrong = next(_contradictions(dossier), None)
    if wrong is not None:
        raise MalformedError(f"dossier: {wrong}")
    return dossier


def _contradictions(dossier: Dossier) -> Iterator[str]:
    """What cannot be, one sentence each."""
    yield from _about_documents(dossier)
    yield from _about_path(dossier)
    yield from _about_standing(dossier)
    yield from _about_below(dossier)
    yield from _about_steps(dossier)
    yield from _about_shares(dossier)
    told = {step.tx_id for step in (*dossier.history, *dossier.handshake) if step.event in FOUNDING}
    if not told.issuperset(tx_id for tx_id, _ in dossier.receipts):
        yield "receipts: one is of no step by which the agreement came about"


def _about_documents(dossier: Dossier) -> Iterator[str]:
    own = dossier.agreement
    if own.terms_id != dossier.terms.terms_id.hex():
        yield "terms: these are not the agreement's terms"
    if dossier.schema_id != dossier.schema.schema_id.hex():
        yield "schema: this is not the agreement's schema"
    if not {field.index for field in dossier.schema.fields}.issuperset(own.fields):
        yield "agreement: fields that the schema does not have"


def _about_path(dossier: Dossier) -> Iterator[str]:
    """From the agreement up to whose data it is, custodian by custodian."""
    own = dossier.agreement
    if not dossier.path or dossier.path[0] != own:
        yield "lineage: the path does not begin with the agreement as it is told"
        return
    for item, above in pairwise(dossier.path):
        if item.parent_id not in (above.agreement_id, above.series_id):
            yield "lineage: the path has a gap"
        if not _hangs_on(item, above):
            yield f"lineage: {item.agreement_id} does not fit below {above.agreement_id}"
    root = dossier.path[-1]
    if root.parent_id is not None or root.depth or root.first_party != own.rights_holder:
        yield "lineage: the path does not end with whose data it is"


def _hangs_on(item: Agreement, above: Agreement) -> bool:
    return (
        item.rights_holder == above.rights_holder
        and item.first_party == above.second_party
        and item.depth == above.depth + 1
    )


def _about_standing(dossier: Dossier) -> Iterator[str]:
    """Each stands as its times and those above it let it stand; what was withdrawn was granted."""
    for place, item in enumerate(dossier.path):
        above = dossier.path[place + 1 :]
        is_ended_above = any(one.status != ACTIVE for one in above)
        if item.status == (ACTIVE if is_ended_above else ENDED_BY_ANCESTOR):
            yield f"lineage: {item.agreement_id} is {item.status}, against what is above it"
        if any(_outlasts(item, one) for one in above):
            yield f"lineage: {item.agreement_id} ends later than what is above it"
    for item in (*dossier.path, *dossier.below):
        if item.effective != (item.status == ACTIVE):
            yield f"lineage: {item.agreement_id} is {item.status}, and effective or not"
        is_granted = {*item.withdrawn_fields} <= {*item.fields}
        if not is_granted or not {*item.withdrawn_purposes} <= {*item.purposes}:
            yield f"lineage: of {item.agreement_id} was withdrawn what it never granted"
    if not _fits_its_times(dossier.agreement, dossier.as_of_ms):
        yield f"agreement: {dossier.agreement.status} at {dossier.as_of_ms}, against its own times"


def _outlasts(item: Agreement, above: Agreement) -> bool:
    if above.ends_at_ms is None:
        return False
    return item.ends_at_ms is None or item.ends_at_ms > above.ends_at_ms


def _fits_its_times(item: Agreement, as_of_ms: int) -> bool:
    is_past = item.ends_at_ms is not None and item.ends_at_ms <= as_of_ms
    if item.status == ACTIVE:
        return item.not_before_ms <= as_of_ms and not is_past
    if item.status == SCHEDULED:
        return as_of_ms < item.not_before_ms
    return is_past or item.status not in OVER_BY_TIME


def _about_below(dossier: Dossier) -> Iterator[str]:
    """Parents come before their children, and all hold the same person's data."""
    known = {dossier.agreement.series_id: dossier.agreement}
    for item in dossier.below:
        above = known.get(item.parent_id or "")
        if above is None or not _hangs_on(item, above):
            yield f"lineage: {item.agreement_id} hangs on nothing above it"
        known[item.series_id] = item


def _about_steps(dossier: Dossier) -> Iterator[str]:
    own = dossier.agreement
    if any(own.agreement_id not in step.about for step in dossier.history):
        yield "history: a step of another agreement"
    for step in dossier.handshake:
        is_ours = {*step.about} <= {own.series_id}  # an amended one was accepted as the first
        if not is_ours or step.by not in (None, own.first_party, own.second_party):
            yield "handshake: a step of another agreement"


def _about_shares(dossier: Dossier) -> Iterator[str]:
    told = {step.share_id for step in dossier.history if step.event in HANDED_OVER}
    if told != {share.share_id for share in dossier.shares} or len(told) != len(dossier.shares):
        yield "shares: not those that the history tells"
    if not all(_made_under(share, dossier.agreement) for share in dossier.shares):
        yield "shares: one was made under another agreement"


def _made_under(share: Share, own: Agreement) -> bool:
    return (
        share.agreement_id == own.agreement_id
        and (share.sender, share.recipient) == (own.first_party, own.second_party)
        and {*share.fields} <= {*own.fields}
        and (not share.purpose or share.purpose in own.purposes)
    )
