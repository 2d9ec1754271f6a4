"""What a command leaves behind when the network does not answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result

from onward.cli.asking import ANSWER_BYTES_MAX
from onward.cli.delivery import _called
from onward.cli.main import main
from onward.cli.output import Exit
from onward.cli.target import Target
from onward.crypto.signing import verify
from onward.errors import Unavailable
from onward.ledger.leaf import CODE_OK, Outcome
from onward.ledger.transaction import check_envelope
from onward.network.definition import Network, create_network
from onward.network.wallet import read_identity
from onward.replica.answers import Submission
from onward.replica.effects import Verdict
from onward.system.parties import PartyKind
from onward.system.registry import RotateKey
from onward.types import Digest
from onward_proto.canonical import decode
from onward_proto.documents import canonical_document

CONTACT = ("--fields", "1", "--purpose", "dpv:ServiceProvision")
ID = "ab" * 32


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})


@pytest.fixture
def network(tmp_path: Any) -> Network:
    """Definition and wallet only; no process runs."""
    made = create_network(tmp_path / "n", validators=4, time_ms=1)
    made.wallet.create("acme", PartyKind.ORGANISATION)
    return made


class Reached:
    """A network that takes what is submitted and says what the test says."""

    def __init__(self, says: Callable[[], Submission]) -> None:
        self.says = says
        self.envelopes: list[bytes] = []
        self.answer: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def submit(self, envelope: bytes) -> Submission:
        self.envelopes.append(envelope)
        await asyncio.sleep(0)
        return self.says()

    async def query(self, *_: object) -> tuple[bytes, int]:
        await asyncio.sleep(0)
        return canonical_document(self.answer), 7


def reach(monkeypatch: pytest.MonkeyPatch, says: Callable[[], Submission]) -> Reached:
    client = Reached(says)
    monkeypatch.setattr(Target, "client", lambda _: client)
    return client


def silence() -> Submission:
    raise Unavailable("no answer within 20000 ms")


def refusal() -> Submission:
    return answered("E_SIGNER", Outcome.REFUSED)


def acceptance() -> Submission:
    return answered(CODE_OK, Outcome.ACCEPTED)


def answered(code: str, outcome: Outcome) -> Submission:
    verdict = Verdict(
        tx_hash=Digest(bytes(32)),
        code=code,
        rule="",
        message="",
        outcome=outcome,
        height=3,
        log_index=5,
        event=None,
    )
    return Submission(tx_hashes=(Digest(bytes(32)),), verdicts=(verdict,))


def test_whoever_got_no_answer_learns_how_to_ask_for_the_verdict(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been executed; typing the command again would do it a second time."""
    client = reach(monkeypatch, silence)
    result = run(
        *("share", "record", "--as", "acme", "--network", str(network.folder), "--json"),
        *("--agreement", ID, "--commitment", "the data", *CONTACT),
    )
    assert result.exit_code == Exit.UNAVAILABLE
    (transaction,) = check_envelope(client.envelopes[0], network.genesis.chain_id, verify)
    told = json.loads(result.stdout)["message"]
    assert f"onward query tx {transaction.tx_hash.hex()}" in told
    # Without the salt the commitment that may be on the chain now would open for nobody.
    assert "keep this: commitment_salt = " in result.stderr


def test_new_key_is_on_disk_before_the_chain_can_know_it(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the rotation was executed after all, a key that was lost has lost the party for ever."""
    client = reach(monkeypatch, silence)
    old = network.wallet.load("acme").signer.public_key
    where = ("--as", "acme", "--network", str(network.folder))
    result = run("party", "rotate-key", *where)
    assert result.exit_code == Exit.UNAVAILABLE
    (kept,) = network.wallet.folder.glob("acme.*.new")
    assert str(kept) in result.stderr
    (transaction,) = check_envelope(client.envelopes[0], network.genesis.chain_id, verify)
    rotation = decode(RotateKey, transaction.body.payload)
    assert read_identity(kept).signer.public_key == rotation.public_key
    assert network.wallet.load("acme").signer.public_key == old


@pytest.mark.parametrize("says", [refusal, acceptance])
def test_rotation_with_a_verdict_leaves_one_key(
    network: Network, monkeypatch: pytest.MonkeyPatch, says: Callable[[], Submission]
) -> None:
    reach(monkeypatch, says)
    old = network.wallet.load("acme").signer.public_key
    result = run("party", "rotate-key", "--as", "acme", "--network", str(network.folder))
    accepted = result.exit_code == Exit.YES
    assert accepted is (says is acceptance)
    assert list(network.wallet.folder.glob("acme.*.new")) == []
    assert (network.wallet.load("acme").signer.public_key != old) is accepted


@pytest.mark.parametrize("wrong", [["--save", "Bad Name", "--network"], ["--save", "deal"]])
def test_name_that_cannot_be_kept_is_refused_before_anything_is_sent(
    network: Network, monkeypatch: pytest.MonkeyPatch, wrong: list[str]
) -> None:
    """Afterwards the transaction would stand, and its verdict would never have been shown."""
    client = reach(monkeypatch, acceptance)
    offline = ["--genesis", str(network.folder / "genesis.json"), "--node", "h:1"]
    offline += ["--key", str(network.wallet.folder / "acme.json")]
    where = [*wrong, str(network.folder)] if wrong[-1] == "--network" else [*wrong, *offline]
    result = run("party", "deactivate", "acme", *where)
    assert result.exit_code == Exit.USAGE
    assert client.envelopes == []


def test_page_of_an_answer_may_be_longer_than_a_document(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of two hundred agreements is; documents are bounded because they are stored."""
    client = reach(monkeypatch, silence)
    client.answer = {"agreements": [{"agreement_id": ID, "n": n} for n in range(2_000)]}
    assert 64 * 1024 < len(canonical_document(client.answer)) < ANSWER_BYTES_MAX
    result = run("query", "agreements", "--as", "acme", "--network", str(network.folder), "--json")
    assert result.exit_code == Exit.YES, result.stdout
    assert len(json.loads(result.stdout)["agreements"]) == 2_000


def test_person_who_acts_is_named_as_her_wallet_does(network: Network) -> None:
    """The chain knows a pseudonym that nobody has seen who registered `alice`."""
    alice, acme = network.wallet.create("alice", PartyKind.PERSON), network.wallet.load("admin")
    assert _called(alice) == f"alice ({alice.party_id[:8]}…)"
    assert _called(acme) == "admin"


def test_organisation_that_acts_with_a_key_file_is_named_in_full(network: Network) -> None:
    """Two may begin alike, and who reads whom it was must not have to guess."""
    file = network.wallet.folder / "acme.json"
    document = json.loads(file.read_text(encoding="utf-8")) | {"party": "hospital-north"}
    key = file.with_name("key.json")
    key.write_text(json.dumps(document), encoding="utf-8")
    key.chmod(0o600)
    assert _called(read_identity(key)) == "key (hospital-north)"
