"""The offline verifier believes nothing that a quorum of the genesis' validators did not sign."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from onward.audit import receipt_verifier
from onward.audit.receipt_verifier import Code, ReceiptError, main, verify_receipt

VECTORS = Path(__file__).parents[2] / "vectors" / "receipts"
GENESIS = (VECTORS / "genesis.json").read_bytes()
ROWS = json.loads((VECTORS / "vectors.json").read_text(encoding="utf-8"))
VALID = (VECTORS / "valid.receipt").read_bytes()


# Onward cannot be imported; then the program named by the first argument runs.
ISOLATED = """
import runpy, sys
sys.modules["onward"] = sys.modules["onward_proto"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vectors", VECTORS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_each_vector_verifies_or_is_refused_for_its_reason(row: dict[str, str | None]) -> None:
    data = (VECTORS / str(row["file"])).read_bytes()
    if row["code"] is None:
        assert verify_receipt(data, GENESIS).actor == "acme"
        return
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(data, GENESIS)
    assert refused.value.code == row["code"]


def test_every_code_of_a_refused_receipt_has_a_vector() -> None:
    shown = {row["code"] for row in ROWS}
    assert {code.value for code in Code} - {"E_GENESIS"} <= shown


def test_the_vectors_are_what_the_generator_writes(tmp_path: Path) -> None:
    """Changing them is changing the format, which must be seen in a review."""
    generator().write(tmp_path, lambda _: None)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {
        path.name: path.read_bytes()
        for path in VECTORS.iterdir()
        if path.suffix in {".receipt", ".json"}
    }
    assert written == committed


@pytest.mark.parametrize("name", ["valid", "valid-envelope", "valid-cosigned"])
def test_no_receipt_survives_a_flipped_bit(name: str) -> None:
    """Exhaustive over the bytes, three bits each: there is no byte that nothing vouches for."""
    data = (VECTORS / f"{name}.receipt").read_bytes()
    for position in range(len(data)):
        for bit in (0x01, 0x04, 0x20) if name == "valid" else (0x01,):
            changed = bytearray(data)
            changed[position] ^= bit
            with pytest.raises(ReceiptError):
                verify_receipt(bytes(changed), GENESIS)


def test_no_receipt_survives_a_lost_doubled_or_moved_line() -> None:
    """Except a fourth signature, of which a quorum of three has no need."""
    lines = VALID.split(b"\n")
    for place in range(len(lines)):
        without = lines[:place] + lines[place + 1 :]
        doubled = [*lines[:place], lines[place], *lines[place:]]
        for changed in (without, doubled):
            with pytest.raises(ReceiptError):
                verify_receipt(b"\n".join(changed), GENESIS)


@pytest.mark.parametrize("cut", range(0, len(VALID), 7))
def test_no_beginning_of_a_receipt_is_one(cut: int) -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(VALID[:cut], GENESIS)


def test_the_summary_says_what_the_log_says() -> None:
    summary = verify_receipt(VALID, GENESIS)
    assert (summary.type, summary.actor, summary.code) == (
        "share.onward",
        "acme",
        "E_ONWARD_PROHIBITED",
    )
    assert (summary.outcome, summary.height, summary.index) == ("recorded", 3, 1)
    assert (summary.log_index, summary.tree_size) == (6, 11)
    assert summary.validators == ("v1", "v2", "v4")


def test_white_space_and_order_of_the_genesis_do_not_matter_and_all_else_does() -> None:
    document = json.loads(GENESIS)
    turned = json.dumps(dict(reversed(document.items())), separators=(", ", " : "))
    assert verify_receipt(VALID, turned.encode()) == verify_receipt(VALID, GENESIS)
    document["time_ms"] += 1
    with pytest.raises(ReceiptError):
        verify_receipt(VALID, json.dumps(document).encode())


GENESIS_DAMAGES: dict[str, tuple[str, str]] = {
    "a key twice": ('"format": 1,', '"format": 1, "format": 1,'),
    "a float": ('"format": 1,', '"format": 1.0,'),
    "not a number": ('"format": 1,', '"format": NaN,'),
    "another format": ('"format": 1,', '"format": 2,'),
    "a validator twice": ('"v2"', '"v1"'),
    "a name out of form": ('"v2"', '"v2.x"'),
    "no validators": ('"validators"', '"nobody"'),
    "not JSON": ("{", ""),
    "a key that is no key": ('"public_key": "', '"public_key": "zz'),
    "not an object": ('"network": "vectors"', '"network": ["vectors"]'),
}  # fmt: skip


@pytest.mark.parametrize("name", GENESIS_DAMAGES)
def test_a_genesis_out_of_form_is_refused_as_such(name: str) -> None:
    old, new = GENESIS_DAMAGES[name]
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(VALID, GENESIS.decode().replace(old, new, 1).encode())
    assert refused.value.code == Code.GENESIS


@pytest.mark.parametrize("size", [1, 2])
def test_oversized_files_are_refused_before_they_are_read(size: int) -> None:
    genesis = b" " * (receipt_verifier.GENESIS_BYTES_MAX + size)
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(VALID, genesis)
    assert refused.value.code == Code.GENESIS
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(b" " * (receipt_verifier.RECEIPT_BYTES_MAX + size), GENESIS)
    assert refused.value.code == Code.FORMAT


def test_it_runs_by_itself_with_nothing_of_onward_importable(tmp_path: Path) -> None:
    """What an auditor does: copy one file away, and run it."""
    program = tmp_path / "receipt_verifier.py"
    program.write_bytes(Path(str(receipt_verifier.__file__)).read_bytes())
    command = [
        sys.executable,
        "-c",
        ISOLATED,
        str(program),
        str(VECTORS / "valid.receipt"),
        "--genesis",
        str(VECTORS / "genesis.json"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"] is True


def test_the_exit_code_is_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    genesis = ["--genesis", str(VECTORS / "genesis.json")]
    assert main([str(VECTORS / "valid.receipt"), *genesis]) == 0
    assert "E_ONWARD_PROHIBITED" in capsys.readouterr().out
    assert main([str(VECTORS / "below-quorum.receipt"), *genesis, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "E_QUORUM"
    with pytest.raises(SystemExit) as wrong:
        main([str(VECTORS / "no-such.receipt"), *genesis])
    assert wrong.value.code == 2


def test_a_receipt_cannot_make_an_auditor_check_signatures_without_end() -> None:
    """Lines are counted before any signature is verified."""
    lines = VALID.split(b"\n")
    place = next(i for i, line in enumerate(lines) if line.startswith(b"signer "))
    stuffed = [*lines[:place], *[lines[place]] * 1_500, *lines[place:]]
    with pytest.raises(ReceiptError, match="at most 8") as refused:
        verify_receipt(b"\n".join(stuffed), GENESIS)
    assert refused.value.code == Code.FORMAT
