"""The rules of an onward share, R08 to R28, in their order: the first that fails is the verdict.

    R01 R02   the payload is right in itself            forms.py
    R03 R06   chain, replay, validity, keys             the node, before the contract is asked
    R04 R05   recipient registered, and has signed      share.py: refused plainly, not recorded
    R08-R28   below, one function per rule              refused and recorded (refusal.py)

The same rules guard an offer or acceptance with a parent (then there is no parcel yet) and every
later share inside a child agreement (then the child itself must be in force too). No rule
writes, and none reads more than the path to the root: at most nine agreements, and as many shares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onward_chaincode import limits
from onward_chaincode.contract import Party, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import (
    active_key,
    agreement_key,
    approval_key,
    blob_key,
    commitment_key,
    sanction_key,
    share_key,
)
from onward_chaincode.payloads import Grant, Parcel
from onward_chaincode.records import (
    AgreementRecord,
    ApprovalRecord,
    Reference,
    ShareEntry,
    load,
    must_load,
)
from onward_chaincode.schema import Schema, find_schema
from onward_chaincode.standing import (
    ACTIVE,
    EXPIRED,
    REVOKED,
    SCHEDULED,
    SUSPENDED,
    TERMINATED,
    Line,
    current_of,
    effective_fields,
    effective_purposes,
    line_of,
    own_end,
    own_status,
    standing,
)
from onward_chaincode.terms import (
    ANONYMISED_ONLY,
    CONSENT_PER_SHARE,
    PROHIBITED,
    RECALLED,
    Terms,
    find_terms,
)

OPEN, USED = "OPEN", "USED"  # of an approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What somebody wants to do: pass `parent_share_id` on to `recipient`.

    `parcel` is None while an agreement is only offered or accepted. `inside` is the existing child
    agreement when the share is one more under it. `approval` is what the rights holder gave for it.
    """

    sharer: str
    recipient: Party
    parent_agreement_id: bytes
    parent_share_id: bytes
    child: Grant
    parcel: Parcel | None
    inside: AgreementRecord | None
    approval: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An attempt with everything that the rules look at. `path` is the parent and its ancestors."""

    attempt: Attempt
    reader: Reader
    time_ms: int
    share: ShareEntry
    parent: AgreementRecord
    path: Line
    terms: Terms
    terms_state: str

    @property
    def in_force(self) -> Line:
        """The agreements that must be in force: the child too, when it exists."""
        inside = self.attempt.inside
        return self.path if inside is None else (inside, *self.path)

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Where the child allows the data to be; empty is everywhere."""
        return self.attempt.child.jurisdictions or self.parent.jurisdictions


def judge(attempt: Attempt, reader: Reader, time_ms: int) -> Case:
    """Apply R08 to R28. Raises `Refuse` for the first that fails, else answers the case."""
    case = open_case(attempt, reader, time_ms)
    for _, rule in RULES:
        rule(case)
    return case


def open_case(attempt: Attempt, reader: Reader, time_ms: int) -> Case:
    """R08 and R09: the share and the agreement exist and belong together."""
    share = load(reader, share_key(attempt.parent_share_id), ShareEntry)
    if share is None:
        raise refuse(Code.UNKNOWN_PARENT, f"share {attempt.parent_share_id.hex()} is not recorded")
    parent = load(reader, agreement_key(attempt.parent_agreement_id), AgreementRecord)
    if parent is None:
        raise refuse(
            Code.UNKNOWN_PARENT, f"agreement {attempt.parent_agreement_id.hex()} is not recorded"
        )
    if attempt.inside is not None:
        parent = current_of(reader, parent)
    if share.agreement_id != parent.agreement_id and not _of_one_series(reader, share, parent):
        raise refuse(
            Code.PARENT_MISMATCH,
            f"share {share.share_id.hex()} was not made under {parent.agreement_id.hex()}",
        )
    record, terms = find_terms(reader, parent.terms_id)
    return Case(
        attempt=attempt,
        reader=reader,
        time_ms=time_ms,
        share=share,
        parent=parent,
        path=line_of(reader, parent),
        terms=terms,
        terms_state=record.state,
    )


