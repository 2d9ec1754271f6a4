"""Errors say who is at fault.

`MalformedError`  the bytes are wrong: whoever sent them is at fault
`RejectedError`   well-formed, refused by a rule; carries the rule's stable code
`PeerFault`       a validator did what no honest one does; carries what shows it
`Unavailable`     nobody is at fault: try again, perhaps elsewhere
`CorruptionError` our own disk contradicts itself: stop and tell the operator
`InvariantError`  a bug of ours: it ends the node and is never caught

`RejectCode` lists the codes that the node itself gives. Contracts bring their own in the same form
(`E_` and capitals); docs/spec/codes.md has them all, with status and meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn


class RejectCode(StrEnum):
    """Codes of the node's own refusals. Stable: a code is never renamed or reused."""

    FORMAT = "E_FORMAT"
    SIZE = "E_SIZE"
    CHAIN = "E_CHAIN"
    SIGNATURE = "E_SIG"
    COUNTERSIGNATURE = "E_COUNTERSIG"
    PARTY = "E_PARTY"
    SIGNER = "E_SIGNER"
    BLOB = "E_BLOB"
    REPLAY = "E_REPLAY"
    EXPIRED = "E_EXPIRED"
    VALIDITY = "E_VALIDITY"
    CONTRACT = "E_CONTRACT"
    TYPE = "E_TYPE"
    DUPLICATE = "E_DUPLICATE"
    STATE = "E_STATE"
    BUSY = "E_BUSY"
    UNAVAILABLE = "E_UNAVAILABLE"
    NOT_FOUND = "E_NOT_FOUND"
    READER = "E_READER"
    PEER = "E_PEER"
    LIMIT = "E_LIMIT"
    FAULT = "E_FAULT"
    VALIDATORS = "E_VALIDATORS"
    NOT_READY = "E_NOT_READY"
    QUORUM = "E_QUORUM"


class OnwardError(Exception):
    """Root of every error that Onward raises on purpose."""


class MalformedError(OnwardError):
    """Bytes that are not what they claim to be."""

    code: str = RejectCode.FORMAT


class RejectedError(OnwardError):
    """A valid request that a rule refuses."""

    def __init__(self, code: str, message: str, *, rule: str = "") -> None:
        """`code` is stable and for machines, `message` is for people, `rule` names what decided."""
        super().__init__(message)
        self.code = code
        self.rule = rule


class PeerFault(OnwardError):
    """An authenticated peer did what no honest validator does."""

    code: str = RejectCode.PEER


class Unavailable(OnwardError):
    """Not now: no quorum, a full queue, a timeout. The same bytes may be sent again."""

    code: str = RejectCode.UNAVAILABLE

    def __init__(self, message: str, *, retry_after_ms: int = 0) -> None:
        """`retry_after_ms` is a hint; 0 means none is known."""
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class CorruptionError(OnwardError):
    """What our own disk returned cannot be what was written."""


class DivergenceError(OnwardError):
    """This node's execution contradicts what a quorum certified: it must stop."""

    def __init__(self, message: str, *, certified: object = None) -> None:
        """`certified`: the `ledger.block.Executed` that the others agree on, where one is known."""
        super().__init__(message)
        self.certified = certified


class InvariantError(OnwardError):
    """A bug: something that cannot happen did."""


def invariant(condition: object, message: str) -> None:
    """Raise `InvariantError` unless `condition` holds. Unlike `assert` it survives `python -O`."""
    if not condition:
        unreachable(message)


def unreachable(message: str) -> NoReturn:
    """Raise `InvariantError`: this line cannot be reached."""
    raise InvariantError(message)
