"""One table from what went wrong to the gRPC status that says so, and back.

A refused call ends with a status; its trailing metadata carry the stable code and what decided, its
details the message for people. Codes that the table does not name are refusals by a contract's
state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import grpc

from onward.errors import (
    CorruptionError,
    DivergenceError,
    InvariantError,
    MalformedError,
    PeerFault,
    RejectCode,
    RejectedError,
    Unavailable,
)

CODE_KEY = "onward-code"
RULE_KEY = "onward-rule"
RETRY_KEY = "onward-retry-after-ms"
DETAILS_CHARACTERS_MAX = 512
_RETRY_DIGITS_MAX = 9

_S = grpc.StatusCode

STATUS_BY_CODE: dict[str, grpc.StatusCode] = {
    "E_FORMAT": _S.INVALID_ARGUMENT,
    "E_SIZE": _S.INVALID_ARGUMENT,
    "E_CHAIN": _S.INVALID_ARGUMENT,
    "E_VALIDITY": _S.INVALID_ARGUMENT,
    "E_CONTRACT": _S.INVALID_ARGUMENT,
    "E_TYPE": _S.INVALID_ARGUMENT,
    "E_LIMIT": _S.INVALID_ARGUMENT,
    "E_SIG": _S.UNAUTHENTICATED,
    "E_COUNTERSIG": _S.UNAUTHENTICATED,
    "E_PARTY": _S.PERMISSION_DENIED,
    "E_SIGNER": _S.PERMISSION_DENIED,
    "E_BLOB": _S.INVALID_ARGUMENT,
    "E_NOT_RECIPIENT": _S.PERMISSION_DENIED,
    "E_READER": _S.PERMISSION_DENIED,
    "E_MANDATE": _S.PERMISSION_DENIED,
    "E_PEER": _S.PERMISSION_DENIED,
    "E_NOT_FOUND": _S.NOT_FOUND,
    "E_EXPIRED": _S.FAILED_PRECONDITION,
    "E_STATE": _S.FAILED_PRECONDITION,
    "E_REPLAY": _S.ALREADY_EXISTS,
    "E_DUPLICATE": _S.ALREADY_EXISTS,
    "E_BUSY": _S.RESOURCE_EXHAUSTED,
    "E_QUOTA": _S.RESOURCE_EXHAUSTED,
    "E_UNAVAILABLE": _S.UNAVAILABLE,
    "E_FAULT": _S.INTERNAL,
    "E_VALIDATORS": _S.FAILED_PRECONDITION,
    "E_NOT_READY": _S.FAILED_PRECONDITION,
    "E_QUORUM": _S.FAILED_PRECONDITION,
}
"""Codes with a status of their own; `status_of_code` knows the rest."""

_FATAL = (CorruptionError, DivergenceError, InvariantError)
_UNAVAILABLE_CODES = frozenset({"E_BUSY", "E_UNAVAILABLE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Everything that travels when a call is refused."""

    status: grpc.StatusCode
    code: str
    rule: str
    message: str
    retry_after_ms: int

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The trailing metadata; only what is set."""
        pairs = [(CODE_KEY, self.code)]
        if self.rule:
            pairs.append((RULE_KEY, self.rule))
        if self.retry_after_ms:
            pairs.append((RETRY_KEY, str(self.retry_after_ms)))
        return tuple(pairs)


def is_fatal(error: BaseException) -> bool:
    """Whether an error says that this node cannot go on."""
    return isinstance(error, _FATAL)


def status_of_code(code: str) -> grpc.StatusCode:
    """The gRPC status of a refusal with this code."""
    if code.startswith("E_UNKNOWN_"):
        return _S.NOT_FOUND
    return STATUS_BY_CODE.get(code, _S.FAILED_PRECONDITION)


def failure_of(error: Exception) -> Failure:
    """What to tell the other side. Faults of our own are told without their content."""
    code, rule, retry_after_ms = str(RejectCode.FAULT), "", 0
    message = str(error)
    match error:
        case RejectedError():
            code, rule = str(error.code), error.rule
        case MalformedError() | PeerFault():
            code = str(error.code)
        case Unavailable():
            code, retry_after_ms = str(error.code), error.retry_after_ms
        case _ if is_fatal(error):
            code, message = str(RejectCode.UNAVAILABLE), "the node is stopping"
        case _:
            message = "the node met a fault of its own with this request"
    return Failure(
        status=status_of_code(code),
        code=code,
        rule=_ascii(rule),
        message=message[:DETAILS_CHARACTERS_MAX],
        retry_after_ms=retry_after_ms,
    )


def error_of(
    status: grpc.StatusCode, details: str, metadata: Iterable[tuple[str, str | bytes]]
) -> RejectedError | Unavailable:
    """The error behind a failed call, on the client's side."""
    found = {key: value for key, value in metadata if isinstance(value, str)}
    code = found.get(CODE_KEY, "")
    if not code:
        return _error_without_code(status, details)
    hint = found.get(RETRY_KEY, "")
    is_hint = hint.isdecimal() and len(hint) <= _RETRY_DIGITS_MAX
    return refusal(code, found.get(RULE_KEY, ""), details, int(hint) if is_hint else 0)


def refusal(code: str, rule: str, message: str, retry_after_ms: int) -> RejectedError | Unavailable:
    """The error that a refusal's fields describe."""
    if code in _UNAVAILABLE_CODES:
        error = Unavailable(message, retry_after_ms=retry_after_ms)
        error.code = code
        return error
    return RejectedError(code, message, rule=rule)


def _error_without_code(status: grpc.StatusCode, details: str) -> RejectedError | Unavailable:
    """GRPC itself gave up: the message was too large, unknown, or the node cannot be reached."""
    if status is _S.RESOURCE_EXHAUSTED and "larger than max" in details:
        return RejectedError(RejectCode.SIZE, details)
    if status is _S.UNIMPLEMENTED:
        return RejectedError(RejectCode.TYPE, details or "the node does not know this method")
    return Unavailable(f"{status.name.lower().replace('_', ' ')}: {details}")


def _ascii(text: str) -> str:
    """Metadata values are printable ASCII."""
    return text.encode("ascii", "replace").decode()[:64]
