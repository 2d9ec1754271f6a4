"""Drafting and signing without a network: nobody signs what she was not shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from onward.cli.draft_file import DraftFile, parse_draft
from onward.cli.main import main
from onward.cli.output import Exit, UsageFault
from onward.cli.values import moment, options_of, split_list
from onward.crypto.signing import SigningKey, verify
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.ledger.transaction import Body, check_envelope, decode_body
from onward.network.access import now_ms
from onward.network.definition import Network, create_network
from onward.scenario.grammar import keys_of
from onward.system.parties import PartyKind
from onward_chaincode.drafts import explain
from onward_chaincode.payloads import PAYLOADS
from onward_proto.canonical import encode

DAY_MS = 86_400_000
CHAIN = bytes(range(32))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Definition and wallet only; no process runs."""
    made = create_network(tmp_path / "n", validators=4, time_ms=1)
    made.wallet.create("alice", PartyKind.PERSON)
    made.wallet.create("acme", PartyKind.ORGANISATION)
    made.wallet.create("beta", PartyKind.ORGANISATION)
    return made


def offline(network: Network, name: str) -> tuple[str, ...]:
    """The options of somebody who has the genesis and a key, and no network."""
    return (
        "--genesis",
        str(network.folder / "genesis.json"),
        "--key",
        str(network.wallet.folder / f"{name}.json"),
    )


def onward_draft(network: Network, file: Path) -> Result:
    """A draft that ACME and BETA have to sign."""
    share, agreement = "ab" * 32, "cd" * 32
    return run(
        *("share", "onward", *offline(network, "acme"), "--draft", str(file)),
        *("--parent-share", share, "--parent-agreement", agreement, "--recipient", "beta"),
        *("--child-terms", "T-P2B1", "--child-schema", "S-CONTACT", "--fields", "1,3"),
        *("--purpose", "dpv:ServiceProvision", "--child-expires-at", "20d"),
    )


def test_offer_drafted_from_words_says_what_was_meant(network: Network, tmp_path: Path) -> None:
    file = tmp_path / "offer.json"
    result = run(
        *("agreement", "offer", *offline(network, "alice"), "--draft", str(file), "--to", "acme"),
        *("--terms", "T-P2B1", "--schema", "S-CONTACT", "--fields", "email,category"),
        *("--purposes", "dpv:ServiceProvision", "--expires-at", "30d"),
    )
    assert result.exit_code == Exit.YES, result.output
    body = decode_body(parse_draft(file.read_bytes(), "offer").bodies[0])
    assert body.actor == network.wallet.load("alice").party_id
    payload = explain(body.type, body.payload)
    assert payload["to"] == "acme"
    assert payload["grant"]["fields"] == [1, 3]
    assert abs(payload["grant"]["expires_at_ms"] - now_ms() - 30 * DAY_MS) < 60_000


def test_draft_with_two_signers_is_complete_when_both_have_signed(
    network: Network, tmp_path: Path
) -> None:
    file = tmp_path / "d.json"
    assert onward_draft(network, file).exit_code == Exit.YES
    signed = run("tx", "sign", str(file), *offline(network, "acme"), "--json")
    assert json.loads(signed.stdout)["missing"] == ["beta"]
    cosigned = run("tx", "cosign", str(file), *offline(network, "beta"), "--json")
    assert json.loads(cosigned.stdout)["missing"] == []
    draft = parse_draft(file.read_bytes(), "d")
    chain_id = network.genesis.chain_id
    (transaction,) = check_envelope(draft.envelope(), chain_id, verify)
    assert transaction.body.cosigners == ("beta",)


def test_order_of_signing_does_not_matter(network: Network, tmp_path: Path) -> None:
    file = tmp_path / "d.json"
    onward_draft(network, file)
    assert run("tx", "cosign", str(file), *offline(network, "beta")).exit_code == Exit.YES
    assert run("tx", "sign", str(file), *offline(network, "acme")).exit_code == Exit.YES
    envelope = parse_draft(file.read_bytes(), "d").envelope()
    (transaction,) = check_envelope(envelope, network.genesis.chain_id, verify)
    assert transaction.signers[0] == network.wallet.load("acme").signer.public_key


def test_nobody_signs_in_the_place_of_another(network: Network, tmp_path: Path) -> None:
    file = tmp_path / "d.json"
    onward_draft(network, file)
    assert run("tx", "sign", str(file), *offline(network, "beta")).exit_code == Exit.USAGE
    assert run("tx", "cosign", str(file), *offline(network, "acme")).exit_code == Exit.USAGE
    assert run("tx", "cosign", str(file), *offline(network, "alice")).exit_code == Exit.NO
    assert parse_draft(file.read_bytes(), "d").signatures == ()


