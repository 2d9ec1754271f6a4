"""TLS whose only authority is the validator's own key.

Each process makes an ephemeral P-256 key and has it certified by the validator's Ed25519 identity
key, which acts as its certificate authority. (An Ed25519 leaf itself does not complete a handshake
in gRPC.) Whoever connects trusts one authority only: the key that the genesis names for that very
node. The anchor is made from the public key alone. It is self-issued, and nobody checks an anchor's
own signature, so no certificate ever has to be handed round.

Certificates name the whole of time: a validator's rights end with the validator set and not with a
date, and a clock that is a year off must not take a node off the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from onward.errors import RejectCode, RejectedError

_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280: no expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """A process's certificate and the key that belongs to it. `leaf_hash`: SHA-256 of its DER."""

    certificate_pem: bytes
    private_key_pem: bytes
    leaf_hash: bytes


def issue_identity(seed: bytes) -> TlsIdentity:
    """A new leaf under the validator's identity key, whose 32-byte seed is given."""
    authority = Ed25519PrivateKey.from_private_bytes(seed)
    public_key = authority.public_key().public_bytes_raw()
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name("onward node"))
        .issuer_name(_name(public_key.hex()))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host_name(public_key))]), critical=False
        )
        .sign(authority, None)
    )
    return TlsIdentity(
        certificate_pem=certificate.public_bytes(Encoding.PEM),
        private_key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        leaf_hash=certificate.fingerprint(hashes.SHA256()),
    )


def trust_anchor(public_key: bytes) -> bytes:
    """The PEM certificate that makes a validator's identity key an authority."""
    # Any key may sign an anchor; this one is forgotten at once.
    throwaway = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(public_key.hex()))
        .issuer_name(_name(public_key.hex()))
        .public_key(Ed25519PublicKey.from_public_bytes(public_key))
        .serial_number(1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(throwaway, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def host_name(public_key: bytes) -> str:
    """The name that the certificates of a key's owner carry, whatever its address is."""
    return f"v-{public_key.hex()[:32]}.onward"


def check_leaf(certificate_pem: bytes, public_key: bytes) -> bytes:
    """The SHA-256 of a certificate that `public_key` issued. Raises `RejectedError` E_PEER."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            certificate.signature, certificate.tbs_certificate_bytes
        )
    except (InvalidSignature, ValueError):
        raise RejectedError(
            RejectCode.PEER, f"TLS certificate was not issued by key {public_key.hex()[:16]}"
        ) from None
    return sha256(certificate.public_bytes(Encoding.DER)).digest()


def issuer_of(certificate_pem: bytes) -> bytes | None:
    """The identity key that really issued a certificate; None where it is not of our making."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    for name in certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME):
        try:
            key = bytes.fromhex(str(name.value))
            check_leaf(certificate_pem, key)
        except (RejectedError, ValueError):
            continue
        return key
    return None


def server_credentials(
    identity: TlsIdentity, *, client_keys: tuple[bytes, ...] = ()
) -> grpc.ServerCredentials:
    """What a server shows; with `client_keys` it demands a certificate of one of them."""
    pair = (identity.private_key_pem, identity.certificate_pem)
    if not client_keys:
        return grpc.ssl_server_credentials([pair])
    anchors = b"".join(trust_anchor(key) for key in client_keys)
    return grpc.ssl_server_credentials([pair], root_certificates=anchors, require_client_auth=True)


def channel_credentials(
    server_key: bytes, identity: TlsIdentity | None = None
) -> grpc.ChannelCredentials:
    """Trust in one server only; with `identity`, our own certificate for it to see."""
    anchor = trust_anchor(server_key)
    if identity is None:
        return grpc.ssl_channel_credentials(anchor)
    return grpc.ssl_channel_credentials(anchor, identity.private_key_pem, identity.certificate_pem)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
