"""Homes of small networks, in temporary folders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onward.crypto.signing import SigningKey
from onward.ledger.genesis import GenesisParty, Parameters, genesis_document
from onward.runtime.config import GatewayConfig, Listen, NodeConfig, PeersConfig
from onward.runtime.home import NodeHome, write_home
from onward.types import PublicKey, Validator

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
ADMIN = SigningKey(b"a" * 32)
ANY_PORT = Listen(host="127.0.0.1", port=0)


def seed_of(index: int) -> bytes:
    return bytes([index + 1]) * 32


def genesis_bytes(validators: int = 1) -> bytes:
    members = tuple(
        Validator(
            name=f"v{index}",
            organisation=f"org{index}",
            public_key=PublicKey(SigningKey(seed_of(index)).public_key),
        )
        for index in range(validators)
    )
    admin = GenesisParty(party_id="admin", kind="ADMINISTRATOR", public_key=ADMIN.public_key)
    document = genesis_document(
        network="local",
        time_ms=1_750_000_000_000,
        parameters=Parameters(),
        validators=members,
        parties=(admin,),
        contracts=(),
    )
    return json.dumps(document).encode()


def config_of(index: int = 0, validators: int = 1, **changes: Any) -> NodeConfig:
    facts: dict[str, Any] = {
        "name": f"v{index}",
        "peers": PeersConfig(
            listen=ANY_PORT,
            addresses=tuple((f"v{other}", ANY_PORT) for other in range(validators)),
            plaintext=False,
        ),
        "gateway": GatewayConfig(listen=ANY_PORT, plaintext=False),
        "metrics": ANY_PORT,
        "log_level": "info",
    }
    return NodeConfig(**(facts | changes))


@pytest.fixture
def make_home(tmp_path: Path) -> Callable[..., NodeHome]:
    def make(index: int = 0, validators: int = 1, **changes: Any) -> NodeHome:
        return write_home(
            tmp_path / f"v{index}",
            config_of(index, validators, **changes),
            genesis_bytes(validators),
            seed_of(index),
        )

    return make
