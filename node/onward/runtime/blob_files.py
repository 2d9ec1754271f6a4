"""Blobs as files beside a node's data: kept, read, destroyed, and the node's word for the latter.

    blobs/<contract>/<record>.blob       the sealed bytes, behind a line that names who brought them
    blobs/<contract>/<record>.purging    its hash while it is being destroyed; a restart goes on
    blobs/<contract>/<record>.deletion   destroyed: the signed deletion
    blobs/<contract>/<record>.new        one of them, being written; a restart destroys it

A file stands whole or not at all. What is to be destroyed is emptied before it is unlinked, and the
deletion is written when the empty file is on the disk. What the disk itself keeps of overwritten
blocks is beyond a program; docs/operating/threats.md says so.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from onward import limits
from onward.blobs.deletion import DELETION_BYTES_MAX, Deletion, encode_deletion
from onward.blobs.place import Place
from onward.blobs.sealing import blob_hash
from onward.crypto.signing import Signer
from onward.errors import Unavailable

_BLOB, _PURGING, _DELETION, _NEW = ".blob", ".purging", ".deletion", ".new"
_RECORD = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OWNER_BYTES_MAX = limits.PARTY_ID_BYTES_MAX + 1


class BlobFiles:
    """The blobs in one home. Every method blocks on the disk and raises `OSError`."""

    def __init__(self, folder: Path, chain_id: bytes, validator: str, signer: Signer) -> None:
        """`validator` and `signer` sign the deletions. The folder is made with the first blob."""
        self._folder = folder
        self._chain_id = chain_id
        self._validator = validator
        self._signer = signer

    def places(self) -> Iterator[tuple[Place, str | None]]:
        """Every blob, and who brought it: "" for nobody knows, None where it is half destroyed.

        What a crash left half written is destroyed on the way.
        """
        if not self._folder.is_dir():
            return
        for folder in sorted(item for item in self._folder.iterdir() if item.is_dir()):
            for file in sorted(folder.iterdir()):
                doomed = file.with_suffix(_PURGING)
                is_ours = _RECORD.fullmatch(file.stem) is not None
                if is_ours and file.suffix == _NEW:
                    _wipe(file)  # a crash left it, and no purge would find it
                elif is_ours and (file == doomed or (file.suffix == _BLOB and not doomed.exists())):
                    place = Place(contract=folder.name, record=bytes.fromhex(file.stem))
                    yield place, None if file == doomed else _read(file, _OWNER_BYTES_MAX)[0]

    def keep(self, place: Place, party: str, blob: bytes) -> None:
        """Keep a blob; durable on return. One that is kept or destroyed already stays so.

        Refuses with ENOSPC what would take the chain's own room on the disk.
        """
        if any(self._file(place, suffix).exists() for suffix in (_BLOB, _PURGING, _DELETION)):
            return
        file = self._file(place, _BLOB)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if next(file.parent.iterdir(), None) is None:  # new, or a crash came before it was synced
            _sync_folder(self._folder)
            _sync_folder(self._folder.parent)
        if shutil.disk_usage(self._folder).free < limits.BLOB_DISK_FREE_BYTES_MIN + len(blob):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _write(file, _headed(party, blob))

    def read(self, place: Place) -> bytes | None:
        """A blob's bytes, or None. Raises `Unavailable` for a file that was changed."""
        file = self._file(place, _BLOB)
        if self._file(place, _PURGING).exists() or not file.exists():
            return None
        party, blob = _read(file)
        if not party:
            where = f"{place.contract}/{file.name}"
            raise Unavailable(f"{where}: does not begin with the party that brought it")
        return blob

    def destroy(self, place: Place, height: int) -> bool:
        """Destroy a blob and sign for it; durable on return. False where there is none."""
        file, doomed = self._file(place, _BLOB), self._file(place, _PURGING)
        half_written = self._file(place, _NEW)
        if half_written.exists():
            _wipe(half_written)
        if file.exists() and not doomed.exists():
            # Its hash has to outlive it: after a crash there is still something to sign for.
            party, blob = _read(file)
            _write(doomed, _headed(party, blob_hash(blob)))
        if not doomed.exists():
            return False
        if file.exists():
            _wipe(file)
        deletion = Deletion(
            chain_id=self._chain_id,
            contract=place.contract,
            record=place.record,
            blob=_read(doomed)[1],
            height=height,
        )
        signed = encode_deletion(deletion, self._validator, self._signer)
        _write(self._file(place, _DELETION), signed)
        doomed.unlink()
        _sync_folder(doomed.parent)
        return True

    def deletion(self, place: Place) -> bytes | None:
        """The signed deletion, or None."""
        file = self._file(place, _DELETION)
        if not file.exists():
            return None
        with file.open("rb") as stream:
            return stream.read(DELETION_BYTES_MAX)

    def _file(self, place: Place, suffix: str) -> Path:
        return self._folder / place.contract / f"{place.record.hex()}{suffix}"


def _read(
    file: Path, size: int = _OWNER_BYTES_MAX + limits.BLOB_BYTES_MAX + 1
) -> tuple[str, bytes]:
    """Who brought it, and what follows within the first `size` bytes.

    A file that was changed and names nobody is all content, brought by "".
    """
    with file.open("rb") as stream:
        data = stream.read(size)
    owner, line_end, blob = data.partition(b"\n")
    if not line_end or len(owner) >= _OWNER_BYTES_MAX or not owner.isascii():
        return "", data
    return owner.decode("ascii"), blob


def _headed(party: str, data: bytes) -> bytes:
    return f"{party}\n".encode("ascii") + data


def _write(file: Path, data: bytes) -> None:
    fresh = file.with_suffix(_NEW)
    try:
        with fresh.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            _wipe(fresh)
        raise
    _sync_folder(file.parent)


def _wipe(file: Path) -> None:
    """Empty a file on the disk, and only then unlink it."""
    with file.open("r+b") as stream:
        stream.truncate(0)
        os.fsync(stream.fileno())
    file.unlink()
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
