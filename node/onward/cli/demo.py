"""`onward demo`: the main job, end to end, on real processes."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onward.cli.output import Exit, answer, console, json_option, wants_json, writing
from onward.demo.perform import RECEIPTS_NAME, Result, perform
from onward.demo.script import Script, load_script
from onward.demo.tell import Narrator, Silence
from onward.network.ending import unwind_on_signals

PICTURE_COLUMNS = 96
_SHOWN_STEP = "acme-passes-it-on"


@click.command()
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Leave everything in DIR, which must be new or empty.",
)
@click.option(
    "--svg",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw what is printed, as a picture.",
)
@json_option
def demo(keep: Path | None, svg: Path | None) -> None:
    """Tell the whole story on a fresh network of four validators.

    An intentcast, a handshake, a permitted share, a refused onward share, permitted hops under the
    same terms, a revocation. One validator is killed in the middle and comes back. Then the network
    is stopped, and the receipts are verified offline. Takes less than half a minute; exit code 1
    where any verdict is not the expected one.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise click.UsageError(f"--keep {keep}: is not an empty folder")
    unwind_on_signals()
    folder = keep or Path(tempfile.mkdtemp(prefix="onward-demo-"))
    with writing():
        folder.mkdir(parents=True, exist_ok=True)
    script = load_script()
    quiet = wants_json()
    try:
        result = _play(folder, script, svg, quiet=quiet)
    except Exception:
        click.echo(f"onward demo: it broke off; logs and all lie in {folder}", err=True)
        raise
    if quiet and keep is None and not result.complaints:
        # Nobody is told where it lies.
        shutil.rmtree(folder, ignore_errors=True)
    code = Exit.NO if result.complaints else Exit.YES
    if quiet:
        for complaint in result.complaints:
            click.echo(f"onward demo: {complaint}", err=True)
        if folder.exists():
            click.echo(f"onward demo: everything lies in {folder}", err=True)
    answer(_document(result), lambda _: None, code=code)


def _play(folder: Path, script: Script, svg: Path | None, *, quiet: bool) -> Result:
    if quiet and svg is None:
        return perform(folder, script, Silence())
    out = _recorder() if svg is not None else console()
    narrator = Narrator(out, script)
    narrator.begin()
    result = perform(folder, script, narrator)
    receipts = sorted((folder / RECEIPTS_NAME).glob(f"*-{_SHOWN_STEP}.receipt"))
    narrator.end(result, folder, receipts[0])
    if svg is not None:
        text = out.export_svg(title="onward demo")
        with writing():
            svg.write_text(_self_contained(text), encoding="utf-8")
        if not quiet:
            click.echo(f"Picture: {svg}", err=True)
    return result


def _recorder() -> Console:
    """A console that remembers what it writes, in colours even where it writes none."""
    return Console(
        file=sys.stderr,
        record=True,
        width=PICTURE_COLUMNS,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )


def _self_contained(svg: str) -> str:
    """The picture without fonts from elsewhere: a page that shows it may not load them."""
    plain = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return plain.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")


def _document(result: Result) -> dict[str, Any]:
    return {
        "validators": result.validators,
        "height": result.height,
        "transactions": result.transactions,
        "verdicts": [
            {"step": item.step, "type": item.type, "code": item.code}
            for item in result.played
            if not item.type.startswith("ask ")
        ],
        "state_roots": list(result.state_roots),
        "receipts_verified": result.receipts_verified,
        "tampered_rejected": result.tampered_rejected,
        "restarted_caught_up": result.restarted_caught_up,
        "elapsed_s": result.elapsed_s,
    }
