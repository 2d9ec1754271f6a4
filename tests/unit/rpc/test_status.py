from __future__ import annotations

import grpc
import pytest

from onward.errors import (
    CorruptionError,
    InvariantError,
    MalformedError,
    PeerFault,
    RejectCode,
    RejectedError,
    Unavailable,
)
from onward.rpc.status import STATUS_BY_CODE, error_of, failure_of, status_of_code


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("E_FORMAT", grpc.StatusCode.INVALID_ARGUMENT),
        ("E_SIG", grpc.StatusCode.UNAUTHENTICATED),
        ("E_COUNTERSIG", grpc.StatusCode.UNAUTHENTICATED),
        ("E_NOT_RECIPIENT", grpc.StatusCode.PERMISSION_DENIED),
        ("E_UNKNOWN_PARENT", grpc.StatusCode.NOT_FOUND),
        ("E_PARENT_REVOKED", grpc.StatusCode.FAILED_PRECONDITION),
        ("E_ONWARD_PROHIBITED", grpc.StatusCode.FAILED_PRECONDITION),
        ("E_REPLAY", grpc.StatusCode.ALREADY_EXISTS),
        ("E_QUOTA", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_codes_have_the_status_of_their_kind(code: str, status: grpc.StatusCode) -> None:
    assert status_of_code(code) is status


def test_every_code_of_the_node_has_a_status_of_its_own() -> None:
    """A new code that nobody placed would pass for a refusal by state."""
    assert {str(code) for code in RejectCode} <= set(STATUS_BY_CODE)


def test_refusal_survives_the_way_to_the_client() -> None:
    told = failure_of(RejectedError("E_DEPTH", "depth 3 of 2", rule="R19"))
    error = error_of(told.status, told.message, told.metadata)
    assert isinstance(error, RejectedError)
    assert (error.code, error.rule, str(error)) == ("E_DEPTH", "R19", "depth 3 of 2")


def test_unavailability_survives_with_its_hint() -> None:
    told = failure_of(Unavailable("later", retry_after_ms=250))
    error = error_of(told.status, told.message, told.metadata)
    assert isinstance(error, Unavailable)
    assert error.retry_after_ms == 250


@pytest.mark.parametrize("hint", ["9" * 5_000, "9" * 20, "-1", "soon"])
def test_hint_that_is_none_is_no_hint(hint: str) -> None:
    """A node that lies would otherwise end whoever asks it, and with it the question to others."""
    told = (("onward-code", "E_BUSY"), ("onward-retry-after-ms", hint))
    error = error_of(grpc.StatusCode.UNAVAILABLE, "later", told)
    assert isinstance(error, Unavailable)
    assert error.retry_after_ms == 0


def test_our_own_faults_are_told_without_their_content() -> None:
    for error in (CorruptionError("block 7 at sector 9"), InvariantError("secret"), KeyError("x")):
        told = failure_of(error)
        assert "secret" not in told.message
        assert "sector" not in told.message
        assert told.status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)


def test_sender_is_blamed_for_malformed_bytes() -> None:
    assert failure_of(MalformedError("x")).status is grpc.StatusCode.INVALID_ARGUMENT
    assert failure_of(PeerFault("x")).code == "E_PEER"


def test_what_grpc_says_itself_becomes_ours() -> None:
    too_large = error_of(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)", ()
    )
    assert isinstance(too_large, RejectedError)
    assert too_large.code == "E_SIZE"
    assert isinstance(error_of(grpc.StatusCode.UNAVAILABLE, "gone", ()), Unavailable)
    assert isinstance(error_of(grpc.StatusCode.UNIMPLEMENTED, "", ()), RejectedError)