def _of_one_series(reader: Reader, share: ShareEntry, parent: AgreementRecord) -> bool:
    """Whether the share was made under an agreement that the parent amended."""
    made_under = must_load(reader, agreement_key(share.agreement_id), AgreementRecord)
    return made_under.series == parent.series


def r10_sharer_received_it(case: Case) -> None:
    """Only the recipient of the share, who is the parent agreement's second party, passes it on."""
    if case.attempt.sharer != case.share.recipient:
        raise refuse(
            Code.NOT_RECIPIENT,
            f"share {case.share.share_id.hex()} did not go to {case.attempt.sharer}",
        )
    if case.attempt.sharer != case.parent.second_party:
        raise refuse(
            Code.NOT_RECIPIENT, f"{case.attempt.sharer} is no custodian under the parent agreement"
        )


def r11_parent_in_force(case: Case) -> None:
    """The nearest agreement has begun, has not ended and is not suspended."""
    require_in_force(case.in_force[0], case.time_ms)


def require_in_force(agreement: AgreementRecord, time_ms: int) -> None:
    """R11 for one agreement. Raises `Refuse` with the code of its status."""
    status = own_status(agreement, time_ms)
    if status == ACTIVE:
        return
    code = _STATUS_CODES.get(status, Code.PARENT_NOT_ACTIVE)
    raise refuse(code, f"agreement {agreement.agreement_id.hex()} is {status} at {time_ms}")


_STATUS_CODES = {
    SCHEDULED: Code.PARENT_NOT_YET,
    EXPIRED: Code.PARENT_EXPIRED,
    REVOKED: Code.PARENT_REVOKED,
    TERMINATED: Code.PARENT_TERMINATED,
    SUSPENDED: Code.PARENT_SUSPENDED,
}


def r12_ancestors_in_force(case: Case) -> None:
    """So are all the agreements above it."""
    require_ancestors_in_force(case.in_force, case.time_ms)


def require_ancestors_in_force(line: Line, time_ms: int) -> None:
    """R12 for a line whose first agreement is in force by itself."""
    found = standing(line, time_ms)
    if not found.effective:
        raise refuse(
            Code.ANCESTOR_ENDED,
            f"ancestor {found.because_of.agreement_id.hex()} is {found.because} at {time_ms}",
        )


def r13_share_not_withdrawn(case: Case) -> None:
    """Neither the share nor one that it comes from was taken back, and nobody above erased it."""
    require_not_attested(case.in_force)
    share = case.share
    for _ in case.path:
        if share.withdrawn_at_ms is not None:
            raise refuse(
                Code.SHARE_WITHDRAWN,
                f"share {share.share_id.hex()} was withdrawn at {share.withdrawn_at_ms}",
            )
        if share.parent_share_id is None:
            return
        share = must_load(case.reader, share_key(share.parent_share_id), ShareEntry)


def require_not_attested(line: Line) -> None:
    """R13, the other half: whoever attested that it erased the data cannot go on handling it."""
    for agreement in line:
        if agreement.attested_at_ms is not None:
            raise refuse(
                Code.SHARE_WITHDRAWN,
                f"{agreement.second_party} attested at {agreement.attested_at_ms} that it keeps "
                f"nothing under {agreement.agreement_id.hex()}",
            )


def r14_sharer_not_sanctioned(case: Case) -> None:
    """The sharer owes no overdue duty under this root. One read: the flag is written elsewhere."""
    if case.reader.get(sanction_key(case.parent.root_id, case.attempt.sharer)) is not None:
        raise refuse(
            Code.SANCTIONED,
            f"{case.attempt.sharer} is under sanction for root {case.parent.root_id.hex()}",
        )


