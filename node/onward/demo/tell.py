"""The demo as people read it: sentences, verdicts, and where everything lies."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from onward.demo.perform import Checked, Played, Result
from onward.demo.script import Scene, Script
from onward.network.access import NodeReport
from onward.network.definition import Network, NodePlace
from onward.scenario.format import Step
from onward_chaincode.errors import ENTRIES

_INDENT = 2
_HASH_SHOWN = 16


class Narrator:
    """`demo.perform.Teller` that writes to a console."""

    def __init__(self, console: Console, script: Script) -> None:
        self._console = console
        self._script = script
        self._who = max(len(name) for name in script.names.values())

    def begin(self) -> None:
        """Before anything happens."""
        self._print(Text(self._script.title, style="bold"))
        self._print()
        self._print("Four validators start on this machine, each a process of its own …")

    def opening(self, network: Network, ready_s: float) -> None:
        """See `Teller`."""
        count, quorum = len(network.nodes), network.genesis.validators.quorum
        self._print(
            f"They are connected after {ready_s:.1f} s. Any {quorum} of the {count} decide; "
            f"chain {network.genesis.chain_id.hex()[:_HASH_SHOWN]}…"
        )

    def setting(self, played: tuple[Played, ...]) -> None:
        """See `Teller`."""
        scenario = self._script.scenario
        people = [
            self._script.name(name) for name in scenario.parties if name in self._script.names
        ]
        self._print(
            f"Registered: {_series(people)}. Published: {len(scenario.terms)} sets of terms, "
            f"{len(scenario.schemas)} schemas."
        )
        for item in played:
            if item.complaint:
                self._print(Text(f"‼ {item.step}: {item.complaint}", style="bold red"))

    def scene(self, scene: Scene, number: int) -> None:
        """See `Teller`."""
        self._print()
        title = Text(f"{number}  {scene.title} ", style="bold")
        self._print(Rule(title, align="left", style="dim", characters="─"))
        if not scene.kill and not scene.restart:
            self._lead(scene.lead)
        self._scene = scene

    def killed(self, node: NodePlace) -> None:
        """See `Teller`."""
        self._event(f"SIGKILL to {node.name}.")
        self._lead(self._scene.lead)

    def restarted(self, node: NodePlace, missed: int, took_s: float) -> None:
        """See `Teller`."""
        self._event(f"{node.name} starts again.")
        blocks = "block" if missed == 1 else "blocks"
        self._lead(
            f"{self._scene.lead.strip()} "
            f"Here it had missed {missed} {blocks}, and was level after {took_s:.1f} s."
        )

    def step(self, step: Step, played: Played) -> None:
        """See `Teller`."""
        line = self._script.lines[step.name]
        mark, style = ("✓", "green") if played.code == "OK" else ("✗", "red")
        if step.ask:
            mark, style = "?", "cyan"
        if played.complaint:
            mark, style = "‼", "bold red"
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=1)
        grid.add_column(width=self._who)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(
            Text(mark, style=style),
            Text(self._script.name(step.by), style="bold"),
            Text(line.say),
            Text("" if step.ask else f"block {played.height}", style="dim"),
        )
        self._print(Padding(grid, (0, 0, 0, _INDENT)))
        if played.code != "OK":
            self._below(_refusal(played))
        if played.complaint:
            self._below(Text(played.complaint, style="bold red"))
        if line.then:
            self._below(Text(line.then, style="italic"))

    def level(self, found: tuple[NodeReport, ...]) -> None:
        """See `Teller`."""
        self._print()
        title = Text("What is left when everything is switched off ", style="bold")
        self._print(Rule(title, align="left", style="dim", characters="─"))
        statuses = [item.status for item in found if item.status is not None]
        self._fact(
            "the chain",
            f"{len(statuses)} validators at block {statuses[0].height}, one and the same state "
            f"root {statuses[0].state_root.hex()[:_HASH_SHOWN]}…",
        )

    def receipts(self, checked: Checked, network: Network) -> None:
        """See `Teller`."""
        self._fact(
            "the network",
            f"stopped. No process of it is running: {_series(_names(network))} ended.",
        )
        everything = checked.verified == checked.total
        self._fact(
            "the receipts",
            f"{checked.verified} of {checked.total} verified offline, with the genesis and "
            "nothing else",
            "green" if everything else "bold red",
        )
        self._fact(
            "a forgery",
            f"one byte changed in the receipt of {checked.tampered_step}: "
            + (f"refused, {checked.refused_as}" if checked.refused_as else "ACCEPTED"),
            "red" if checked.refused_as else "bold red",
        )

    def end(self, result: Result, network_folder: Path, receipt: Path) -> None:
        """Where everything lies, and whether all went as it should."""
        self._print()
        for complaint in result.complaints:
            self._print(Text(f"‼ {complaint}", style="bold red"))
        refused = sum(item.code != "OK" for item in result.played)
        self._print(
            f"{result.transactions} transactions, {refused} of them refused by the rules, in "
            f"{result.elapsed_s:.1f} s. Everything lies in {network_folder}:"
        )
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=False)
        for name, what in (
            ("genesis.json", "what receipts are checked against"),
            (f"{receipt.parent.name}/", f"{result.receipts_verified} receipts, and the forgery"),
            ("wallet/", "the parties' keys"),
            ("node-1/ … node-4/", "the validators: journal, batches, database"),
            ("logs/", "what they had to say"),
        ):
            grid.add_row(Text(name, style="cyan"), what)
        self._print(Padding(grid, (0, 0, 0, _INDENT)))
        self._print()
        self._print("Now try it yourself:")
        short = receipt.relative_to(network_folder)
        for command in (
            *_path_first(),
            f"cd {network_folder}",
            f"onward receipt verify {short} --genesis genesis.json",
            "onward network up . && onward network status .",
            "onward query refusals --as alice --network .",
        ):
            # In one piece, however narrow the page: it is to be copied.
            line = Text.assemble(" " * _INDENT, (command, "cyan"))
            self._console.print(line, soft_wrap=True)

    # -- pieces ------------------------------------------------------------------------------------

    def _print(self, what: RenderableType = "") -> None:
        self._console.print(what)

    def _lead(self, text: str) -> None:
        self._print(Padding(Text(_one_paragraph(text), style="dim"), (0, 0, 0, _INDENT)))

    def _below(self, text: Text) -> None:
        """Under what was said, in the same column."""
        self._print(Padding(text, (0, 0, 0, _INDENT + self._who + 3)))

    def _event(self, text: str) -> None:
        self._print(Padding(Text(f"⚡ {text}", style="bold yellow"), (0, 0, 0, _INDENT)))

    def _fact(self, name: str, text: str, style: str = "") -> None:
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=12, no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_row(Text(name, style="bold"), Text(text, style=style))
        self._print(Padding(grid, (0, 0, 0, _INDENT)))


def _refusal(played: Played) -> Text:
    """The code, the rule and the rule's sentence."""
    entry = ENTRIES.get(played.code)
    sentence = played.message if entry is None else entry.sentence
    text = Text()
    text.append(played.code, style="bold red")
    text.append(" ")
    by = f"by rule {played.rule}. " if played.rule else ""
    text.append(by + sentence, style="red")
    return text


def _path_first() -> tuple[str, ...]:
    """What a shell must be told before it finds `onward`; nothing where it does."""
    folder = Path(sys.executable).parent
    return () if shutil.which("onward") else (f'export PATH="{folder}:$PATH"',)


def _names(network: Network) -> list[str]:
    return [node.name for node in network.nodes]


def _series(words: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _one_paragraph(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip())


class Silence:
    """`demo.perform.Teller` that says nothing: for `--json`."""

    def opening(self, network: Network, ready_s: float) -> None:
        """See `Teller`."""

    def setting(self, played: tuple[Played, ...]) -> None:
        """See `Teller`."""

    def scene(self, scene: Scene, number: int) -> None:
        """See `Teller`."""

    def killed(self, node: NodePlace) -> None:
        """See `Teller`."""

    def restarted(self, node: NodePlace, missed: int, took_s: float) -> None:
        """See `Teller`."""

    def step(self, step: Step, played: Played) -> None:
        """See `Teller`."""

    def level(self, found: tuple[NodeReport, ...]) -> None:
        """See `Teller`."""

    def receipts(self, checked: Checked, network: Network) -> None:
        """See `Teller`."""
