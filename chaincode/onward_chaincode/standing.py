"""Whether an agreement is in force at a time, why not, and what it still grants: the state machine.

    ACTIVE (stored)  -> REVOKED | SUSPENDED (-> ACTIVE | REVOKED) | SUPERSEDED (stored)
    ACTIVE, derived from time alone:  SCHEDULED  before not_before_ms
                                      EXPIRED    from expires_at_ms on
                                      TERMINATED from terminates_at_ms on
    ACTIVE, but an ancestor is not:   ENDED_BY_ANCESTOR

An amended agreement is SUPERSEDED. What was derived from it stands on the one that amends it:
whoever looks up a parent finds the newest of its series.

Windows are half open: `not_before_ms <= t < expires_at_ms`. Nothing is written when an ancestor
ends: the path to the root, at most nine agreements, is read whenever somebody asks (the lazy
cascade).

Invariants: effective(child, t) implies effective(every ancestor, t); the fields, purposes and
expiry that are in force only shrink on the way down.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward_chaincode import limits
from onward_chaincode.contract import Reader
from onward_chaincode.errors import BrokenStateError
from onward_chaincode.keys import agreement_key, current_key
from onward_chaincode.records import AgreementRecord, Reference, must_load

ACTIVE = "ACTIVE"
REVOKED = "REVOKED"
SUSPENDED = "SUSPENDED"
SUPERSEDED = "SUPERSEDED"
SCHEDULED = "SCHEDULED"
EXPIRED = "EXPIRED"
TERMINATED = "TERMINATED"
ENDED_BY_ANCESTOR = "ENDED_BY_ANCESTOR"

Line = tuple[AgreementRecord, ...]  # an agreement and its ancestors, the root last


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An agreement at a time. `because_of` is the agreement that decides, with its own status."""

    effective: bool
    status: str
    because_of: AgreementRecord
    because: str


def line_of(reader: Reader, agreement: AgreementRecord) -> Line:
    """The agreement and its ancestors up to the root: at most nine."""
    line = [agreement]
    while line[-1].parent_id is not None:
        if len(line) > limits.DEPTH_MAX:
            raise BrokenStateError(f"the path above {agreement.agreement_id.hex()} is too long")
        parent = must_load(reader, agreement_key(line[-1].parent_id), AgreementRecord)
        line.append(current_of(reader, parent))
    return tuple(line)


def current_of(reader: Reader, agreement: AgreementRecord) -> AgreementRecord:
    """The agreement, or the one that stands now if it was amended."""
    if agreement.state != SUPERSEDED:
        return agreement
    newest = must_load(reader, current_key(agreement.series), Reference)
    return must_load(reader, agreement_key(newest.target), AgreementRecord)


def own_status(agreement: AgreementRecord, time_ms: int) -> str:
    """The status that an agreement has by itself, ancestors aside."""
    if agreement.state in (REVOKED, SUPERSEDED):
        return agreement.state
    ends = agreement.terminates_at_ms
    expires = agreement.expires_at_ms
    terminated = ends is not None and time_ms >= ends
    expired = expires is not None and time_ms >= expires
    if terminated and expired and ends is not None and expires is not None:
        return TERMINATED if ends <= expires else EXPIRED
    if terminated or expired:
        return TERMINATED if terminated else EXPIRED
    if agreement.state == SUSPENDED:
        return SUSPENDED
    return SCHEDULED if time_ms < agreement.not_before_ms else ACTIVE


def own_end(agreement: AgreementRecord, time_ms: int) -> int | None:
    """Since when the agreement is over for good by itself; None: it is not. Amended is not over."""
    match own_status(agreement, time_ms):
        case "REVOKED":
            return agreement.changed_at_ms
        case "TERMINATED":
            return agreement.terminates_at_ms
        case "EXPIRED":
            return agreement.expires_at_ms
        case _:
            return None


def standing(line: Line, time_ms: int) -> Standing:
    """Whether the first agreement of `line` is in force, and who decides."""
    own = own_status(line[0], time_ms)
    if own != ACTIVE:
        return Standing(effective=False, status=own, because_of=line[0], because=own)
    for ancestor in line[1:]:
        status = own_status(ancestor, time_ms)
        if status != ACTIVE:
            return Standing(
                effective=False, status=ENDED_BY_ANCESTOR, because_of=ancestor, because=status
            )
    return Standing(effective=True, status=ACTIVE, because_of=line[0], because=ACTIVE)


def effective_fields(line: Line) -> tuple[int, ...]:
    """The fields still granted: those that every agreement up to the root grants. Ascending."""
    left = set(line[0].fields)
    for agreement in line:
        left &= set(agreement.fields) - set(agreement.withdrawn_fields)
    return tuple(sorted(left))


def effective_purposes(line: Line) -> tuple[str, ...]:
    """The purposes still granted: those that every agreement up to the root grants. Ascending."""
    left = set(line[0].purposes)
    for agreement in line:
        left &= set(agreement.purposes) - set(agreement.withdrawn_purposes)
    return tuple(sorted(left))


def effective_expiry(line: Line) -> int | None:
    """When the agreement ends at the latest, as things stand; None: no end is set."""
    ends = [
        end
        for agreement in line
        for end in (agreement.expires_at_ms, agreement.terminates_at_ms)
        if end is not None
    ]
    return min(ends) if ends else None


def parties_of(line: Line) -> tuple[str, ...]:
    """Everybody on the path: the rights holder and every custodian. Sorted."""
    found = {party for item in line for party in (item.first_party, item.second_party)}
    return tuple(sorted(found))
