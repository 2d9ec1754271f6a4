"""The system's transactions, in the same shape as a contract's.

    party.register     administrator: any kind; enroller: pseudonyms, in no group
    party.rotate_key   the party itself; the new key signs too
    party.deactivate   an administrator, or the party itself
    party.set_groups   an administrator
    validators.*       see `validators`

A change of keys takes effect with the transaction after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

from onward import limits
from onward.errors import RejectCode
from onward.ledger.transaction import is_party_id
from onward.system.parties import (
    GROUPS_MAX,
    NAMESPACE,
    PSEUDONYM_PREFIX,
    PartyKind,
    PartyRecord,
    decode_party,
    encode_party,
    key_key,
    party_key,
    pseudonym_of,
)
from onward.system.validators import (
    Approve,
    Propose,
    Ready,
    ValidatorsContext,
    approve,
    describe,
    propose,
    ready,
)
from onward_chaincode.contract import Call, Event, Json, Reader, Recorded, Refuse, View
from onward_proto.canonical import CanonicalError, decode, nested, raw, text

REGISTRATIONS_MAX = 64
_JURISDICTION = re.compile(r"[A-Z]{2}", re.ASCII)


class SystemContext(ValidatorsContext, Protocol):
    """A context that also shows the keys which signed, and the chain so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One party to register."""

    party: Annotated[str, text(1, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]
    kind: Annotated[str, text(2, minimum=1, maximum=16)]
    public_key: Annotated[bytes, raw(3, size=32)]
    groups: Annotated[
        tuple[str, ...], text(4, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=GROUPS_MAX)
    ]
    jurisdiction: Annotated[str, text(5, maximum=2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Payload of party.register."""

    parties: Annotated[tuple[Registration, ...], nested(1, Registration, count=REGISTRATIONS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKey:
    """Payload of party.rotate_key."""

    public_key: Annotated[bytes, raw(1, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deactivate:
    """Payload of party.deactivate."""

    party: Annotated[str, text(1, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGroups:
    """Payload of party.set_groups: the groups that the party is in from now on."""

    party: Annotated[str, text(1, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]
    groups: Annotated[
        tuple[str, ...], text(2, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=GROUPS_MAX)
    ]


PAYLOADS: dict[str, type[Any]] = {
    "party.deactivate": Deactivate,
    "party.register": Register,
    "party.rotate_key": RotateKey,
    "party.set_groups": SetGroups,
    "validators.approve": Approve,
    "validators.propose": Propose,
    "validators.ready": Ready,
}


class PartyRegistry:
    """The contract behind `sys/`; see the module."""

    name = NAMESPACE
    version = 1
    types = tuple(PAYLOADS)
    queries = ("party", "validators")

    def apply(self, ctx: SystemContext, call: Call) -> Recorded | None:
        """Apply one system transaction. Raises `Refuse`."""
        try:
            payload = decode(PAYLOADS[call.type], call.payload)
        except CanonicalError as error:
            raise Refuse(RejectCode.FORMAT, f"payload: {error}") from None
        match payload:
            case Register():
                _register(ctx, payload)
            case RotateKey():
                _rotate_key(ctx, payload)
            case Deactivate():
                _deactivate(ctx, payload)
            case SetGroups():
                _set_groups(ctx, payload)
            case Propose():
                propose(ctx, payload)
            case Approve():
                approve(ctx, payload)
            case Ready():
                ready(ctx, payload)
        return None

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        """Two, for any registered reader.

        `party`: the record of a party (keys, kind, groups); `validators`: the newest approved set
        of them, and the open proposals.
        """
        if name == "validators" and not arguments:
            return describe(view)
        party_id = arguments.get("party")
        if name != "party" or sorted(arguments) != ["party"] or not isinstance(party_id, str):
            raise Refuse(
                RejectCode.FORMAT,
                "expected the query 'party' with a text 'party', or 'validators' with nothing",
            )
        data = view.get(party_key(party_id))
        if data is None:
            raise Refuse(RejectCode.NOT_FOUND, f"no party {party_id}")
        record = decode_party(data)
        return {
            "party": party_id,
            "kind": record.kind,
            "active": not record.inactive,
            "public_keys": [key.hex() for key in record.public_keys],
            "groups": list(record.groups),
            "jurisdiction": record.jurisdiction,
        }

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        """The system keeps no projections."""
        del event, tx_id, before, after
        return {}


def _register(ctx: SystemContext, payload: Register) -> None:
    caller = ctx.party(ctx.caller)
    kind = caller.kind if caller else ""
    if kind not in (PartyKind.ADMINISTRATOR, PartyKind.ENROLLER):
        raise Refuse(RejectCode.SIGNER, f"{ctx.caller} is neither administrator nor enroller")
    if not payload.parties:
        raise Refuse(RejectCode.FORMAT, "registers nobody")
    for item in payload.parties:
        _check_registration(item, enroller=kind == PartyKind.ENROLLER)
        if ctx.get(party_key(item.party)) is not None:
            raise Refuse(RejectCode.DUPLICATE, f"party {item.party} is registered")
        _claim_key(ctx, item.public_key, item.party)
        record = PartyRecord(
            kind=item.kind,
            inactive=False,
            public_keys=(item.public_key,),
            groups=item.groups,
            jurisdiction=item.jurisdiction,
        )
        ctx.put(party_key(item.party), encode_party(record))
    readers = tuple(sorted({ctx.caller}))
    ctx.emit("party.registered", {"parties": [item.party for item in payload.parties]}, readers)


def _check_registration(item: Registration, *, enroller: bool) -> None:
    if item.kind not in set(PartyKind):
        raise Refuse(RejectCode.FORMAT, f"{item.kind!r} is no kind of party")
    if not is_party_id(item.party):
        raise Refuse(RejectCode.FORMAT, f"party id {item.party!r}")
    person = item.kind == PartyKind.PERSON
    if enroller and not person:
        raise Refuse(RejectCode.SIGNER, "an enroller registers persons only")
    if enroller and item.groups:
        # Groups decide who may receive onward shares: only administrators admit to them.
        raise Refuse(RejectCode.SIGNER, f"an enroller puts nobody into {', '.join(item.groups)}")
    if person and item.party != pseudonym_of(item.public_key):
        raise Refuse(
            RejectCode.PARTY, f"{item.party} is not the pseudonym {pseudonym_of(item.public_key)}"
        )
    if not person and item.party.startswith(PSEUDONYM_PREFIX):
        raise Refuse(RejectCode.PARTY, f"{item.party} has the form of a person's pseudonym")
    if list(item.groups) != sorted(set(item.groups)):
        raise Refuse(RejectCode.FORMAT, "groups are not sorted and unique")
    if item.jurisdiction and not _JURISDICTION.fullmatch(item.jurisdiction):
        raise Refuse(RejectCode.FORMAT, f"jurisdiction {item.jurisdiction!r}: two capitals")


def _rotate_key(ctx: SystemContext, payload: RotateKey) -> None:
    if payload.public_key not in ctx.signers:
        raise Refuse(RejectCode.COUNTERSIGNATURE, "the new key has not signed")
    record = _record(ctx, ctx.caller)
    _claim_key(ctx, payload.public_key, ctx.caller)
    changed = replace(record, public_keys=(payload.public_key,))
    ctx.put(party_key(ctx.caller), encode_party(changed))
    ctx.emit("party.key_rotated", {"party": ctx.caller}, (ctx.caller,))


def _deactivate(ctx: SystemContext, payload: Deactivate) -> None:
    if payload.party != ctx.caller:
        _need_administrator(ctx)
    record = _record(ctx, payload.party)
    if record.inactive:
        raise Refuse(RejectCode.STATE, f"party {payload.party} is inactive already")
    ctx.put(party_key(payload.party), encode_party(replace(record, inactive=True)))
    ctx.emit(
        "party.deactivated", {"party": payload.party}, tuple(sorted({ctx.caller, payload.party}))
    )


def _set_groups(ctx: SystemContext, payload: SetGroups) -> None:
    _need_administrator(ctx)
    if list(payload.groups) != sorted(set(payload.groups)):
        raise Refuse(RejectCode.FORMAT, "groups are not sorted and unique")
    record = _record(ctx, payload.party)
    ctx.put(party_key(payload.party), encode_party(replace(record, groups=payload.groups)))
    ctx.emit(
        "party.groups_set",
        {"party": payload.party, "groups": list(payload.groups)},
        tuple(sorted({ctx.caller, payload.party})),
    )


def _need_administrator(ctx: SystemContext) -> None:
    caller = ctx.party(ctx.caller)
    if caller is None or caller.kind != PartyKind.ADMINISTRATOR:
        raise Refuse(RejectCode.SIGNER, f"{ctx.caller} is no administrator")


def _record(ctx: SystemContext, party_id: str) -> PartyRecord:
    data = ctx.get(party_key(party_id))
    if data is None:
        raise Refuse(RejectCode.PARTY, f"no party {party_id}")
    return decode_party(data)


def _claim_key(ctx: SystemContext, public_key: bytes, party_id: str) -> None:
    """A key that ever belonged to a party never belongs to another, and never comes back."""
    if ctx.get(key_key(public_key)) is not None:
        raise Refuse(RejectCode.DUPLICATE, f"key {public_key.hex()[:16]} is or was in use")
    ctx.put(key_key(public_key), party_id.encode())
