"""The code tests its own rules: those that neither ruff nor import-linter can see.

Each rule is a function from a source to what is wrong with it. It is applied to the whole
repository, and to a small bad source that shows that it can fail at all.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE_FOLDERS = ("node", "chaincode", "proto", "tools", "tests", "benchmarks")
IMPORT_ROOTS = ("node", "chaincode", "proto", "network")

# Here replicas must agree to the last bit.
CORE = (
    "node/onward/consensus",
    "node/onward/crypto",
    "node/onward/execution",
    "node/onward/ledger",
    "node/onward/mempool",
    "node/onward/replica",
    "node/onward/system",
    "chaincode/onward_chaincode",
    "proto/onward_proto/canonical.py",
)
VERIFIER = ROOT / "node/onward/audit/receipt_verifier.py"

MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
VAGUE_WORDS = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

# Spelled in parts, so that this file does not break its own rules.
POSTPONED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "crates" + ".io",
    "npm" + "js.",
    "proxy." + "golang",
    "maven" + ".org",
    "deb." + "debian",
)
MACHINE_PATH = re.compile(r"(?<![\w.~})])/(?:work|root|home)/")
TEMPORARY_PATH = re.compile(r"(?<![\w.~})])/t" + "mp/")

MARKDOWN_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
MARKDOWN_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


# ------------------------------------------------------------------------------------- the rules


def asserts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{node.lineno}: `assert` is gone under -O; raise, or use invariant()"


def bare_excepts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: a bare except also catches our own bugs"


def disagreements(tree: ast.Module) -> Iterator[str]:
    """What two honest replicas may compute differently."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex(), lineno=line):
                yield f"{line}: a float in the core"
            case ast.BinOp(op=ast.Div(), lineno=line) | ast.AugAssign(op=ast.Div(), lineno=line):
                yield f"{line}: true division gives a float; use //"
            case ast.Call(func=ast.Name(id="hash" | "float" | "id" as name), lineno=line):
                yield f"{line}: {name}() differs between processes or machines"


def long_functions(tree: ast.Module) -> Iterator[str]:
    """The docstring does not count: a contract may need its room."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        signature_lines = node.body[0].lineno - node.lineno
        body_lines = (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0
        if signature_lines + body_lines > FUNCTION_LINES_MAX:
            yield f"{node.lineno}: {node.name} has more than {FUNCTION_LINES_MAX} lines"


def long_module(source: str) -> Iterator[str]:
    lines = source.count("\n")
    if lines > MODULE_LINES_MAX:
        yield f"{lines} lines, at most {MODULE_LINES_MAX}: a concept in here wants a name"


def vague_name(path: Path) -> Iterator[str]:
    for part in path.with_suffix("").parts:
        if not VAGUE_WORDS.isdisjoint(part.split("_")):
            yield f"{part} says nothing; name it for what it is"


def postponed(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if POSTPONED.search(line):
            yield f"{number}: a note to do it later belongs in an issue"


def foreign_places(text: str, *, is_document: bool) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if any(host in line for host in REGISTRY_HOSTS):
            yield f"{number}: names the host of a package registry"
        if MACHINE_PATH.search(line) or (is_document and TEMPORARY_PATH.search(line)):
            yield f"{number}: a path that exists on one machine only"


def dead_links(text: str, folder: Path) -> Iterator[str]:
    """Links to files of the repository; the web is not ours to check."""
    for target in MARKDOWN_LINK.findall(MARKDOWN_FENCE.sub("", text)):
        place = target.partition("#")[0]
        if not place or re.match(r"[a-z][a-z+.-]*:", place):
            continue
        if not (folder / place).exists():
            yield f"link to {target}, which does not exist"


def borrowed_imports(tree: ast.Module) -> Iterator[str]:
    """What the receipt verifier may not import: all but the standard library and nacl."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases, lineno=line):
                imported = [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, level=level, lineno=line):
                imported = ["." * level + (module or "")]
            case _:
                continue
        for name in imported:
            root = name.partition(".")[0]
            if root not in sys.stdlib_module_names and root != "nacl":
                yield f"{line}: imports {name}; an auditor has the standard library and nacl"


