"""Clients who ask for what is not theirs: with another's bytes, or under another's name."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from tests.unit.gateway.test_door import (
    ACME,
    BETA,
    CHAIN,
    NODE,
    NOW,
    FakeNode,
    NoBlobs,
    body,
    read,
    sealed,
    stored,
    unexpected,
    verdict,
)

from onward.crypto.signing import SigningKey, verify
from onward.errors import RejectedError, Unavailable
from onward.gateway.door import Gateway
from onward.gateway.ports import DoorSettings
from onward.ledger.leaf import LedgerEvent
from onward.ledger.read import METHOD_DRY_RUN, METHOD_TRANSACTION
from onward.ledger.transaction import Body, body_hash
from onward.replica.effects import Verdict

STRANGER = SigningKey(bytes([9]) * 32)


def event(*readers: str) -> LedgerEvent:
    return LedgerEvent(contract="isa", name="shared", payload=b"{}", readers=readers)


class TellingNode(FakeNode):
    """A dry run here says what it would announce, and to whom."""

    def dry_run(self, body: Body, body_bytes: bytes, now_ms: int) -> Verdict:
        return dataclasses.replace(
            super().dry_run(body, body_bytes, now_ms),
            event=event("acme", "alice"),
            message="agreement 7 stands at depth 2",
        )


@pytest.fixture
async def node() -> TellingNode:
    return TellingNode()


@pytest.fixture
async def gateway(node: TellingNode) -> Gateway:
    settings = DoorSettings(
        chain_id=CHAIN,
        node=NODE,
        verify=verify,
        now_ms=lambda: NOW,
        monotonic_ms=lambda: node.monotonic,
    )
    return Gateway(settings, node, node, NoBlobs(), unexpected)


async def test_known_bytes_under_a_strangers_key_show_the_verdict_without_its_event(
    gateway: Gateway, node: TellingNode
) -> None:
    """The envelope is valid by its bytes: nobody has asked whose key it is."""
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = stored(tx_hash, readers=("acme", "alice"))
    own = await gateway.submit(sealed(), 1_000)
    assert own.verdicts[0].event is not None
    foreign = await gateway.submit(sealed(signers=(STRANGER,)), 1_000)
    assert (foreign.verdicts[0].code, foreign.verdicts[0].event) == ("OK", None)


async def test_bytes_in_flight_show_a_stranger_no_event_either(
    gateway: Gateway, node: TellingNode
) -> None:
    submitting = asyncio.create_task(gateway.submit(sealed(), 60_000))
    await asyncio.sleep(0)
    listening = asyncio.create_task(gateway.submit(sealed(signers=(STRANGER,)), 60_000))
    await asyncio.sleep(0)
    told = dataclasses.replace(verdict(body_hash(body())), event=event("acme"))
    gateway.finished([told])
    assert (await submitting).verdicts == (told,)
    assert (await listening).verdicts == (dataclasses.replace(told, event=None),)


async def test_a_dry_run_shows_event_and_words_to_those_who_may_know_them(
    gateway: Gateway,
) -> None:
    """Anybody may name herself as the co-signer of anybody's transaction."""
    shared = body(cosigners=("beta",))
    by_acme = gateway.dry_run(read(METHOD_DRY_RUN, shared), shared)
    assert by_acme.event is not None
    assert by_acme.message
    by_beta = gateway.dry_run(read(METHOD_DRY_RUN, shared, party="beta", signer=BETA), shared)
    assert (by_beta.code, by_beta.event, by_beta.message) == ("E_DEPTH", None, "")


async def test_the_words_of_a_refusal_are_for_those_who_signed(
    gateway: Gateway, node: TellingNode
) -> None:
    """They may name parties and agreements, and any registered party may ask for any verdict."""
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = dataclasses.replace(
        stored(tx_hash), event=None, rule="R26", message="gamma is in no group of agreement 7"
    )
    for party, signer, words in (
        ("acme", ACME, "gamma is in no group of agreement 7"),
        ("beta", BETA, ""),
    ):
        asked = read(METHOD_TRANSACTION, tx_hash, party=party, signer=signer)
        told = gateway.transaction(asked, tx_hash)
        assert (told.rule, told.message) == ("R26", words)


async def test_an_event_for_everybody_is_shown_to_everybody(
    gateway: Gateway, node: TellingNode
) -> None:
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = stored(tx_hash, readers=("*",))
    for party, signer in (("acme", ACME), ("beta", BETA)):
        asked = read(METHOD_TRANSACTION, tx_hash, party=party, signer=signer)
        assert gateway.transaction(asked, tx_hash).event is not None


def void(tx_hash: bytes, code: str) -> Verdict:
    return dataclasses.replace(verdict(tx_hash, code), outcome=0)


async def test_a_validator_that_has_the_body_ordered_under_its_own_key_tells_no_one_it_is_void(
    gateway: Gateway,
) -> None:
    """Its lane may come first in the block; the client would sign again what was accepted."""
    tx_hash = body_hash(body())
    submitting = asyncio.create_task(gateway.submit(sealed(), 60_000))
    await asyncio.sleep(0)
    gateway.finished([void(tx_hash, "E_PARTY"), verdict(tx_hash)])
    assert (await submitting).verdicts == (verdict(tx_hash),)


async def test_a_body_that_was_void_for_a_key_may_be_sent_again(
    gateway: Gateway, node: TellingNode
) -> None:
    """It may have been another's envelope; if it was her own, the door says so now."""
    tx_hash = body_hash(body())
    submitting = asyncio.create_task(gateway.submit(sealed(), 60_000))
    await asyncio.sleep(0)
    gateway.finished([void(tx_hash, "E_PARTY")])
    with pytest.raises(Unavailable, match="sent again"):
        await submitting
    del node.parties["acme"]
    with pytest.raises(RejectedError) as refused:
        await gateway.submit(sealed(), 60_000)
    assert refused.value.code == "E_PARTY"


async def test_a_body_that_is_void_by_itself_is_told_so(gateway: Gateway) -> None:
    tx_hash = body_hash(body())
    submitting = asyncio.create_task(gateway.submit(sealed(), 60_000))
    await asyncio.sleep(0)
    gateway.finished([void(tx_hash, "E_EXPIRED")])
    assert (await submitting).verdicts[0].code == "E_EXPIRED"
