"""Keys on disk: nobody else reads them, and nothing is signed with a wrong one."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onward.crypto.signing import SigningKey
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.network.wallet import Wallet, new_seed, read_identity
from onward.system.parties import PartyKind, pseudonym_of


def test_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "wallet")
    wallet.create("acme", PartyKind.ORGANISATION)
    mode = stat.S_IMODE((tmp_path / "wallet/acme.json").stat().st_mode)
    assert mode == 0o600


def test_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A key that was copied with lax modes may be known to anybody on the machine."""
    wallet = Wallet(tmp_path)
    wallet.create("acme", PartyKind.ORGANISATION)
    (tmp_path / "acme.json").chmod(0o640)
    with pytest.raises(MalformedError, match="0640"):
        wallet.load("acme")


def test_person_is_known_by_the_pseudonym_of_her_key(tmp_path: Path) -> None:
    alice = Wallet(tmp_path).create("alice", PartyKind.PERSON)
    assert alice.party_id == pseudonym_of(alice.signer.public_key)
    assert Wallet(tmp_path).load("alice").party_id == alice.party_id


def test_organisation_carries_its_name(tmp_path: Path) -> None:
    assert Wallet(tmp_path).create("acme", PartyKind.ORGANISATION).party_id == "acme"


def test_name_cannot_be_taken_twice(tmp_path: Path) -> None:
    """Overwriting a key would lose the party for ever."""
    wallet = Wallet(tmp_path)
    before = wallet.create("acme", PartyKind.ORGANISATION)
    with pytest.raises(RejectedError) as caught:
        wallet.create("acme", PartyKind.ORGANISATION)
    assert caught.value.code == RejectCode.DUPLICATE
    assert wallet.load("acme").signer.public_key == before.signer.public_key


@pytest.mark.parametrize("name", ["", "Acme", "../acme", "a/b", "records", ".acme", "a" * 65])
def test_name_that_is_no_file_of_the_wallet_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MalformedError):
        Wallet(tmp_path).create(name, PartyKind.ORGANISATION)


def test_seed_and_public_key_must_belong_together(tmp_path: Path) -> None:
    """Signatures under a key that the chain does not know would all be void."""
    wallet = Wallet(tmp_path)
    wallet.create("acme", PartyKind.ORGANISATION)
    file = tmp_path / "acme.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(document | {"seed": new_seed().hex()}), encoding="utf-8")
    with pytest.raises(MalformedError, match="public_key"):
        read_identity(file)


def test_stranger_is_not_found_and_the_known_are_named(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path)
    wallet.create("acme", PartyKind.ORGANISATION)
    with pytest.raises(RejectedError, match="acme"):
        wallet.load("beta")


def test_new_key_signs_from_then_on_and_the_old_one_is_kept(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path)
    wallet.create("acme", PartyKind.ORGANISATION)
    seed = new_seed()
    aside = wallet.set_aside("acme", seed)
    assert wallet.names() == ("acme",)
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert read_identity(aside).party_id == "acme"  # `--key` takes it, should it come to that
    wallet.replace_key("acme", aside)
    assert wallet.load("acme").signer.public_key == SigningKey(seed).public_key
    assert len(list(tmp_path.glob("acme.*.old"))) == 1
    assert wallet.names() == ("acme",)


def test_records_are_found_by_the_names_that_they_were_given(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "wallet")
    wallet.remember("deal", {"agreement_id": "ab" * 32})
    wallet.remember("other", {"offer_id": "cd" * 32})
    assert wallet.records()["deal"] == {"agreement_id": "ab" * 32}
    assert wallet.names() == ()


@pytest.mark.parametrize("text", ["[" * 3_000, "[]", "7", "{"])
def test_file_that_is_no_key_is_malformed(tmp_path: Path, text: str) -> None:
    (tmp_path / "acme.json").write_text(text, encoding="utf-8")
    with pytest.raises(MalformedError):
        read_identity(tmp_path / "acme.json")


def test_names_given_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    """Two parties' commands may run in parallel; the transaction behind a lost name stands."""
    wallet = Wallet(tmp_path / "wallet")
    names = [f"deal-{number}" for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: wallet.remember(name, {"agreement_id": name}), names))
    assert sorted(wallet.records()) == sorted(names)
