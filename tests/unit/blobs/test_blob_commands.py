"""What `onward blob` believes: no single node, about keys, commitments or deletions."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner

from onward.blobs.deletion import Deletion, encode_deletion
from onward.blobs.place import Place
from onward.blobs.sealing import Secrets, blob_hash, commitment_of, open_blob, seal
from onward.cli.main import main
from onward.cli.output import Exit
from onward.cli.target import Target
from onward.crypto.signing import SigningKey
from onward.errors import RejectedError
from onward.network.definition import Network, create_network
from onward.system.parties import PartyKind
from onward_proto.documents import canonical_document

ID = "ab" * 32
LIAR = SigningKey(b"liar".ljust(32))
PAYLOAD = b'{"email":"alice@example.org"}'
FRESH = Secrets(salt=b"s" * 32, key=b"k" * 32, nonce=b"n" * 24)


class Reached:
    """Four nodes; the first one lies."""

    def __init__(self) -> None:
        self.answers: tuple[bytes, ...] = ()
        self.blob = b""
        self.deletions: tuple[bytes, ...] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def query(self, *_: object) -> tuple[bytes, int]:
        await asyncio.sleep(0)
        return self.answers[0], 7

    async def query_all(self, *_: object) -> tuple[bytes, ...]:
        await asyncio.sleep(0)
        return self.answers

    async def get_blob(self, _place: Place, named: bytes, _reader: object) -> bytes:
        await asyncio.sleep(0)
        if blob_hash(self.blob) != named:
            raise RejectedError("E_NOT_FOUND", "no node has it")
        return self.blob

    async def blob_deletions(self, *_: object) -> tuple[bytes, ...]:
        await asyncio.sleep(0)
        return self.deletions


@pytest.fixture
def network(tmp_path: Path) -> Network:
    made = create_network(tmp_path / "n", validators=4, time_ms=1)
    made.wallet.create("acme", PartyKind.ORGANISATION)
    return made


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Reached:
    reached = Reached()
    monkeypatch.setattr(Target, "client", lambda _: reached)
    return reached


def run(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(main, ["blob", *arguments, "--json"], env={"ONWARD_NETWORK": None})
    return result.exit_code, json.loads(result.stdout)


def party(*keys: bytes) -> bytes:
    return canonical_document({"active": True, "public_keys": [key.hex() for key in keys]})


def share(sealed: bytes, payload: bytes = PAYLOAD) -> bytes:
    commitment = commitment_of(FRESH.salt, payload).hex()
    return canonical_document({"blob": blob_hash(sealed).hex(), "commitment": commitment})


@pytest.mark.parametrize(
    "lie", [b"", b"7", b"{}", b"[" * 99_999, None], ids=["empty", "7", "{}", "deep", "key"]
)
def test_key_that_one_node_makes_up_opens_nothing(
    lie: bytes | None, network: Network, nodes: Reached, tmp_path: Path
) -> None:
    """A validator keeps the blob: with its own key among the party's it would read the data."""
    acme = network.wallet.load("acme")
    true = party(acme.signer.public_key)
    nodes.answers = (party(LIAR.public_key) if lie is None else lie, true, true, true)
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(PAYLOAD)
    files = ("seal", str(plain), "--out", str(sealed))
    where = ("--for", "acme", "--as", "acme", "--network", str(network.folder))
    code, _ = run(*files, *where)
    assert code == Exit.YES
    with pytest.raises(RejectedError):
        open_blob(sealed.read_bytes(), LIAR)
    assert open_blob(sealed.read_bytes(), acme.signer).payload == PAYLOAD


def test_nothing_is_sealed_where_no_honest_node_can_be_told(
    network: Network, nodes: Reached, tmp_path: Path
) -> None:
    acme = network.wallet.load("acme")
    nodes.answers = (party(LIAR.public_key), party(acme.signer.public_key))
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(PAYLOAD)
    files = ("seal", str(plain), "--out", str(sealed))
    where = ("--for", "acme", "--as", "acme", "--network", str(network.folder))
    assert run(*files, *where)[0] == Exit.UNAVAILABLE
    assert not sealed.exists()


def test_commitment_that_one_node_makes_up_is_not_believed(
    network: Network, nodes: Reached
) -> None:
    """It knows the reader's key, so it can seal anything to her and say that the chain says so."""
    acme = network.wallet.load("acme")
    real = seal(PAYLOAD, (acme.signer.public_key,), FRESH)
    forged = seal(b"forged", (acme.signer.public_key,), FRESH)
    where = ("--as", "acme", "--network", str(network.folder))
    nodes.answers = (share(forged, b"forged"), share(real), share(real))
    nodes.blob = forged
    assert run("get", ID, *where)[0] == Exit.NO
    nodes.blob = real
    code, document = run("get", ID, *where)
    assert (code, document["payload"]) == (Exit.YES, PAYLOAD.decode())


def test_payload_that_is_not_the_committed_one_is_the_senders_fault(
    network: Network, nodes: Reached
) -> None:
    """Trying again would help nobody: the blob is the one that the chain names."""
    acme = network.wallet.load("acme")
    nodes.blob = seal(PAYLOAD, (acme.signer.public_key,), FRESH)
    nodes.answers = (share(nodes.blob, b"something else"),) * 4
    code, document = run("get", ID, "--as", "acme", "--network", str(network.folder))
    assert (code, document["code"]) == (Exit.NO, "E_BLOB")


def test_deletion_that_does_not_verify_hides_no_other(network: Network, nodes: Reached) -> None:
    """One validator could otherwise keep the words of all the others from who asks for them."""
    mine, other = deletion_of(network, 1, ID), deletion_of(network, 2, "cd" * 32)
    nodes.deletions = (b"noise", other, mine, mine)
    code, document = run("deletions", ID, "--as", "acme", "--network", str(network.folder))
    assert code == Exit.YES
    assert [row["validator"] for row in document["deletions"]] == ["v2"]
    assert document["unverified"] == 3


class Screen(io.TextIOWrapper):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.TextIOWrapper, Screen])
def test_payload_is_obeyed_by_no_terminal_and_changed_for_no_file(
    stream: type[io.TextIOWrapper],
    network: Network,
    nodes: Reached,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sender may be anybody, and what she sealed is what a reader's screen would write."""
    payload = b"\x1b[2J paid\n\xff"
    acme = network.wallet.load("acme")
    nodes.blob = seal(payload, (acme.signer.public_key,), FRESH)
    nodes.answers = (share(nodes.blob, payload),) * 4
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", stream(written, encoding="utf-8", write_through=True))
    with pytest.raises(SystemExit) as ended:
        main(["blob", "get", ID, "--as", "acme", "--network", str(network.folder)])
    assert ended.value.code == Exit.YES
    is_screen = stream is Screen
    assert written.getvalue() == ("\\u{1b}[2J paid\n\ufffd\n".encode() if is_screen else payload)


def deletion_of(network: Network, index: int, record: str) -> bytes:
    """What a validator signs about a record's blob."""
    seed = (network.nodes[index].home / "keys" / "validator.key").read_text(encoding="ascii")
    deletion = Deletion(
        chain_id=network.genesis.chain_id,
        contract="isa",
        record=bytes.fromhex(record),
        blob=b"b" * 32,
        height=7,
    )
    name = network.genesis.validators.members[index].name
    return encode_deletion(deletion, name, SigningKey(bytes.fromhex(seed)))