# --------------------------------------------------------------------------------- the repository


def tracked_files() -> list[Path]:
    """Every file that is or would be committed; all of them, where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        names = sorted(set(listing.stdout.split("\0")) - {""})
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    return sorted(
        path
        for folder in (*CODE_FOLDERS, "docs", "network")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


FILES = tracked_files()
MODULES = [
    path
    for path in FILES
    if path.suffix == ".py"
    and path.relative_to(ROOT).parts[0] in CODE_FOLDERS
    and not re.search(r"_pb2(_grpc)?\.py$", path.name)
]
SHIPPED = [
    path for path in MODULES if path.relative_to(ROOT).parts[0] not in {"tests", "benchmarks"}
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_core(path: Path) -> bool:
    name = name_of(path)
    return any(name == room or name.startswith((f"{room}/", f"{room}.py")) for room in CORE)


def text_of(path: Path) -> str | None:
    """None for what is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def report(findings: list[str]) -> None:
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def test_there_is_something_to_check() -> None:
    """A rule applied to nothing always holds."""
    assert len(SHIPPED) > 10
    assert any(is_core(path) for path in SHIPPED)


def test_shipped_code_keeps_the_rules_of_shipped_code() -> None:
    report(
        [
            f"{name_of(path)}:{finding}"
            for path in SHIPPED
            for rule in (asserts, bare_excepts, long_functions)
            for finding in rule(tree_of(path))
        ]
    )


def test_core_computes_the_same_everywhere() -> None:
    report(
        [
            f"{name_of(path)}:{finding}"
            for path in SHIPPED
            if is_core(path)
            for finding in disagreements(tree_of(path))
        ]
    )


def test_modules_fit_in_a_head_and_are_named_for_what_they_are() -> None:
    report(
        [
            f"{name_of(path)}: {finding}"
            for path in MODULES
            for finding in (
                *long_module(path.read_text(encoding="utf-8")),
                *vague_name(path.relative_to(ROOT)),
            )
        ]
    )


def test_nothing_is_postponed_in_a_comment() -> None:
    report(
        [
            f"{name_of(path)}:{finding}"
            for path in FILES
            for finding in postponed(text_of(path) or "")
        ]
    )


def test_nothing_names_a_registry_or_a_place_on_one_machine() -> None:
    report(
        [
            f"{name_of(path)}:{finding}"
            for path in FILES
            for finding in foreign_places(text_of(path) or "", is_document=path.suffix == ".md")
        ]
    )


def test_links_between_our_documents_lead_somewhere() -> None:
    report(
        [
            f"{name_of(path)}: {finding}"
            for path in FILES
            if path.suffix == ".md"
            for finding in dead_links(path.read_text(encoding="utf-8"), path.parent)
        ]
    )


@pytest.mark.parametrize("root", IMPORT_ROOTS)
def test_import_roots_are_no_packages(root: str) -> None:
    """With an `__init__.py`, `import proto` would be ours in every environment we are put into."""
    assert (ROOT / root).is_dir()
    assert not (ROOT / root / "__init__.py").exists()


def test_receipt_verifier_needs_nothing_of_the_node() -> None:
    """An auditor who distrusts us runs one file."""
    assert VERIFIER.is_file(), f"{name_of(VERIFIER)} is missing"
    report([f"{name_of(VERIFIER)}:{finding}" for finding in borrowed_imports(tree_of(VERIFIER))])


# -------------------------------------------------------------------------- the import contracts


def contracts() -> dict[str, dict[str, list[str]]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in document["tool"]["importlinter"]["contracts"]}


def rooms_from(layers: list[str], top: str) -> set[str]:
    """The rooms of the floor of `top` and of all floors below it."""
    start = next(index for index, layer in enumerate(layers) if f"({top})" in layer)
    return {f"onward.{room}" for layer in layers[start:] for room in re.findall(r"\w+", layer)}


