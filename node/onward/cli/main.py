"""`onward`: the command line. Faces only: they format and ask, and decide nothing."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from onward.cli.output import JSON_FLAG, Exit, exit_code_of, fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command and where it lives; it is imported when somebody wants it."""

    module: str
    attribute: str
    summary: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "See it": {
        "demo": Entry(
            module="demo",
            attribute="demo",
            summary="Four validators, one handshake, one refused onward share, receipts.",
        ),
        "scenario": Entry(
            module="scenario", attribute="scenario", summary="What would the chain say? In memory."
        ),
        "contract": Entry(
            module="gate", attribute="contract", summary="Would replicas disagree about a contract?"
        ),
        "simulate": Entry(
            module="simulate", attribute="simulate", summary="Seeded worlds of faults."
        ),
        "bench": Entry(
            module="bench", attribute="bench", summary="How much it carries, on real processes."
        ),
    },
    "Run it": {
        "network": Entry(
            module="network", attribute="network", summary="Make and run a network on this machine."
        ),
        "node": Entry(module="node", attribute="node", summary="Set up and run one validator."),
        "validators": Entry(
            module="validators", attribute="validators", summary="Who they are; change them."
        ),
        "why-stuck": Entry(
            module="why_stuck", attribute="why_stuck", summary="Why there is no progress."
        ),
    },
    "Act": {
        "party": Entry(
            module="party", attribute="party", summary="Register parties, and change their keys."
        ),
        "terms": Entry(
            module="contract", attribute="terms", summary="Read, publish and recall terms."
        ),
        "schema": Entry(module="contract", attribute="schema", summary="Publish schemas."),
        "intent": Entry(
            module="contract", attribute="intent", summary="Cast an intent to buy, and answer one."
        ),
        "agreement": Entry(
            module="contract",
            attribute="agreement",
            summary="Offer, counter, accept, reject and revoke agreements.",
        ),
        "share": Entry(
            module="contract", attribute="share", summary="Record shares, and pass them on."
        ),
        "blob": Entry(
            module="blob",
            attribute="blob",
            summary="Seal what is shared, leave it with the nodes, fetch it, see it destroyed.",
        ),
        "onward": Entry(
            module="contract", attribute="onward", summary="Approve single onward shares."
        ),
        "obligation": Entry(
            module="contract", attribute="obligation", summary="Attest duties, flag overdue ones."
        ),
        "violation": Entry(
            module="contract",
            attribute="violation",
            summary="Flag, answer and resolve violations of terms.",
        ),
        "breach": Entry(
            module="contract", attribute="breach", summary="Tell of a breach of shared data."
        ),
        "mandate": Entry(
            module="contract", attribute="mandate", summary="What an auditor may look into."
        ),
        "tx": Entry(
            module="tx", attribute="tx", summary="Drafts: show, sign, cosign and submit them."
        ),
    },
    "Ask": {
        "query": Entry(
            module="query", attribute="query", summary="Agreements, lineage, parties, blocks, …"
        ),
        "export": Entry(
            module="export", attribute="export", summary="An agreement in other formats."
        ),
        "import": Entry(
            module="importing", attribute="importing", summary="Verify records of other systems."
        ),
        "format": Entry(
            module="formats", attribute="formats", summary="JSON Schemas of all documents."
        ),
        "evidence": Entry(
            module="evidence",
            attribute="evidence",
            summary="Evidence against validators: fetch it, verify it offline.",
        ),
        "receipt": Entry(
            module="receipt",
            attribute="receipt",
            summary="Fetch receipts, and verify them offline.",
        ),
    },
}
_ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
_PACKAGE = "onward.cli"


class OnwardGroup(click.Group):
    """The top: knows its commands by name, and turns every error into a sentence and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        del ctx
        return list(_ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module. None for a command that there is not."""
        del ctx
        entry = _ENTRIES.get(cmd_name)
        if entry is None:
            return None
        try:
            module = importlib.import_module(f"{_PACKAGE}.{entry.module}")
        except ModuleNotFoundError as error:
            if error.name != f"{_PACKAGE}.{entry.module}":
                raise
            return None
        command: click.Command = getattr(module, entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without importing any of them."""
        del ctx
        widest = max(len(name) for name in _ENTRIES)
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                rows = [(f"{name:<{widest}}", entry.summary) for name, entry in entries.items()]
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """See click, which takes a closed pipe for exit code 1: a verdict of no."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What is still in the buffer is flushed at the end, and must not fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(Exit.PIPE)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run a command line and exit with what it says."""
        arguments = list(sys.argv[1:] if args is None else args)
        more["standalone_mode"] = False
        as_json = JSON_FLAG in arguments
        # gRPC's own log is for its authors; what went wrong is told in a sentence below.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A file name may hold bytes that are no text; to name it must not be a fault of ours.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            result = super().main(arguments, *rest, **more)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(Exit.USAGE)
        except click.UsageError as error:
            if error.ctx is not None and not as_json:
                click.echo(error.ctx.get_usage(), err=True)
            sys.exit(fail(error, as_json=as_json))
        except (click.exceptions.Abort, KeyboardInterrupt):
            click.echo("onward: interrupted", err=True)
            sys.exit(130)
        except Exception as error:  # noqa: BLE001  # a bug too gets its code and its document
            if exit_code_of(error) is Exit.BUG:
                traceback.print_exc()
            sys.exit(fail(error, as_json=as_json))
        sys.exit(result if isinstance(result, int) else Exit.YES)


def program_version() -> str:
    """The version of the distribution; 0 where it runs without being installed."""
    try:
        return version("onward-ledger")
    except PackageNotFoundError:
        return "0"


@click.group(
    cls=OnwardGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version=program_version(), prog_name="onward")
def main() -> None:
    """Onward: who shared what, under which terms, and who may share it onward.

    A permissioned, Byzantine fault tolerant ledger for Information Sharing Agreements.

    Every command that answers something takes --json. Exit codes: 0 yes, 1 a verdict of no,
    2 wrong usage, 3 unavailable.
    """


if __name__ == "__main__":
    main()
