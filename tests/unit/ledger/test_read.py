from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import limits
from onward.crypto.signing import SigningKey, verify
from onward.errors import RejectedError
from onward.ledger.read import ReadScope, check_read, query_method, seal_read

NOW = 1_750_000_000_000
KEY = SigningKey(bytes([1]) * 32)
SCOPE = ReadScope(
    chain_id=bytes([7]) * 32,
    node=bytes([8]) * 32,
    method=query_method("isa", "agreement"),
    arguments=b'{"id":"x"}',
)
READ = seal_read(SCOPE, party="acme", valid_until_ms=NOW + 1_000, signer=KEY)


def code_of(data: bytes, scope: ReadScope = SCOPE, now_ms: int = NOW) -> str:
    with pytest.raises(RejectedError) as refused:
        check_read(data, scope, now_ms=now_ms, verify=verify)
    return refused.value.code


def test_signed_read_names_its_party_and_key() -> None:
    reader = check_read(READ, SCOPE, now_ms=NOW, verify=verify)
    assert (reader.party, reader.public_key) == ("acme", KEY.public_key)


def test_read_is_of_no_use_anywhere_else() -> None:
    """A node that keeps a read must not be able to use it for another question or elsewhere."""
    assert code_of(READ, replace(SCOPE, chain_id=bytes(32))) == "E_CHAIN"
    assert code_of(READ, replace(SCOPE, node=bytes(32))) == "E_READER"
    assert code_of(READ, replace(SCOPE, method="block")) == "E_READER"
    assert code_of(READ, replace(SCOPE, arguments=b"{}")) == "E_READER"


def test_read_is_valid_for_a_minute_at_most_and_ends_on_time() -> None:
    assert code_of(READ, now_ms=NOW + 1_000) == "E_EXPIRED"
    longest = NOW + limits.READ_VALIDITY_MS_MAX
    check_read(
        seal_read(SCOPE, party="acme", valid_until_ms=longest, signer=KEY),
        SCOPE,
        now_ms=NOW,
        verify=verify,
    )
    longer = seal_read(SCOPE, party="acme", valid_until_ms=longest + 1, signer=KEY)
    assert code_of(longer) == "E_VALIDITY"


def test_forged_or_nameless_read_is_refused() -> None:
    assert code_of(READ[:-1] + bytes([READ[-1] ^ 1])) == "E_SIG"
    nameless = seal_read(SCOPE, party="-", valid_until_ms=NOW + 1, signer=KEY)
    assert code_of(nameless) == "E_FORMAT"
    assert code_of(READ + bytes(1024)) == "E_SIZE"


@given(cut=st.integers(min_value=0, max_value=len(READ) - 1))
def test_truncated_read_is_malformed(cut: int) -> None:
    assert code_of(READ[:cut]) == "E_FORMAT"