def r15_onward_allowed(case: Case) -> None:
    """The terms allow onward sharing at all."""
    if case.terms.onward_mode == PROHIBITED:
        raise refuse(
            Code.ONWARD_PROHIBITED, f"the terms {case.terms.label} prohibit onward sharing"
        )


def r16_same_terms(case: Case) -> None:
    """The child is under the very same terms, by content and not by label."""
    if case.attempt.child.terms != case.parent.terms_id:
        raise refuse(
            Code.TERMS_MISMATCH,
            f"the parent is under terms {case.parent.terms_id.hex()}, "
            f"the child under {case.attempt.child.terms.hex()}",
        )


def r17_terms_not_recalled(case: Case) -> None:
    """Deprecated terms still carry onward shares, recalled ones do not."""
    if case.terms_state == RECALLED:
        raise refuse(Code.TERMS_RECALLED, f"the terms {case.terms.label} were recalled")


def r18_approval(case: Case) -> None:
    """Terms that ask for approval per share need one that is unused and says exactly this."""
    if case.terms.onward_mode != CONSENT_PER_SHARE:
        return
    wanted = case.attempt.approval
    if wanted is None:
        raise refuse(
            Code.CONSENT_TOKEN,
            f"the terms {case.terms.label} ask for an approval of the rights holder, none is named",
        )
    approval = load(case.reader, approval_key(wanted), ApprovalRecord)
    if approval is None or approval.parent_share_id != case.share.share_id:
        raise refuse(Code.CONSENT_TOKEN, f"{wanted.hex()} is no approval for this share")
    if approval.state != OPEN:
        raise refuse(Code.CONSENT_TOKEN, f"the approval is {approval.state}")
    if case.time_ms >= approval.expires_at_ms:
        raise refuse(Code.CONSENT_TOKEN, f"the approval expired at {approval.expires_at_ms}")
    given = (approval.recipient, approval.terms_id, approval.fields, approval.purposes)
    if given != _to_be_approved(case.attempt):
        raise refuse(
            Code.CONSENT_TOKEN,
            f"approved are fields {list(approval.fields)} for {list(approval.purposes)} "
            f"to {approval.recipient}, and nothing else",
        )


def _to_be_approved(
    attempt: Attempt,
) -> tuple[str, bytes, tuple[int, ...], tuple[str, ...]]:
    """What an approval must say word for word: what a new child grants, or one more share holds."""
    child, parcel = attempt.child, attempt.parcel
    if attempt.inside is not None and parcel is not None:
        return attempt.recipient.party_id, child.terms, parcel.fields, (parcel.purpose,)
    return attempt.recipient.party_id, child.terms, child.fields, child.purposes


def r19_depth(case: Case) -> None:
    """The child stands no deeper than the terms allow; depth is computed, never stated."""
    depth = case.parent.depth + 1
    most = min(case.terms.onward_max_depth, limits.DEPTH_MAX)
    if depth > most:
        raise refuse(Code.DEPTH, f"the child would stand at depth {depth}, at most {most}")


def r20_count(case: Case) -> None:
    """The share has not been passed on as often as the terms allow."""
    most = case.terms.onward_max_count
    if most is not None and case.share.onward_count >= most:
        raise refuse(
            Code.QUOTA, f"the share was passed on {case.share.onward_count} times, at most {most}"
        )


def r21_schema(case: Case) -> None:
    """The child speaks of the same fields."""
    if case.attempt.child.schema != case.parent.schema_id:
        raise refuse(
            Code.SCHEMA,
            f"the parent's schema is {case.parent.schema_id.hex()}, "
            f"the child's {case.attempt.child.schema.hex()}",
        )