def test_every_room_stands_in_the_contracts_that_concern_it() -> None:
    """import-linter passes over a room that a contract does not name."""
    layers = contracts()["imports go down"]["layers"]
    core = rooms_from(layers, "replica") - {"onward.audit"}
    assert core <= set(contracts()["the core does no I/O"]["source_modules"])
    everyone = rooms_from(layers, "cli") - {"onward.rpc"}
    assert everyone == set(contracts()["only rpc speaks protobuf"]["source_modules"])
    seen_by_audit = {"onward.audit"} | rooms_from(layers, "ledger")
    forbidden_to_audit = set(contracts()["audit sees only the ledger"]["forbidden_modules"])
    assert rooms_from(layers, "cli") - seen_by_audit <= forbidden_to_audit


# ------------------------------------------------------------------------- the rules can be broken


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (asserts, "assert balance > 0, 'gone under -O'"),
        (bare_excepts, "try:\n    pass\nexcept:\n    pass"),
        (disagreements, "share = 0.5"),
        (disagreements, "share = total / 3"),
        (disagreements, "total /= 3"),
        (disagreements, "share = float(total)"),
        (disagreements, "bucket = hash(key) % 8"),
        (disagreements, "order = id(key)"),
        (long_functions, "def f() -> None:\n" + "    step()\n" * FUNCTION_LINES_MAX),
        (borrowed_imports, "import onward.crypto"),
        (borrowed_imports, "from onward_proto import canonical"),
        (borrowed_imports, "from . import checkpoint"),
    ],
)
def test_rule_on_syntax_finds_the_breach(rule: object, source: str) -> None:
    assert callable(rule)
    assert list(rule(ast.parse(source)))


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (asserts, "if balance <= 0:\n    raise ValueError"),
        (bare_excepts, "try:\n    pass\nexcept OSError:\n    pass"),
        (disagreements, "share = total // 3\nname = 'half / half'\nkey.hash()"),
        (
            long_functions,
            'def f() -> None:\n    """Long.\n' + "\n" * 90 + '    """\n    step()\n',
        ),
        (borrowed_imports, "import hashlib\nfrom nacl.signing import VerifyKey"),
    ],
)
def test_rule_on_syntax_lets_good_code_be(rule: object, source: str) -> None:
    assert callable(rule)
    assert not list(rule(ast.parse(source)))


def test_rule_on_length_finds_the_first_line_too_many() -> None:
    assert not list(long_module("x = 1\n" * MODULE_LINES_MAX))
    assert list(long_module("x = 1\n" * (MODULE_LINES_MAX + 1)))


@pytest.mark.parametrize(
    "name", ["node/onward/util.py", "node/onward/common/x.py", "key_manager.py"]
)
def test_rule_on_names_finds_vague_ones(name: str) -> None:
    assert list(vague_name(Path(name)))


def test_rule_on_names_lets_nouns_be() -> None:
    assert not list(vague_name(Path("node/onward/ledger/block.py")))


def test_rule_on_postponing_finds_every_such_word() -> None:
    for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX"):
        assert list(postponed(f"x = 1  # {word}: later"))
    assert not list(postponed("the mastodon's todo list"))


def test_rule_on_places_finds_hosts_and_paths() -> None:
    for host in REGISTRY_HOSTS:
        assert list(foreign_places(f"see {host}", is_document=False))
    for folder in ("work", "root", "home"):
        assert list(foreign_places(f"cd /{folder}/onward", is_document=False))
    assert list(foreign_places("in /t" + "mp/onward", is_document=True))
    assert not list(foreign_places("node/work/x and $HOME/onward", is_document=True))


def test_rule_on_links_finds_the_dead_one(tmp_path: Path) -> None:
    (tmp_path / "alive.md").write_text("here", encoding="utf-8")
    assert list(dead_links("[gone](gone.md#part)", tmp_path))
    assert list(dead_links("![picture](gone.png)", tmp_path))
    alive = "[a](alive.md) [b](#part) [c](https://example.org/x) ```\n"
    assert not list(dead_links(alive, tmp_path))


def test_rule_on_the_core_knows_its_rooms() -> None:
    assert is_core(ROOT / "node/onward/consensus/core.py")
    assert is_core(ROOT / "node/onward/execution.py")
    assert is_core(ROOT / "proto/onward_proto/canonical.py")
    assert not is_core(ROOT / "node/onward/runtime/driver.py")
