"""What was shared, from its sealing to its signed deletion, on real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.test_network import FIELDS, answer, folder, onward, until

from onward.blobs.deletion import verify_deletion
from onward.crypto.signing import verify
from onward.ledger.genesis import parse_genesis
from onward.network.definition import read_network

__all__ = ("folder",)  # the fixture

SECRET = b'{"email":"alice@example.org","category":"4wd"}'


@pytest.mark.timeout(150)
def test_shared_data_reaches_its_recipient_and_is_gone_when_the_rights_holder_says_so(
    folder: Path, tmp_path: Path
) -> None:
    """The chain proves what was shared without knowing it; the purge leaves proofs and no data."""
    where = ("--network", str(folder))
    for party, kind in (("alice", "person"), ("acme", "organisation"), ("beta", "organisation")):
        answer("party", "register", party, "--kind", kind, *where)
    answer("terms", "publish", "T-P2B1", *where)
    answer("schema", "publish", "S-CONTACT", *where)
    answer(
        *("agreement", "offer", "--as", "alice", "--to", "acme", "--terms", "T-P2B1"),
        *("--schema", "S-CONTACT", "--fields", "email,category", "--save", "offer"),
        *("--purposes", "dpv:ServiceProvision", "--expires-at", "30d", *where),
    )
    answer("agreement", "accept", "--as", "acme", "--offer", "offer", "--save", "deal", *where)

    plain, blob = tmp_path / "payload.json", tmp_path / "payload.blob"
    plain.write_bytes(SECRET)
    parties = ("--for", "alice", "--for", "acme", "--as", "alice")
    sealed = answer("blob", "seal", str(plain), *parties, "--out", str(blob), *where)
    ids = ("--commitment", sealed["commitment"], "--blob", sealed["blob"])
    shared = answer(
        *("share", "record", "--as", "alice", "--agreement", "deal", *FIELDS, *ids),
        *("--save", "share", *where),
    )
    other = tmp_path / "other.blob"
    other.write_bytes(blob.read_bytes()[:-1] + b"x")
    refused = answer("blob", "put", "share", str(other), "--as", "alice", *where, code=1)
    assert refused["code"] == "E_BLOB"
    assert answer("blob", "put", "share", str(blob), "--as", "alice", *where)["nodes"] == 4

    assert onward("blob", "get", "share", "--as", "acme", *where).stdout_bytes == SECRET
    fetched = tmp_path / "fetched.json"
    answer("blob", "get", "share", "--as", "acme", "--out", str(fetched), *where)
    assert fetched.read_bytes() == SECRET
    assert fetched.stat().st_mode & 0o077 == 0
    assert answer("blob", "get", "share", "--as", "beta", *where, code=1)["code"] == "E_READER"

    # One node is down when it happens, and makes up for it when it is back.
    answer("network", "down", str(folder), "--kill", "--only", "v3")
    assert answer("blob", "purge", "--as", "alice", "--share", "share", *where)["code"] == "OK"
    answer("network", "up", str(folder))
    kept = tmp_path / "deletions"
    listed = ("blob", "deletions", "share", "--as", "alice", *where)
    until(lambda: len(answer(*listed)["deletions"]) == 4)
    answer(*listed, "--save", str(kept))
    gone = answer("blob", "get", "share", "--as", "acme", *where, code=1)
    assert gone["code"] == "E_NOT_FOUND"

    genesis = parse_genesis((folder / "genesis.json").read_bytes())
    signed = [verify_deletion(file.read_bytes(), genesis, verify) for file in kept.iterdir()]
    assert sorted(item.validator for item in signed) == ["v1", "v2", "v3", "v4"]
    assert {item.deletion.blob.hex() for item in signed} == {sealed["blob"]}
    assert SECRET not in plain_bytes_of(folder)
    assert blob.read_bytes()[200:232] not in plain_bytes_of(folder), "a blob is left somewhere"

    receipt = tmp_path / "share.receipt"
    receipt.write_text(onward("receipt", "get", shared["tx_hash"], "--as", "acme", *where).stdout)
    verified = answer("receipt", "verify", str(receipt), "--genesis", str(folder / "genesis.json"))
    assert verified["verified"] is True


def plain_bytes_of(folder: Path) -> bytes:
    """Everything that the nodes of a network keep."""
    homes = [node.home for node in read_network(folder).nodes]
    files = (file for home in homes for file in home.rglob("*") if file.is_file())
    return b"".join(file.read_bytes() for file in files)
