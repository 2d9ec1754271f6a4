"""Write the receipt vectors of this folder again: `python tests/vectors/receipts/generate.py`.

Keys come from fixed seeds and Ed25519 is deterministic, so the same code writes the same bytes; a
test compares them. A changed byte is a change of the format, to be approved as such.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from onward.crypto.signing import SigningKey
from onward.ledger.genesis import Genesis, Parameters, genesis_document, parse_genesis
from onward.ledger.leaf import TransactionLeaf, signers_hash
from onward.ledger.log import EMPTY_LOG, LogFrontier, inclusion_path
from onward.ledger.merkle import leaf_hash
from onward.ledger.note import (
    Checkpoint,
    NoteKey,
    NoteSignature,
    SignedNote,
    encode_base64,
    note_signature,
    validator_key_name,
)
from onward.ledger.receipt import Receipt, build_receipt, encode_receipt
from onward.ledger.transaction import Body, Envelope, body_hash, decode_envelope, seal_envelope
from onward.types import NIL, Validator
from onward_proto.canonical import encode

FOLDER = Path(__file__).parent
NETWORK = "vectors"
TIME_MS = 1_800_000_000_000
LOG_SIZE = 11
LEAF_INDEX = 6


def key(name: str) -> SigningKey:
    """The test key of that name. Its seed is no secret."""
    return SigningKey(sha256(f"onward test vector key {name}".encode()).digest())


def genesis_bytes(network: str = NETWORK) -> bytes:
    """A genesis of four validators."""
    document = genesis_document(
        network=network,
        time_ms=TIME_MS,
        parameters=Parameters(),
        validators=tuple(
            Validator(name=name, organisation=f"org-{name}", public_key=key(name).public_key)
            for name in ("v1", "v2", "v3", "v4")
        ),
        parties=(),
        contracts=(),
    )
    return json.dumps(document, indent=2).encode() + b"\n"


def body(salt: int, cosigners: tuple[str, ...] = ()) -> bytes:
    """A body that differs by its salt."""
    return encode(
        Body(
            format=1,
            contract="isa",
            type="share.onward",
            actor="acme",
            cosigners=cosigners,
            valid_until_ms=TIME_MS + 60_000,
            salt=bytes((salt,)) * 16,
            payload=b"\x0a\x04demo",
        )
    )


def verdict(
    tx_hash: bytes,
    signers: Sequence[str] = ("acme",),
    *,
    code: str = "E_ONWARD_PROHIBITED",
    outcome: int = 2,
) -> TransactionLeaf:
    """The leaf of a refused onward share that was recorded, signed by these test keys."""
    return TransactionLeaf(
        kind=1,
        height=3,
        index=1,
        time_ms=TIME_MS + 1_000,
        tx_hash=tx_hash,
        code=code,
        outcome=outcome,
        write_set_hash=sha256(b"writes").digest(),
        event_hash=NIL,
        signers_hash=signers_hash([key(name).public_key for name in signers]),
    )


def signed_note(
    genesis: Genesis, frontier: LogFrontier, signers: tuple[str, ...], origin: str | None = None
) -> SignedNote:
    """The checkpoint of a log, signed by these test keys under their names."""
    checkpoint = Checkpoint(
        origin=origin or genesis.origin, size=frontier.size, root=frontier.root()
    )
    text = checkpoint.text()
    return SignedNote(
        text=text, signatures=tuple(line_of(name, genesis.network, text) for name in signers)
    )


def line_of(name: str, network: str, text: bytes) -> NoteSignature:
    """The signature line of one test key."""
    signer = key(name)
    note_key = NoteKey(name=validator_key_name(name, network), public_key=signer.public_key)
    return note_signature(note_key, signer.sign(text))


def receipt_of(
    envelope: Envelope,
    position: int,
    *,
    leaf: bytes | None = None,
    signers: tuple[str, ...] = ("v1", "v2", "v4"),
    origin: str | None = None,
) -> Receipt:
    """A receipt for one body out of a log of `LOG_SIZE` leaves."""
    genesis = parse_genesis(genesis_bytes())
    if leaf is None:
        item = verdict(body_hash(envelope.bodies[position]))
        keys = [signature.public_key for signature in envelope.signatures]
        leaf = encode(replace(item, signers_hash=signers_hash(keys)))
    hashes = [leaf_hash(b"another leaf %d" % index) for index in range(LOG_SIZE)]
    hashes[LEAF_INDEX] = leaf_hash(leaf)
    frontier, writes = EMPTY_LOG.append(hashes)
    nodes = {(level, index): digest for level, index, digest in writes}
    return build_receipt(
        envelope=envelope,
        body_index=position,
        leaf=leaf,
        leaf_index=LEAF_INDEX,
        inclusion=inclusion_path(lambda level, index: nodes[level, index], LEAF_INDEX, LOG_SIZE),
        checkpoint=signed_note(genesis, frontier, signers, origin),
    )


def envelope_of(bodies: list[bytes], signers: tuple[str, ...], network: str = NETWORK) -> Envelope:
    """An envelope signed for the chain of that network's genesis."""
    chain_id = parse_genesis(genesis_bytes(network)).chain_id
    return decode_envelope(seal_envelope(chain_id, bodies, [key(name) for name in signers]))


