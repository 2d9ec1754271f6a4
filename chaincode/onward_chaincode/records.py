"""What the contract remembers: one canonical message per key, and how it is read and written.

Records hold what rules need and nothing that can be derived: no status that time alone changes,
no list that grows with use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from onward_chaincode import limits
from onward_chaincode.contract import Context, Reader
from onward_chaincode.errors import BrokenStateError
from onward_chaincode.forms import (
    duration_wire,
    enum_wire,
    fields_wire,
    id_wire,
    party_wire,
    time_wire,
    words_wire,
)
from onward_chaincode.payloads import Grant
from onward_proto.canonical import CanonicalError, decode, encode, flag, nested, raw, text, uint

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsRecord:
    """Published terms. `state`: PUBLISHED, DEPRECATED, RECALLED."""

    document: Annotated[bytes, raw(1, minimum=2, maximum=limits.DOCUMENT_BYTES_MAX)]
    publisher: Annotated[str, party_wire(2)]
    state: Annotated[str, enum_wire(3)]
    changed_at_ms: Annotated[int, time_wire(4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRecord:
    """A published schema."""

    document: Annotated[bytes, raw(1, minimum=2, maximum=limits.DOCUMENT_BYTES_MAX)]
    publisher: Annotated[str, party_wire(2)]
    published_at_ms: Annotated[int, time_wire(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecord:
    """An intentcast. `state`: OPEN, WITHDRAWN, SELECTED; expiry is derived."""

    intent_id: Annotated[bytes, id_wire(1)]
    caster: Annotated[str, party_wire(2)]
    terms_id: Annotated[bytes, id_wire(3)]
    schema_id: Annotated[bytes, id_wire(4)]
    industry: Annotated[str, text(5, maximum=limits.TAG_BYTES_MAX)]
    tags: Annotated[tuple[str, ...], words_wire(6, limits.TAG_BYTES_MAX)]
    brands: Annotated[tuple[str, ...], words_wire(7, limits.TAG_BYTES_MAX)]
    currency: Annotated[str, text(8, maximum=3)]
    price_low: Annotated[int, uint(9)]
    price_high: Annotated[int, uint(10)]
    cast_at_ms: Annotated[int, time_wire(11)]
    expires_at_ms: Annotated[int, time_wire(12)]
    max_acceptances: Annotated[int, uint(13)]
    commitment: Annotated[bytes, id_wire(14)]
    state: Annotated[str, enum_wire(15)]
    acceptance_count: Annotated[int, uint(16)]
    selected: Annotated[bytes | None, id_wire(17)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRecord:
    """A priced response to an intentcast."""

    response_id: Annotated[bytes, id_wire(1)]
    intent_id: Annotated[bytes, id_wire(2)]
    agreement_id: Annotated[bytes, id_wire(3)]
    responder: Annotated[str, party_wire(4)]
    price_minor: Annotated[int, uint(5)]
    valid_until_ms: Annotated[int, time_wire(6)]
    commitment: Annotated[bytes, id_wire(7)]
    responded_at_ms: Annotated[int, time_wire(8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A record that only points to another."""

    target: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRecord:
    """An offer. `state`: OPEN, WITHDRAWN, ACCEPTED, REJECTED, COUNTERED; lapsing is derived.

    An open offer has no `to`; replies to it do not change its state.
    """

    offer_id: Annotated[bytes, id_wire(1)]
    offeror: Annotated[str, party_wire(2)]
    to: Annotated[str | None, party_wire(3)]
    first_party: Annotated[str, party_wire(4)]
    grant: Annotated[Grant, nested(5, Grant)]
    offered_at_ms: Annotated[int, time_wire(6)]
    expires_at_ms: Annotated[int, time_wire(7)]
    intent_id: Annotated[bytes | None, id_wire(8)]
    max_acceptances: Annotated[int, uint(9)]
    acceptance_count: Annotated[int, uint(10)]
    parent_agreement_id: Annotated[bytes | None, id_wire(11)]
    parent_share_id: Annotated[bytes | None, id_wire(12)]
    counter_of: Annotated[bytes | None, id_wire(13)]
    state: Annotated[str, enum_wire(14)]
    approval_id: Annotated[bytes | None, id_wire(15)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRecord:
    """What a party answered: ACCEPTED (an agreement), COUNTERED (an offer) or REJECTED."""

    answer: Annotated[str, enum_wire(1)]
    target: Annotated[bytes | None, id_wire(2)]
    reason: Annotated[str, text(3, maximum=limits.ENUM_BYTES_MAX)]
    replied_at_ms: Annotated[int, time_wire(4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many shares of one month are alike: of the same purpose and fields, by `keys.alike`.

    `start` is the `seq` of the first of them.
    """

    kind: Annotated[bytes, raw(1, size=16)]
    start: Annotated[int, uint(2)]
    count: Annotated[int, uint(3)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRecord:
    """An agreement. `state`: ACTIVE, REVOKED, SUSPENDED, SUPERSEDED; see standing.py.

    `depth` is 0 at the root; `rights_holder` is the root's first party at every depth.
    `open_child_count`: children that hold data and have not attested. An amendment writes a new
    record with the counts of the one that it supersedes; `root_id` and `parent_id` go on naming the
    first of a series. `tallies`: the kinds of share of `tallied_month`, the one counted last at the
    end; what is not among the last `TALLIES_MAX` kinds begins a new tally.
    """

    agreement_id: Annotated[bytes, id_wire(1)]
    root_id: Annotated[bytes, id_wire(2)]
    parent_id: Annotated[bytes | None, id_wire(3)]
    parent_share_id: Annotated[bytes | None, id_wire(4)]
    depth: Annotated[int, uint(5, maximum=limits.DEPTH_MAX)]
    first_party: Annotated[str, party_wire(6)]
    second_party: Annotated[str, party_wire(7)]
    rights_holder: Annotated[str, party_wire(8)]
    terms_id: Annotated[bytes, id_wire(9)]
    schema_id: Annotated[bytes, id_wire(10)]
    fields: Annotated[tuple[int, ...], fields_wire(11)]
    purposes: Annotated[tuple[str, ...], words_wire(12, limits.IRI_BYTES_MAX)]
    jurisdictions: Annotated[tuple[str, ...], words_wire(13, 2)]
    lawful_basis: Annotated[str, enum_wire(14)]
    notice: Annotated[bytes, id_wire(15)]
    accepted_at_ms: Annotated[int, time_wire(16)]
    not_before_ms: Annotated[int, time_wire(17)]
    expires_at_ms: Annotated[int | None, time_wire(18)]
    retention_ms: Annotated[int, duration_wire(19)]
    withdrawn_fields: Annotated[tuple[int, ...], fields_wire(20)]
    withdrawn_purposes: Annotated[tuple[str, ...], words_wire(21, limits.IRI_BYTES_MAX)]
    state: Annotated[str, enum_wire(22)]
    changed_at_ms: Annotated[int, time_wire(23)]
    terminates_at_ms: Annotated[int | None, time_wire(24)]
    offer_id: Annotated[bytes | None, id_wire(25)]
    intent_id: Annotated[bytes | None, id_wire(26)]
    share_count: Annotated[int, uint(27)]
    last_share_id: Annotated[bytes | None, id_wire(28)]
    child_count: Annotated[int, uint(29)]
    open_child_count: Annotated[int, uint(30)] = 0
    attested_at_ms: Annotated[int | None, time_wire(31)] = None
    supersedes_id: Annotated[bytes | None, id_wire(32)] = None
    series_id: Annotated[bytes | None, id_wire(33)] = None
    tallied_month: Annotated[str, text(34, maximum=7)] = ""
    tallies: Annotated[tuple[Tally, ...], nested(35, Tally, count=limits.TALLIES_MAX)] = ()

    @property
    def series(self) -> bytes:
        """The id of the first agreement of those that amended each other: its own, if none did."""
        return self.series_id or self.agreement_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEntry:
    """A recorded share. `parent_share_id` is the share that it passes on, None at a root.

    `tally_count`: how many shares under the agreement are like this one up to itself, from the one
    with the `seq` of `tally_start` on. So views add tallies up and look at no share.
    """

    share_id: Annotated[bytes, id_wire(1)]
    agreement_id: Annotated[bytes, id_wire(2)]
    seq: Annotated[int, uint(3)]
    previous_share_id: Annotated[bytes | None, id_wire(4)]
    sender: Annotated[str, party_wire(5)]
    recipient: Annotated[str, party_wire(6)]
    fields: Annotated[tuple[int, ...], fields_wire(7)]
    purpose: Annotated[str, text(8, maximum=limits.IRI_BYTES_MAX)]
    transform: Annotated[str, enum_wire(9)]
    commitment: Annotated[bytes, id_wire(10)]
    blob: Annotated[bytes | None, id_wire(11)]
    parent_share_id: Annotated[bytes | None, id_wire(12)]
    recorded_at_ms: Annotated[int, time_wire(13)]
    acknowledged_at_ms: Annotated[int | None, time_wire(14)]
    withdrawn_at_ms: Annotated[int | None, time_wire(15)]
    onward_count: Annotated[int, uint(16)]
    purged_at_ms: Annotated[int | None, time_wire(17)] = None
    tally_start: Annotated[int, uint(18)] = 0
    tally_count: Annotated[int, uint(19)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """An approval of one onward share. `state`: OPEN, USED, WITHDRAWN; expiry is derived.

    `used_for` is the child agreement of the onward share that used it.
    """

    approval_id: Annotated[bytes, id_wire(1)]
    parent_share_id: Annotated[bytes, id_wire(2)]
    recipient: Annotated[str, party_wire(3)]
    terms_id: Annotated[bytes, id_wire(4)]
    fields: Annotated[tuple[int, ...], fields_wire(5)]
    purposes: Annotated[tuple[str, ...], words_wire(6, limits.IRI_BYTES_MAX)]
    approved_by: Annotated[str, party_wire(7)]
    approved_at_ms: Annotated[int, time_wire(8)]
    expires_at_ms: Annotated[int, time_wire(9)]
    state: Annotated[str, enum_wire(10)]
    used_for: Annotated[bytes | None, id_wire(11)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationRecord:
    """What was said of the duty under an agreement; before anything was, there is no record."""

    agreement_id: Annotated[bytes, id_wire(1)]
    root_id: Annotated[bytes, id_wire(2)]
    party: Annotated[str, party_wire(3)]
    flagged_at_ms: Annotated[int | None, time_wire(4)] = None
    flagged_by: Annotated[str | None, party_wire(5)] = None
    attested_at_ms: Annotated[int | None, time_wire(6)] = None
    attested_kind: Annotated[str, text(7, maximum=limits.ENUM_BYTES_MAX)] = ""
    evidence: Annotated[bytes | None, id_wire(8)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionRecord:
    """Why a party may pass nothing on under a root (R14): how many duties, how many violations."""

    overdue_count: Annotated[int, uint(1)] = 0
    violation_count: Annotated[int, uint(2)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRecord:
    """A flagged violation. `state`: OPEN, RESOLVED, REJECTED. `blocks`: counted as a sanction."""

    violation_id: Annotated[bytes, id_wire(1)]
    agreement_id: Annotated[bytes, id_wire(2)]
    root_id: Annotated[bytes, id_wire(3)]
    against: Annotated[str, party_wire(4)]
    flagged_by: Annotated[str, party_wire(5)]
    ground: Annotated[str, enum_wire(6)]
    evidence: Annotated[bytes, id_wire(7)]
    blocks: Annotated[bool, flag(8)]
    flagged_at_ms: Annotated[int, time_wire(9)]
    state: Annotated[str, enum_wire(10)]
    answer: Annotated[bytes | None, id_wire(11)] = None
    answered_at_ms: Annotated[int | None, time_wire(12)] = None
    closed_by: Annotated[str | None, party_wire(13)] = None
    closed_at_ms: Annotated[int | None, time_wire(14)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachRecord:
    """A notice of a breach. `late_count`: agreements whose terms asked for it sooner."""

    breach_id: Annotated[bytes, id_wire(1)]
    party: Annotated[str, party_wire(2)]
    agreement_ids: Annotated[tuple[bytes, ...], raw(3, size=32, count=limits.BREACH_AGREEMENTS_MAX)]
    detected_at_ms: Annotated[int, time_wire(4)]
    notified_at_ms: Annotated[int, time_wire(5)]
    late_count: Annotated[int, uint(6)]
    evidence: Annotated[bytes, id_wire(7)]
    readers: Annotated[
        tuple[str, ...],
        text(8, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=limits.EVENT_READERS_MAX),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRecord:
    """What a share brought was given back to a party above."""

    share_id: Annotated[bytes, id_wire(1)]
    to: Annotated[str, party_wire(2)]
    returned_by: Annotated[str, party_wire(3)]
    commitment: Annotated[bytes, id_wire(4)]
    blob: Annotated[bytes | None, id_wire(5)]
    returned_at_ms: Annotated[int, time_wire(6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateRecord:
    """What an auditor may look into, while it lasts."""

    granted_by: Annotated[str, party_wire(1)]
    granted_at_ms: Annotated[int, time_wire(2)]
    expires_at_ms: Annotated[int | None, time_wire(3)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRecord:
    """A refused onward share: who tried what, which rule said no, and who may know."""

    code: Annotated[str, enum_wire(1)]
    rule: Annotated[str, text(2, maximum=8)]
    sharer: Annotated[str, party_wire(3)]
    recipient: Annotated[str, party_wire(4)]
    parent_agreement_id: Annotated[bytes, id_wire(5)]
    parent_share_id: Annotated[bytes, id_wire(6)]
    refused_at_ms: Annotated[int, time_wire(7)]
    readers: Annotated[
        tuple[str, ...],
        text(8, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=limits.DEPTH_MAX + 3),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRecord:
    """Refusals that a party caused in one hour of block time."""

    hour: Annotated[int, uint(1)]
    count: Annotated[int, uint(2)]


class _Memory:
    """Records that were read a while ago, by their bytes, bounded in those.

    Records are frozen and bytes have one meaning, so who finds one here finds what she would have
    decoded, down to the types of its values: what is written is decoded before it comes in here,
    or a replica that has just started might see a plain text where another sees a member of an
    enumeration.

    There are two generations, and what was asked for is in the younger one; when that is full, the
    older one goes. (Letting the oldest go one by one looks cheap and is not: to find the first key
    of a dict is to walk over all that have left before it.)
    """

    __slots__ = ("_old", "_young", "_young_bytes")

    def __init__(self) -> None:
        self._young: dict[tuple[type[object], bytes], object] = {}
        self._old: dict[tuple[type[object], bytes], object] = {}
        self._young_bytes = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, cls: type[object], value: bytes) -> object | None:
        """The record of this class with these bytes, if it is remembered."""
        found = self._young.get((cls, value))
        if found is None:
            found = self._old.get((cls, value))
            if found is not None:
                self.keep(found, value)
        return found

    def keep(self, record: object, value: bytes) -> None:
        """Remember a record and its bytes."""
        key = (type(record), value)
        if key in self._young:
            return
        if self._young_bytes + len(value) > limits.RECORDS_REMEMBERED_BYTES_MAX // 2:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        self._young[key] = record
        self._young_bytes += len(value)


_memory = _Memory()


def load(reader: Reader, key: str, cls: type[T]) -> T | None:
    """The record at `key`, or None."""
    value = reader.get(key)
    if value is None:
        return None
    # gate: N10 remembered by its bytes: who finds it finds what she would have decoded
    known = _memory.find(cls, value)
    if isinstance(known, cls):
        return known
    try:
        found = decode(cls, value)
    except CanonicalError as error:
        raise BrokenStateError(f"{key}: {error}") from None
    # gate: N10 as above
    _memory.keep(found, value)
    return found


def must_load(reader: Reader, key: str, cls: type[T]) -> T:
    """The record at `key`, to which another record points."""
    record = load(reader, key, cls)
    if record is None:
        raise BrokenStateError(f"{key} is missing, although another record points to it")
    return record


def save(ctx: Context, key: str, record: object) -> None:
    """Write a record."""
    ctx.put(key, encode(record))