def r22_fields(case: Case) -> None:
    """Nothing is granted or passed on that is not granted to, and received by, the sharer."""
    held = frozenset(effective_fields(case.path)) & frozenset(case.share.fields)
    if case.attempt.inside is None:
        granted = frozenset(case.attempt.child.fields)
        require_subset(Code.FIELDS, "the child's fields", case.attempt.child.fields, held)
    else:
        granted = frozenset(effective_fields(case.in_force))
    if case.attempt.parcel is not None:
        fields = case.attempt.parcel.fields
        require_subset(Code.FIELDS, "the share's fields", fields, granted & held)


def r23_purposes(case: Case) -> None:
    """No purpose is added on the way, and none that the terms forbid."""
    held = frozenset(effective_purposes(case.path)) - frozenset(case.terms.purposes_forbidden)
    if case.attempt.inside is None:
        granted = frozenset(case.attempt.child.purposes)
        require_subset(Code.PURPOSE, "the child's purposes", case.attempt.child.purposes, held)
    else:
        granted = frozenset(effective_purposes(case.in_force))
    if case.attempt.parcel is not None:
        named = (case.attempt.parcel.purpose,) if case.attempt.parcel.purpose else ()
        require_subset(Code.PURPOSE, "the share's purpose", named, granted & held)


def require_subset(
    code: Code, what: str, values: tuple[int, ...] | tuple[str, ...], allowed: frozenset[object]
) -> None:
    """Raises `Refuse` with `code` unless `values` is not empty and lies within `allowed`."""
    if not values:
        raise refuse(code, f"{what}: none is named")
    beyond = [value for value in values if value not in allowed]
    if beyond:
        raise refuse(code, f"{what}: {beyond} not granted")


def r24_anonymised(case: Case) -> None:
    """Where only anonymised data may go on, it says so and holds no identifying field."""
    if case.terms.onward_mode != ANONYMISED_ONLY:
        return
    parcel = case.attempt.parcel
    if parcel is not None and parcel.transform != "ANONYMISED":
        raise refuse(Code.ANONYMISATION, f"transform is {parcel.transform}, expected ANONYMISED")
    schema: Schema = find_schema(case.reader, case.parent.schema_id)
    named = set(case.attempt.child.fields) | set(parcel.fields if parcel is not None else ())
    pointing = sorted(schema.identifying & named)
    if pointing:
        raise refuse(Code.ANONYMISATION, f"fields {pointing} identify a person")


def r25_window(case: Case) -> None:
    """The child's period lies within that of every agreement above, and so does its retention.

    Of a child that exists, only what is left of both counts, and R11 and R12 have seen to that: an
    amendment above shortens what is below, and does not end it.
    """
    child, parent = case.attempt.child, case.parent
    if case.attempt.inside is not None:
        return
    if child.not_before_ms is not None and child.not_before_ms < parent.not_before_ms:
        raise refuse(
            Code.WINDOW,
            f"the child begins at {child.not_before_ms}, the parent at {parent.not_before_ms}",
        )
    ends = [item.expires_at_ms for item in case.path if item.expires_at_ms is not None]
    if ends and (child.expires_at_ms is None or child.expires_at_ms > min(ends)):
        raise refuse(
            Code.WINDOW,
            f"the child expires at {child.expires_at_ms}, the path above at {min(ends)}",
        )
    begins = max(case.time_ms, child.not_before_ms or 0)
    if child.expires_at_ms is not None and child.expires_at_ms <= begins:
        raise refuse(Code.WINDOW, f"the child expires at {child.expires_at_ms}, begins at {begins}")
    if case.attempt.parcel is not None and begins > case.time_ms:
        # Data would change hands under an agreement that binds nobody yet, as often as one likes.
        raise refuse(Code.WINDOW, f"the share is of now, the child begins at {begins}")
    if child.retention_ms > parent.retention_ms:
        raise refuse(
            Code.WINDOW,
            f"the child keeps data for {child.retention_ms} ms, the parent {parent.retention_ms}",
        )


