"""Drafts that ask for one signature and would use it for two things."""

from __future__ import annotations

import pytest

from onward.cli.draft_file import DraftFile, parse_draft
from onward.errors import MalformedError
from onward.ledger.transaction import Body
from onward_proto.canonical import encode


def transaction(actor: str, *cosigners: str) -> bytes:
    return encode(
        Body(
            format=1,
            contract="isa",
            type="share.ack",
            actor=actor,
            cosigners=cosigners,
            valid_until_ms=1,
            salt=bytes(16),
            payload=b"",
        )
    )


def test_whoever_co_signs_does_not_act_in_another_body_of_the_same_draft() -> None:
    """A key signs all bodies of an envelope at once: consent to one would be consent to all."""
    own = (transaction("acme", "beta"), transaction("acme"))
    for bodies, mixed in ((own, False), ((own[0], transaction("beta")), True)):
        text = DraftFile(chain_id=bytes(32), bodies=bodies, signatures=()).render().encode()
        if mixed:
            with pytest.raises(MalformedError, match="more than one actor"):
                parse_draft(text, "d")
        else:
            assert parse_draft(text, "d").parties == ("acme", "beta")
