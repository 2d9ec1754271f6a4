"""What is installed elsewhere is what was tested here."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(Requirement, PROJECT["project"]["dependencies"])
}
DEVELOPMENT = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(Requirement, PROJECT["dependency-groups"]["dev"])
}
STUBS = ROOT / "proto/onward_proto/v1"


def lower_bound(requirement: Requirement) -> Version:
    """The version after `>=` or `==`."""
    (bound,) = [part.version for part in requirement.specifier if part.operator in {">=", "=="}]
    return Version(bound)


def stamped_versions(pattern: str, files: str) -> set[Version]:
    """The generator's versions that the committed stubs carry."""
    found: set[Version] = set()
    for path in STUBS.glob(files):
        match = re.search(pattern, path.read_text(encoding="utf-8"))
        assert match is not None, f"{path.name} carries no version"
        found.add(Version(match[1]))
    return found


def test_protobuf_bound_admits_what_the_stubs_demand() -> None:
    """Generated code refuses to load beside an older runtime: at a user's, not here."""
    (generated,) = stamped_versions(r"Protobuf Python Version: (\S+)", "*_pb2.py")
    assert lower_bound(RUNTIME[canonicalize_name("protobuf")]).release[:2] == generated.release[:2]
    assert RUNTIME[canonicalize_name("protobuf")].specifier.contains(str(generated))


def test_grpcio_bound_admits_what_the_stubs_demand() -> None:
    (generated,) = stamped_versions(r"GRPC_GENERATED_VERSION = '([^']+)'", "*_pb2_grpc.py")
    assert lower_bound(RUNTIME[canonicalize_name("grpcio")]) >= generated


def test_stubs_come_from_the_pinned_generator() -> None:
    """Another generator's stubs would demand a runtime that Fabric's stubs cannot share."""
    (generated,) = stamped_versions(r"GRPC_GENERATED_VERSION = '([^']+)'", "*_pb2_grpc.py")
    assert lower_bound(DEVELOPMENT[canonicalize_name("grpcio-tools")]) == generated


def pins() -> dict[str, Version]:
    found: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        assert pin.operator == "==", f"not a pin: {line}"
        assert requirement.url is None, f"carries an address: {line}"
        found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


@pytest.mark.parametrize("name", [*RUNTIME, *DEVELOPMENT])
def test_every_dependency_is_pinned_within_its_bounds(name: str) -> None:
    requirement = {**DEVELOPMENT, **RUNTIME}[canonicalize_name(name)]
    pin = pins()[canonicalize_name(name)]
    assert requirement.specifier.contains(pin)
    assert Version(version(name)) == pin, "the environment is not what the pins say: make .venv"


def test_wheel_holds_three_packages_and_nothing_else(tmp_path: Path) -> None:
    """A top-level `proto` or `tests` of ours would land in every user's environment."""
    build = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {"onward", "onward_chaincode", "onward_proto"}
    roots = {name.partition("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == packages
    assert {f"{package}/py.typed" for package in packages} <= names
    sources = {
        path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto").rglob("*.proto")
    }
    assert sources <= names