def r26_recipient(case: Case) -> None:
    """The terms admit the recipient, and the data stays where the parent lets it be."""
    recipient, terms = case.attempt.recipient, case.terms
    if terms.onward_group is not None and terms.onward_group not in recipient.groups:
        raise refuse(
            Code.RECIPIENT, f"{recipient.party_id} is not in the group {terms.onward_group}"
        )
    if terms.onward_list is not None and recipient.party_id not in terms.onward_list:
        raise refuse(Code.RECIPIENT, f"the terms do not list {recipient.party_id}")
    allowed = case.parent.jurisdictions
    beyond = [item for item in case.attempt.child.jurisdictions if item not in allowed]
    if allowed and beyond:
        raise refuse(Code.JURISDICTION, f"the parent does not allow {beyond}")
    require_jurisdiction(recipient, case.jurisdictions)


def require_jurisdiction(party: Party, allowed: tuple[str, ...]) -> None:
    """Raises `Refuse` E_JURISDICTION unless the party sits where data may be."""
    if allowed and party.jurisdiction not in allowed:
        raise refuse(
            Code.JURISDICTION,
            f"{party.party_id} is registered in {party.jurisdiction or 'no jurisdiction'}, "
            f"allowed are {list(allowed)}",
        )


def r27_topology(case: Case) -> None:
    """Data goes on, never back: not to the sharer, the rights holder or a custodian above."""
    recipient = case.attempt.recipient.party_id
    if recipient == case.attempt.sharer:
        raise refuse(Code.TOPOLOGY, f"{recipient} would share with itself")
    if recipient == case.parent.rights_holder:
        raise refuse(Code.TOPOLOGY, f"{recipient} is the rights holder")
    if any(recipient in (item.first_party, item.second_party) for item in case.path):
        raise refuse(Code.TOPOLOGY, f"{recipient} already stands on the path")


def r28_not_recorded_before(case: Case) -> None:
    """Nothing that was named before, nor the same fields of the same share to the same recipient.

    Only the newest agreement is looked at under which those fields went there: the ones before it
    had ended for good, or it would not have come about.
    """
    parcel = case.attempt.parcel
    if parcel is None:
        return
    require_never_named(case.reader, parcel.commitment, parcel.blob)
    key = active_key(case.share.share_id, case.attempt.recipient.party_id, parcel.fields)
    earlier = load(case.reader, key, Reference)
    if earlier is None:
        return
    found = must_load(case.reader, agreement_key(earlier.target), AgreementRecord)
    line = line_of(case.reader, current_of(case.reader, found))
    if all(own_end(item, case.time_ms) is None for item in line):
        raise refuse(
            Code.DUPLICATE,
            f"these fields already went to {case.attempt.recipient.party_id} "
            f"under {earlier.target.hex()}",
        )


def require_never_named(reader: Reader, commitment: bytes, blob: bytes | None) -> None:
    """R28, first half: a commitment stands once on the chain, and so does a blob, purged or not."""
    if reader.get(commitment_key(commitment)) is not None:
        raise refuse(Code.DUPLICATE, f"commitment {commitment.hex()} is already recorded")
    if blob is not None and reader.get(blob_key(blob)) is not None:
        raise refuse(Code.DUPLICATE, f"blob {blob.hex()} is already named")


RULES: tuple[tuple[str, Callable[[Case], None]], ...] = (
    ("R10", r10_sharer_received_it),
    ("R11", r11_parent_in_force),
    ("R12", r12_ancestors_in_force),
    ("R13", r13_share_not_withdrawn),
    ("R14", r14_sharer_not_sanctioned),
    ("R15", r15_onward_allowed),
    ("R16", r16_same_terms),
    ("R17", r17_terms_not_recalled),
    ("R18", r18_approval),
    ("R19", r19_depth),
    ("R20", r20_count),
    ("R21", r21_schema),
    ("R22", r22_fields),
    ("R23", r23_purposes),
    ("R24", r24_anonymised),
    ("R25", r25_window),
    ("R26", r26_recipient),
    ("R27", r27_topology),
    ("R28", r28_not_recorded_before),
)
