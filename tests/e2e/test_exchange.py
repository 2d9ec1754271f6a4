"""An agreement of a running network in the formats of others, with its receipts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.test_network import answer, folder, onward

from onward.audit.receipt_verifier import verify_receipt
from onward.exchange.exports import FORMATS

__all__ = ("folder",)  # the fixture


def test_an_agreement_leaves_the_network_as_a_file_that_says_the_same(
    folder: Path, tmp_path: Path
) -> None:
    """Asked of a node or read from a dossier; and the receipts inside verify with no node."""
    at = ("--network", str(folder))
    grant = ("--terms", "T-P2B1", "--schema", "S-CONTACT", "--fields", "email,category")
    purpose = ("--purposes", "dpv:ServiceProvision", "--notice", "notice 1")
    ends = ("--expires-at", "now + 30d", "--offer-expires-at", "now + 1d")
    onward("party", "register", "alice", "--kind", "person", *at)
    onward("party", "register", "acme", *at)
    onward("schema", "publish", "S-CONTACT", *at)
    onward("terms", "publish", "T-P2B1", *at)
    offer = ("agreement", "offer", "--as", "alice", "--to", "acme")
    onward(*offer, *grant, *purpose, *ends, "--save", "offer", *at)
    onward("agreement", "accept", "--as", "acme", "--offer", "offer", "--save", "deal", *at)

    told = answer("export", "dossier", "deal", "--as", "acme", "--receipts", *at)
    file = tmp_path / "deal.json"
    file.write_text(json.dumps(told))
    genesis = (folder / "genesis.json").read_bytes()
    types = [verify_receipt(text.encode(), genesis).type for text in told["receipts"].values()]
    assert types == ["agreement.offer", "agreement.accept"]

    terms_id = told["agreement"]["terms_id"]
    assert answer("terms", "show", terms_id, "--as", "acme", *at)["label"] == "T-P2B1"
    onward("network", "down", str(folder))
    exports: dict[str, Any] = {name: answer("export", name, str(file)) for name in FORMATS}
    assert exports["kantara"]["consentReceiptID"] == told["agreement"]["agreement_id"]
    assert len(exports["vc"]["evidence"]) == 2
    assert exports["odrl"]["assignee"].endswith(":party:acme")
