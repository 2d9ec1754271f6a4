"""A secret on the disk: whole or not there, its owner's only, and never in another one's place."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from onward.storage.home_files import sync_folder


def write_secret(file: Path, data: bytes) -> None:
    """Put a new file there; durable on return. Its folder is made where it is missing.

    Raises `FileExistsError` where one stands already, `OSError` where there is no room; nothing is
    left behind then.
    """
    missing = [path for path in (file.parent, *file.parent.parents) if not path.exists()]
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)
    handle, fresh = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # with mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(fresh, file)  # a rename would take another one's place
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file)) from None
    finally:
        Path(fresh).unlink()
    sync_folder(file.parent)
