"""What commands say, for people and for programs.

    exit 0  yes
         1  a verdict of no
         2  wrong usage
         3  unavailable: nobody is at fault, try again
        70  a bug of ours
       141  who read us closed the pipe

With `--json` a command writes exactly one JSON document to standard output, whatever happens;
everything else goes to standard error. Whatever the words: a terminal shows them and does not obey
them, and a stream that cannot write a letter writes what it is called.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import IO, Any, TextIO, TypeVar, cast

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onward.errors import (
    CorruptionError,
    InvariantError,
    MalformedError,
    OnwardError,
    PeerFault,
    RejectedError,
    Unavailable,
)
from onward.exchange.letters import json_text, spelled_lines
from onward_chaincode.drafts import DraftError
from onward_proto.canonical import CanonicalError
from onward_proto.documents import DocumentError

JSON_FLAG = "--json"
WIDTH_MIN, WIDTH_MAX = 60, 120
_JSON_KEY = "onward.as_json"
_NO_PLACES = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_TRAILING_BLANKS = re.compile(r"[ ]+$", re.MULTILINE)

F = TypeVar("F", bound=Callable[..., Any])


class Exit(IntEnum):
    """What an exit code says."""

    YES = 0
    NO = 1
    USAGE = 2
    UNAVAILABLE = 3
    BUG = 70
    PIPE = 141


class UsageFault(click.ClickException):
    """Wrong usage that only showed while the command ran."""

    exit_code = Exit.USAGE


@contextmanager
def writing() -> Iterator[None]:
    """Writing where the command line says. Raises `UsageFault` where that is no place to write to.

    There to try again does not help; where the disk is full it does.
    """
    try:
        yield
    except _NO_PLACES as error:
        raise UsageFault(_where_and_why(error)) from None


def to_copy(out: Console, line: str) -> None:
    """A line in one piece, however narrow the page: somebody will copy it."""
    out.print(line, soft_wrap=True)


def json_option(command: F) -> F:
    """Add `--json` to a command; `answer` obeys it."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: object) -> None:
        ctx.meta[_JSON_KEY] = bool(value)

    return click.option(
        JSON_FLAG,
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="One JSON document on standard output.",
    )(command)


def wants_json() -> bool:
    """Whether the running command was asked for JSON."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_JSON_KEY, False))


def answer(document: Any, show: Callable[[Console], None], *, code: Exit = Exit.YES) -> None:
    """Answer with `document` for programs or `show` for people, and end with `code`."""
    if wants_json():
        click.echo(json_text(document))
    else:
        show(console())
    if code is not Exit.YES:
        click.get_current_context().exit(int(code))


def console(stream: TextIO | None = None) -> Console:
    """A console for people: no colours where nobody sees them, never too narrow or too wide."""
    file = sys.stdout if stream is None else stream
    return _Paper(
        file=file if file.isatty() else cast("IO[str]", _Trimmed(file)),
        width=width(),
        highlight=False,
        emoji=False,
        markup=False,
        no_color=True if "NO_COLOR" in os.environ else None,
    )


class _Paper(Console):
    """A console that leaves it to `main` what a closed pipe means, and shows words as words."""

    def on_broken_pipe(self) -> None:
        """See rich, which would exit with 1: a verdict of no."""
        raise BrokenPipeError

    def render_str(self, text: str, *arguments: Any, **options: Any) -> Text:
        """See rich, which takes out some letters that steer a terminal and leaves in others."""
        return super().render_str(spelled_lines(text), *arguments, **options)


class _Trimmed:
    """A stream without the blanks with which tables fill their lines."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text that ends with its line."""
        return self._stream.write(_TRAILING_BLANKS.sub("", text))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """See the class: what is shown on a terminal is not trimmed."""
        return False


def width() -> int:
    """How wide people's output is: the terminal's width within bounds."""
    return max(WIDTH_MIN, min(WIDTH_MAX, shutil.get_terminal_size((100, 24)).columns))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines; the columns named in `right` are set to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def fail(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong, in one sentence, and answer the exit code for it."""
    code, rule, message = describe(error)
    exit_code = exit_code_of(error)
    if as_json:
        document: dict[str, Any] = {"code": code, "message": message}
        if rule:
            document["rule"] = rule
        click.echo(json_text(document))
    by = f" ({rule})" if rule else ""
    click.echo(spelled_lines(f"onward: {code}{by}: {message}"), err=True)
    return int(exit_code)


def describe(error: Exception) -> tuple[str, str, str]:
    """The code, the rule (or "") and the sentence of an error."""
    match error:
        case RejectedError():
            return str(error.code), error.rule, str(error)
        case MalformedError() | PeerFault() | Unavailable():
            return str(error.code), "", str(error)
        case DraftError() | DocumentError() | CanonicalError():
            return "E_FORMAT", "", str(error)
        case click.ClickException():
            return "E_USAGE", "", error.format_message()
        case CorruptionError():
            return "E_CORRUPTION", "", str(error)
        case OSError():
            return "E_UNAVAILABLE", "", _where_and_why(error)
        case _:
            return "E_FAULT", "", f"{type(error).__name__}: {error}"


def _where_and_why(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def exit_code_of(error: Exception) -> Exit:
    """The one table from errors to exit codes."""
    match error:
        case RejectedError():
            return Exit.NO
        case Unavailable():
            return Exit.UNAVAILABLE
        case MalformedError() | DraftError() | DocumentError() | CanonicalError():
            return Exit.USAGE
        case click.ClickException():
            return Exit.USAGE
        case OSError():
            return Exit.UNAVAILABLE
        case InvariantError():
            return Exit.BUG
        case OnwardError():
            return Exit.NO
        case _:
            return Exit.BUG
