"""How two validators make sure of each other before the first frame.

    dialer    introduces itself: chain, epoch, both keys, its nonce
    listener  the same with both nonces, signed
    dialer    the same with both nonces, signed

Each signature covers chain, epoch, both keys, both nonces and the hash of the signer's TLS leaf, so
it is of no use on another chain, towards another peer, in another connection or under another
certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from onward.crypto.hashing import SIGN_HELLO
from onward.crypto.signing import Signer, Verify
from onward.errors import MalformedError, RejectCode, RejectedError
from onward_proto.canonical import CanonicalError, decode, encode, raw, uint

HELLO_FORMAT = 1
HELLO_BYTES_MAX = 512
NONCE_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """One of the three. An introduction has neither `receiver_nonce` nor `signature`.

    `leaf_hash` is absent on a connection without TLS.
    """

    format: Annotated[int, uint(1, maximum=255)]
    chain_id: Annotated[bytes, raw(2, size=32)]
    epoch: Annotated[int, uint(3, maximum=2**53 - 1)]
    sender: Annotated[bytes, raw(4, size=32)]
    receiver: Annotated[bytes, raw(5, size=32)]
    sender_nonce: Annotated[bytes, raw(6, size=NONCE_BYTES)]
    receiver_nonce: Annotated[bytes | None, raw(7, size=NONCE_BYTES)]
    leaf_hash: Annotated[bytes | None, raw(8, size=32)]
    signature: Annotated[bytes | None, raw(9, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Our end of one connection. The nonce is used once."""

    chain_id: bytes
    epoch: int
    signer: Signer
    nonce: bytes
    leaf_hash: bytes | None

    def introduce(self, peer_key: bytes) -> bytes:
        """The dialer's first word."""
        return encode(self._hello(peer_key, None))

    def prove(self, peer_key: bytes, peer_nonce: bytes) -> bytes:
        """The signed hello that answers the peer's nonce."""
        hello = self._hello(peer_key, peer_nonce)
        signature = self.signer.sign(SIGN_HELLO + encode(hello))
        return encode(replace(hello, signature=signature))

    def _hello(self, peer_key: bytes, peer_nonce: bytes | None) -> Hello:
        return Hello(
            format=HELLO_FORMAT,
            chain_id=self.chain_id,
            epoch=self.epoch,
            sender=self.signer.public_key,
            receiver=peer_key,
            sender_nonce=self.nonce,
            receiver_nonce=peer_nonce,
            leaf_hash=self.leaf_hash,
            signature=None,
        )


def read_hello(data: bytes) -> Hello:
    """The hello in `data`. Raises `MalformedError`."""
    if len(data) > HELLO_BYTES_MAX:
        raise MalformedError(f"hello of {len(data)} bytes, at most {HELLO_BYTES_MAX}")
    try:
        hello = decode(Hello, data)
    except CanonicalError as error:
        raise MalformedError(f"hello: {error}") from None
    if hello.format != HELLO_FORMAT:
        raise MalformedError(f"hello of format {hello.format}, expected {HELLO_FORMAT}")
    return hello


def check_address(hello: Hello, side: Side) -> None:
    """That a hello is meant for us. Raises `RejectedError` E_CHAIN or E_PEER."""
    if hello.chain_id != side.chain_id:
        raise RejectedError(
            RejectCode.CHAIN,
            f"hello for chain {hello.chain_id.hex()[:16]}, this is {side.chain_id.hex()[:16]}",
        )
    if hello.receiver != side.signer.public_key:
        raise RejectedError(
            RejectCode.PEER,
            f"hello for key {hello.receiver.hex()[:16]}, "
            f"this is {side.signer.public_key.hex()[:16]}",
        )


def check_proof(
    hello: Hello, side: Side, *, sender: bytes, leaf_hash: bytes | None, verify: Verify
) -> None:
    """That `sender` made this hello for this connection.

    `leaf_hash` is that of the certificate which the sender showed us, or None where we cannot see
    it: a dialer has checked the listener's whole chain against the one key it trusts.

    Raises `RejectedError` E_CHAIN or E_PEER.
    """
    check_address(hello, side)
    if hello.sender != sender:
        raise RejectedError(
            RejectCode.PEER, f"hello of key {hello.sender.hex()[:16]}, expected {sender.hex()[:16]}"
        )
    if hello.receiver_nonce != side.nonce:
        raise RejectedError(RejectCode.PEER, "hello answers another connection's nonce")
    if (hello.leaf_hash is None) != (side.leaf_hash is None):
        raise RejectedError(RejectCode.PEER, "one side speaks TLS and the other does not")
    if leaf_hash is not None and hello.leaf_hash != leaf_hash:
        raise RejectedError(RejectCode.PEER, "hello names another TLS certificate than it shows")
    unsigned = encode(replace(hello, signature=None))
    if hello.signature is None or not verify(sender, SIGN_HELLO + unsigned, hello.signature):
        raise RejectedError(RejectCode.PEER, "hello's signature is not valid")
