"""SHA-256 under a domain tag, so that the bytes of one kind of object never pass for another's.

A tag is `onward/<kind>/1`. What is signed by a validator begins with a zero byte, which no
checkpoint note (text) can begin with: a signature over a note is never one over a vote, and the
other way round.
"""

from __future__ import annotations

from hashlib import sha256

from onward.types import Digest

TAG_GENESIS = b"onward/genesis/1"
TAG_SET = b"onward/validators/1"
TAG_BODY = b"onward/body/1"
TAG_BATCH = b"onward/batch/1"
TAG_BATCH_BODY = b"onward/batch-body/1"
TAG_BLOCK = b"onward/block/1"
TAG_WRITES = b"onward/writes/1"
TAG_EVENT = b"onward/event/1"
TAG_SIGNERS = b"onward/signers/1"

SIGN_ENVELOPE = b"\x00onward/tx/1"
SIGN_VOTE = b"\x00onward/vote/1"
SIGN_BATCH = b"\x00onward/batch/1"
SIGN_HELLO = b"\x00onward/hello/1"
SIGN_READ = b"\x00onward/read/1"
SIGN_DELETION = b"\x00onward/deletion/1"


def tagged_hash(tag: bytes, data: bytes) -> Digest:
    """SHA-256(tag ‖ data): the id of the object that `data` encodes."""
    return Digest(sha256(tag + data).digest())