def replaced(receipt: Receipt, old: str, new: str) -> bytes:
    """The receipt's bytes with one piece of text exchanged."""
    data = encode_receipt(receipt)
    changed = data.replace(old.encode(), new.encode(), 1)
    if changed == data:
        raise ValueError(f"{old!r} does not stand in the receipt")
    return changed


def vectors() -> dict[str, tuple[bytes, str | None, str]]:
    """Name -> (bytes, the code of the refusal or None, what is wrong)."""
    found: dict[str, tuple[bytes, str | None, str]] = {}
    single = envelope_of([body(1)], ("acme",))
    good = receipt_of(single, 0)
    found["valid"] = (encode_receipt(good), None, "one body, three of four validators")
    many = receipt_of(
        envelope_of([body(salt) for salt in range(5)], ("acme",)),
        2,
        signers=("v1", "v2", "v3", "v4"),
    )
    found["valid-envelope"] = (encode_receipt(many), None, "third of five bodies, all validators")
    two = receipt_of(envelope_of([body(1, ("beta",))], ("acme", "beta")), 0)
    found["valid-cosigned"] = (encode_receipt(two), None, "a body of two signing parties")
    found["valid-more-signers"] = (
        encode_receipt(_more_signers()),
        None,
        "a body of one party, in an envelope that beta signed too for another of its bodies",
    )
    for part in (_bad_text, _bad_transaction, _bad_signers, _bad_checkpoint):
        found |= {name: (data, code, what) for name, data, code, what in part(good, many, two)}
    return found


Rows = list[tuple[str, bytes, str, str]]


def _more_signers() -> Receipt:
    return receipt_of(envelope_of([body(1), body(2, ("beta",))], ("acme", "beta")), 0)


