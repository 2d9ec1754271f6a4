"""A validator's signed word that it has destroyed its copy of a blob.

    onward/deletion/1
    chain 3f0c…                      the chain id, 64 hex digits
    record isa/41d2…                 contract and record, whose blob it was
    blob 9c01…                       the SHA-256 of the destroyed bytes
    height 812                       of the validator's chain, when they were gone
    signer v2 <base64>               name and public key
    signature <base64>               over everything above

It proves who said so. That no other copy exists, nobody can prove.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from onward.crypto.hashing import SIGN_DELETION
from onward.crypto.signing import Signer, Verify
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.ledger.genesis import Genesis
from onward.ledger.note import decode_base64, encode_base64

DELETION_HEADER = "onward/deletion/1"
DELETION_BYTES_MAX = 1_024
_FORM = re.compile(
    r"onward/deletion/1\n"
    r"chain (?P<chain>[0-9a-f]{64})\n"
    r"record (?P<contract>[a-z0-9]{1,32})/(?P<record>[0-9a-f]{64})\n"
    r"blob (?P<blob>[0-9a-f]{64})\n"
    r"height (?P<height>0|[1-9][0-9]{0,15})\n"
    r"signer (?P<name>[a-z0-9-]{1,32}) (?P<key>[A-Za-z0-9+/]{43}=)\n"
    r"signature (?P<signature>[A-Za-z0-9+/]{86}==)\n",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Which bytes are gone, of which record, and at which height that was so."""

    chain_id: bytes
    contract: str
    record: bytes
    blob: bytes
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDeletion:
    """A deletion and the validator that vouches for it."""

    deletion: Deletion
    validator: str
    public_key: bytes


def encode_deletion(deletion: Deletion, validator: str, signer: Signer) -> bytes:
    """The file's bytes."""
    text = "".join(
        f"{line}\n"
        for line in (
            DELETION_HEADER,
            f"chain {deletion.chain_id.hex()}",
            f"record {deletion.contract}/{deletion.record.hex()}",
            f"blob {deletion.blob.hex()}",
            f"height {deletion.height}",
            f"signer {validator} {encode_base64(signer.public_key)}",
        )
    )
    signature = signer.sign(SIGN_DELETION + text.encode())
    return f"{text}signature {encode_base64(signature)}\n".encode()


def verify_deletion(data: bytes, genesis: Genesis, verify: Verify) -> SignedDeletion:
    """What the file proves, with the genesis and nothing else.

    Raises `MalformedError` for another form, `RejectedError`: E_CHAIN, E_SIGNER for who is no
    validator of the genesis under this key, E_SIG.
    """
    found = (
        _FORM.fullmatch(data.decode("ascii", "replace"))
        if len(data) <= DELETION_BYTES_MAX
        else None
    )
    if found is None:
        raise MalformedError(f"deletion: not the seven lines of {DELETION_HEADER}")
    if found["chain"] != genesis.chain_id.hex():
        raise RejectedError(RejectCode.CHAIN, f"deletion: of chain {found['chain'][:16]}")
    key = decode_base64(found["key"], "the signer's key")
    members = {member.name: member.public_key for member in genesis.validators.members}
    if members.get(found["name"]) != key:
        raise RejectedError(
            RejectCode.SIGNER, f"deletion: {found['name']} is no validator under this key"
        )
    signed = data[: found.start("signature") - len("signature ")]
    if not verify(key, SIGN_DELETION + signed, decode_base64(found["signature"], "the signature")):
        raise RejectedError(RejectCode.SIGNATURE, f"deletion: {found['name']} did not sign this")
    deletion = Deletion(
        chain_id=genesis.chain_id,
        contract=found["contract"],
        record=bytes.fromhex(found["record"]),
        blob=bytes.fromhex(found["blob"]),
        height=int(found["height"]),
    )
    return SignedDeletion(deletion=deletion, validator=found["name"], public_key=key)
