"""Files that prove something offline: the options and the verdict of each `verify` command."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from onward.audit.epoch_verifier import EPOCHS_BYTES_MAX, read_epochs
from onward.audit.evidence_verifier import Epochs, EvidenceError, EvidenceSummary
from onward.audit.receipt_verifier import GENESIS_BYTES_MAX, ReceiptError, ReceiptSummary
from onward.cli.output import Exit, UsageFault, answer
from onward.cli.target import read_start
from onward.exchange.letters import spelled

F = TypeVar("F", bound=Callable[..., Any])
Summary = TypeVar("Summary", EvidenceSummary, ReceiptSummary)


def file_and_genesis(command: F) -> F:
    """Add FILE and --genesis; the command receives `file` and `genesis`, both paths."""
    path = click.Path(path_type=Path, dir_okay=False)
    option = click.option(
        "--genesis", required=True, metavar="FILE", type=path, help="The chain's genesis.json."
    )
    result: F = click.argument("file", metavar="FILE", type=path)(option(command))
    return result


def epochs_option(command: F) -> F:
    """Add --epochs; the command receives `epochs`, a path or None."""
    path = click.Path(path_type=Path, dir_okay=False)
    result: F = click.option(
        "--epochs",
        metavar="FILE",
        type=path,
        help="Where validators changed: the proofs of `onward validators proofs`.",
    )(command)
    return result


def read_proofs(epochs: Path | None) -> bytes:
    """The bytes of a file of epoch proofs, none without one. Raises `UsageFault`.

    An empty file is one of a chain whose validators never changed, and no mistake.
    """
    return b"" if epochs is None else read_start(epochs, EPOCHS_BYTES_MAX + 1)


def reached_epochs(genesis: bytes, proofs: bytes) -> Epochs:
    """The keys of the epochs that the proofs reach, the genesis' first.

    Raises `UsageFault` for proofs that prove nothing.
    """
    try:
        return tuple(epoch.keys for epoch in read_epochs(genesis, proofs))
    except ReceiptError as error:
        raise UsageFault(f"--epochs: {error.code}: {error}") from None


def judge(
    file: Path,
    genesis: Path,
    verify: Callable[[bytes, bytes], Summary],
    *,
    bytes_max: int,
    show: Callable[[Console, Path, Summary], None],
    otherwise: str,
) -> None:
    """Answer with what `verify` finds in the two files, or with the code of what it refuses.

    Refusal is exit code 1; `otherwise` says for people what the file then does or does not do.
    Raises `UsageFault` for a file that cannot be read.
    """
    # One byte more than there may be: that it is too long is the verifier's verdict.
    data = read_start(file, bytes_max + 1)
    document = read_start(genesis, GENESIS_BYTES_MAX + 1)
    try:
        summary = verify(data, document)
    except (EvidenceError, ReceiptError) as error:
        _refuse(f"{file} {otherwise}", error)
        return
    answer({"verified": True, **dataclasses.asdict(summary)}, lambda out: show(out, file, summary))


def _refuse(sentence: str, error: EvidenceError | ReceiptError) -> None:
    message = str(error)

    def show(out: Console) -> None:
        line = Text("✗ ", style="red")
        line.append(str(error.code), style="bold red")
        line.append(spelled(f"  {sentence}: {message}"))
        out.print(line)

    document = {"verified": False, "code": str(error.code), "message": message}
    answer(document, show, code=Exit.NO)