def _bad_text(good: Receipt, many: Receipt, two: Receipt) -> Rows:
    text = encode_receipt(good)
    root = good.checkpoint.text.decode().split("\n")[2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    loose = root[:42] + alphabet[alphabet.index(root[42]) ^ 1] + "="
    return [
        ("trailing-garbage", text + b"\n", "E_FORMAT", "an empty line after the end"),
        ("truncated", text[:-1], "E_FORMAT", "the last newline is missing"),
        ("crlf", text.replace(b"\n", b"\r\n"), "E_FORMAT", "lines end as on Windows"),
        ("loose-base64", replaced(good, root, loose), "E_FORMAT", "unused bits of base64 are set"),
        ("leading-zero", replaced(good, "index 6", "index 06"), "E_FORMAT", "index 06"),
        ("header", replaced(good, "receipt/1", "receipt/2"), "E_FORMAT", "an unknown version"),
    ]


def _bad_transaction(good: Receipt, many: Receipt, two: Receipt) -> Rows:
    # Field 1 (format = 1) as a varint of two bytes: the same message to a lenient decoder.
    loose_body = b"\x08\x81\x00" + good.body[2:]
    loose = receipt_of(envelope_of([body(1)], ("acme",)), 0)
    loose_leaf = good.leaf.replace(b"\x10\x03", b"\x10\x83\x00", 1)
    foreign = envelope_of([body(1)], ("acme",), network="elsewhere")
    other = encode(verdict(body_hash(body(9))))
    contradictory = encode(verdict(body_hash(good.body), code="OK", outcome=3))
    side = "left" if many.envelope_path[0].side == "right" else "right"
    return [
        ("body-not-canonical", encode_receipt(replace(loose, body=loose_body)), "E_BODY",
         "a varint longer than it needs to be"),
        ("body-flipped", encode_receipt(replace(good, body=good.body[:-1] + b"p")), "E_CLIENT",
         "the last byte of the payload differs"),
        ("client-signature-missing", encode_receipt(replace(good, signatures=())), "E_CLIENT",
         "nobody signed the body"),
        ("cosigner-missing", encode_receipt(replace(two, signatures=two.signatures[:1])),
         "E_CLIENT", "two parties, one signature"),
        ("client-key-twice", encode_receipt(replace(two, signatures=two.signatures[:1] * 2)),
         "E_CLIENT", "one key signs for both parties"),
        ("client-other-chain", encode_receipt(receipt_of(foreign, 0)), "E_CLIENT",
         "the body was signed for another chain"),
        ("envelope-side", replaced(many, many.envelope_path[0].side, side), "E_CLIENT",
         "a sibling on the wrong side"),
        ("leaf-of-another-body", encode_receipt(receipt_of(envelope_of([body(1)], ("acme",)), 0,
                                                           leaf=other)), "E_LEAF",
         "a true leaf, of another body"),
        ("leaf-not-canonical", encode_receipt(replace(good, leaf=loose_leaf)), "E_LEAF",
         "a varint longer than it needs to be"),
        ("leaf-contradicts-itself", encode_receipt(receipt_of(envelope_of([body(1)], ("acme",)), 0,
                                                              leaf=contradictory)), "E_LEAF",
         "refused, with the code OK"),
        ("leaf-verdict-changed", encode_receipt(replace(good, leaf=encode(
            verdict(body_hash(good.body), code="OK", outcome=1)))), "E_INCLUSION",
         "accepted, where the log says recorded"),
    ]  # fmt: skip


def _bad_signers(good: Receipt, many: Receipt, two: Receipt) -> Rows:
    """Signatures that are valid over the body, by other keys than those that the chain saw."""
    stranger = envelope_of([body(1)], ("mallory",)).signatures
    more = _more_signers()
    empty = replace(verdict(body_hash(good.body)), signers_hash=NIL)
    cut_leaf = good.leaf[:-34]  # without its last field: tag, length, 32 bytes
    zeros = receipt_of(envelope_of([body(1)], ("acme",)), 0, leaf=encode(empty))
    cut = receipt_of(envelope_of([body(1)], ("acme",)), 0, leaf=cut_leaf)
    return [
        ("signer-swapped", encode_receipt(replace(good, signatures=stranger)), "E_LEAF",
         "mallory signed the same body and put his line in the place of acme's"),
        ("signer-added", encode_receipt(replace(good, signatures=good.signatures + stranger)),
         "E_LEAF", "mallory signed the same body and added his line"),
        ("signer-dropped", encode_receipt(replace(more, signatures=more.signatures[:1])),
         "E_LEAF", "the body has signatures enough, but the chain saw one more"),
        ("cosigner-swapped", encode_receipt(replace(two, signatures=(
            two.signatures[0], *envelope_of([body(1, ("beta",))], ("mallory",)).signatures))),
         "E_LEAF", "mallory's line in the place of the cosigner's"),
        ("signers-reordered", encode_receipt(replace(two, signatures=two.signatures[::-1])),
         "E_LEAF", "both signed, in the other order"),
        ("leaf-of-other-signers", encode_receipt(replace(good, signatures=stranger, leaf=encode(
            verdict(body_hash(good.body), ("mallory",))))), "E_INCLUSION",
         "swapped signer and a leaf that says so, which the log does not hold"),
        ("leaf-of-no-signers", encode_receipt(zeros), "E_LEAF", "a hash of zeros"),
        ("leaf-without-signers", encode_receipt(cut), "E_LEAF", "field 10 is missing"),
    ]  # fmt: skip


def _bad_checkpoint(good: Receipt, many: Receipt, two: Receipt) -> Rows:
    envelope = envelope_of([body(1)], ("acme",))
    note = good.checkpoint
    first, second, third = note.signatures
    origin = parse_genesis(genesis_bytes("elsewhere")).origin
    stranger = receipt_of(envelope, 0, signers=("v1", "v2", "mallory"))
    wrong_id = replace(first, key_id=bytes(4))
    flipped = replace(first, signature=first.signature[:-1] + bytes((first.signature[-1] ^ 1,)))
    renamed = replace(first, name=second.name)

    def signed_by(*lines: NoteSignature) -> bytes:
        return encode_receipt(replace(good, checkpoint=replace(note, signatures=lines)))

    smaller = note.text.replace(b"\n11\n", b"\n6\n")
    small_note = SignedNote(
        text=smaller,
        signatures=tuple(line_of(name, NETWORK, smaller) for name in ("v1", "v2", "v4")),
    )
    path = good.inclusion
    hash_line = encode_base64(path[0])
    return [
        ("wrong-chain", encode_receipt(receipt_of(envelope, 0, origin=origin)), "E_CHAIN",
         "a checkpoint of another chain by the same validators"),
        ("signer-not-in-genesis", encode_receipt(stranger), "E_SIGNER", "one signer is a stranger"),
        ("duplicate-signer", signed_by(first, second, second), "E_SIGNER", "v2 counted twice"),
        ("signer-renamed", signed_by(renamed, second, third), "E_SIGNER", "v1 signs as v2"),
        ("key-id", signed_by(wrong_id, second, third), "E_SIGNER", "a key id of no known key"),
        ("validator-signature", signed_by(flipped, second, third), "E_SIGNER", "one bit flipped"),
        ("below-quorum", signed_by(first, second), "E_QUORUM", "two of four"),
        ("index-beyond-size", encode_receipt(replace(good, checkpoint=small_note)), "E_INCLUSION",
         "leaf 6 of a log that has 6 leaves"),
        ("index-moved", replaced(good, "index 6", "index 7"), "E_INCLUSION", "its neighbour's"),
        ("path-too-long", encode_receipt(replace(good, inclusion=(*path, NIL))), "E_INCLUSION",
         "one hash too many"),
        ("path-too-short", replaced(good, f"{hash_line}\n", ""), "E_INCLUSION", "one hash too few"),
    ]  # fmt: skip


def write(folder: Path, report: Callable[[str], object]) -> None:
    """Write the genesis, every vector and the list of them."""
    found = vectors()
    (folder / "genesis.json").write_bytes(genesis_bytes())
    rows = [
        {"file": f"{name}.receipt", "code": code, "what": what}
        for name, (_, code, what) in found.items()
    ]
    (folder / "vectors.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for name, (data, _, _) in found.items():
        (folder / f"{name}.receipt").write_bytes(data)
    report(f"{len(found)} receipts in {folder}\n")


if __name__ == "__main__":
    write(FOLDER, sys.stdout.write)