def sample(salt: int = 1) -> bytes:
    return encode(
        Body(
            format=1,
            contract="isa",
            type="share.ack",
            actor="acme",
            cosigners=(),
            valid_until_ms=5,
            salt=bytes([salt] * 16),
            payload=b"",
        )
    )


def test_draft_shows_how_long_a_signature_under_it_can_be_used(tmp_path: Path) -> None:
    """Whoever signs for ever must see it before."""
    file = tmp_path / "d.json"
    draft = DraftFile(chain_id=CHAIN, bodies=(sample(),), signatures=())
    file.write_text(draft.render(), encoding="utf-8")
    shown = run("tx", "show", str(file)).stdout
    assert "of contract isa, to be executed before 1970-01-01 00:00:00 UTC" in shown


def test_changed_explanation_is_refused() -> None:
    """The file travels; whoever carries it could write something else above the bytes."""
    draft = DraftFile(chain_id=CHAIN, bodies=(sample(),), signatures=())
    assert parse_draft(draft.render().encode(), "d") == draft
    with pytest.raises(MalformedError, match="explanation"):
        parse_draft(draft.render().replace("share.ack", "share.gone").encode(), "d")


def test_signature_does_not_move_to_another_body_or_chain() -> None:
    key = SigningKey(bytes(32))
    signed = DraftFile(chain_id=CHAIN, bodies=(sample(),), signatures=()).signed("acme", key)
    for other in (
        DraftFile(chain_id=CHAIN, bodies=(sample(2),), signatures=signed.signatures),
        DraftFile(chain_id=bytes(32), bodies=(sample(),), signatures=signed.signatures),
    ):
        with pytest.raises(MalformedError, match="not valid"):
            parse_draft(other.render().encode(), "d")


def test_incomplete_draft_becomes_no_envelope() -> None:
    with pytest.raises(RejectedError) as caught:
        DraftFile(chain_id=CHAIN, bodies=(sample(),), signatures=()).envelope()
    assert caught.value.code == RejectCode.COUNTERSIGNATURE


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "7", '{"format": "onward/draft/1"}', "\xff", "[" * 9_999]
)
def test_what_is_no_draft_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_draft(text.encode("latin-1"), "d")


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_every_key_of_a_payload_is_an_option_of_its_command(kind: str) -> None:
    assert [option.key.key for option in options_of(kind)] == list(keys_of(kind))
    result = run(*kind.replace("_", "-").split("."), "--help")
    for option in options_of(kind):
        shown = option.flag if option.key.name != "document" else "LABEL_OR_FILE"
        assert shown in result.output


@pytest.mark.parametrize(
    ("name", "text", "expected_ms"),
    [
        ("expires_at", "1750000000000", 1_750_000_000_000),
        ("expires_at", "2027-01-31", 1_801_353_600_000),
        ("expires_at", "2027-01-31T12:00:00+02:00", 1_801_389_600_000),
        ("retention", "30d", 30 * DAY_MS),
        ("retention", "0", 0),
    ],
)
def test_times_are_read_as_people_write_them(name: str, text: str, expected_ms: int) -> None:
    assert moment(name, text, "--x") == expected_ms


@pytest.mark.parametrize("text", ["now + 2h", "2h", "+2h"])
def test_bare_duration_counts_from_now_where_a_moment_is_meant(text: str) -> None:
    assert abs(moment("expires_at", text, "--x") - now_ms() - 2 * 3_600_000) < 60_000


@pytest.mark.parametrize("text", ["soon", "2027-13-01", "", "5 parsecs"])
def test_time_that_says_nothing_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageFault):
        moment("expires_at", text, "--x")


def test_lists_are_given_with_commas_or_repeated() -> None:
    assert split_list(("a,b", " c ")) == ["a", "b", "c"]


def test_reference_to_nothing_says_what_is_expected(network: Network, tmp_path: Path) -> None:
    result = run(
        *("agreement", "accept", "--network", str(network.folder), "--as", "acme"),
        *("--draft", str(tmp_path / "d.json"), "--offer", "nowhere"),
    )
    assert result.exit_code in {Exit.USAGE, Exit.UNAVAILABLE}
    assert not (tmp_path / "d.json").exists()
