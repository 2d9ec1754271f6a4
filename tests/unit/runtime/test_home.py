from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from onward.crypto.signing import SigningKey
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.runtime import home as homes
from onward.runtime.config import PeersConfig, parse_config, render_config
from onward.runtime.home import (
    BEGAN_NAME,
    CONFIG_NAME,
    DATA_NAME,
    KEY_NAME,
    NodeHome,
    begin_home,
    read_home,
    write_home,
)
from onward.storage.home import open_home

from .conftest import ANY_PORT, config_of, genesis_bytes, seed_of

MakeHome = Callable[..., NodeHome]


def test_home_is_read_as_it_was_written_and_its_disk_opens(make_home: MakeHome) -> None:
    home = make_home(index=1, validators=4)
    again = read_home(home.path)
    assert again == home
    assert again.validator.name == "v1"
    disk = open_home(home.data, home.genesis.chain_id)
    assert disk.recover().journal == ()
    disk.close()


def test_home_does_not_show_its_key(make_home: MakeHome) -> None:
    """A traceback or a log line with the home in it must not carry the secret."""
    home = make_home()
    assert home.seed.hex() not in repr(home)
    assert "\\x01" not in repr(home)


def test_second_home_at_one_place_is_refused(make_home: MakeHome) -> None:
    home = make_home()
    with pytest.raises(RejectedError) as refused:
        write_home(home.path, home.config, genesis_bytes(), home.seed)
    assert refused.value.code == "E_STATE"


@pytest.mark.parametrize("part", ["create_home", "write_secret"])
@pytest.mark.parametrize("is_there", [False, True])
def test_home_whose_data_could_not_be_made_is_as_before(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch, part: str, *, is_there: bool
) -> None:
    """A full disk must not cost the key, which others have put into the genesis."""
    path = without_data(make_home())
    if is_there:  # a disk of its own, mounted there
        (path / DATA_NAME).mkdir()

    def full(folder: Path, *_: object) -> None:
        if part == "create_home":
            (folder / "database").mkdir()
            (folder / "lock").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(homes, part, full)
        with pytest.raises(OSError, match="No space"):
            begin_home(path)
    assert [*path.glob(f"{DATA_NAME}/*")] == []
    assert ((path / DATA_NAME).exists(), (path / BEGAN_NAME).exists()) == (is_there, False)
    home = begin_home(path)
    open_home(home.data, home.genesis.chain_id).close()
    assert (path / BEGAN_NAME).exists()


def test_data_of_somebody_who_makes_them_right_now_are_left_alone(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = without_data(make_home())

    def taken(folder: Path, *_: object) -> None:
        (folder / "database").mkdir()
        raise RejectedError(RejectCode.STATE, "in use by process 7")

    monkeypatch.setattr(homes, "create_home", taken)
    with pytest.raises(RejectedError, match="in use"):
        begin_home(path)
    assert (path / DATA_NAME / "database").exists()


def test_data_that_hold_something_are_not_begun_anew(make_home: MakeHome) -> None:
    """Those of homes from before there was a mark: their votes are in it."""
    home = make_home()
    (home.path / BEGAN_NAME).unlink()
    with pytest.raises(RejectedError, match="not empty"):
        begin_home(home.path)
    open_home(home.data, home.genesis.chain_id).close()


def without_data(home: NodeHome) -> Path:
    shutil.rmtree(home.data)
    (home.path / BEGAN_NAME).unlink()
    return home.path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_key_that_others_can_read_is_not_used(make_home: MakeHome, mode: int) -> None:
    home = make_home()
    (home.path / KEY_NAME).chmod(mode)
    with pytest.raises(MalformedError, match="0600"):
        read_home(home.path)


def test_written_key_belongs_to_its_owner_only(make_home: MakeHome) -> None:
    home = make_home()
    assert (home.path / KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_key_of_another_validator_is_found_out(tmp_path: Path) -> None:
    """Two nodes with one key would contradict each other's votes."""
    with pytest.raises(MalformedError, match="the genesis names"):
        write_home(tmp_path / "v0", config_of(0, 2), genesis_bytes(2), seed_of(1))


def test_broken_key_file_is_named(make_home: MakeHome) -> None:
    home = make_home()
    (home.path / KEY_NAME).write_text("not a key")
    with pytest.raises(MalformedError, match="64 hex digits"):
        read_home(home.path)


def test_missing_file_is_named(make_home: MakeHome) -> None:
    home = make_home()
    (home.path / CONFIG_NAME).unlink()
    with pytest.raises(RejectedError, match=r"node\.toml"):
        read_home(home.path)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "v0"', 'name = "v9"', "node.name: 'v9' is none of the validators"),
        ('v1 = "127.0.0.1:0"\n', "", "peers.addresses.v1: is missing"),
        ("v1 = ", "v7 = ", "peers.addresses.v7: the genesis has no such validator"),
    ],
)
def test_configuration_must_fit_the_genesis(
    make_home: MakeHome, old: str, new: str, expected: str
) -> None:
    home = make_home(validators=2)
    text = render_config(home.config)
    assert old in text
    (home.path / CONFIG_NAME).write_text(text.replace(old, new))
    with pytest.raises(MalformedError, match=expected):
        read_home(home.path)


def with_newcomer(key: bytes, name: str = "v4") -> PeersConfig:
    addresses = tuple((f"v{index}", ANY_PORT) for index in range(5))
    return PeersConfig(listen=ANY_PORT, addresses=addresses, plaintext=False, keys=((name, key),))


def test_newcomer_has_a_home_beside_the_genesis(make_home: MakeHome) -> None:
    """It follows the chain before the chain knows it: only configurations can name it."""
    key = SigningKey(seed_of(4)).public_key
    home = make_home(index=4, validators=4, peers=with_newcomer(key))
    assert parse_config(render_config(home.config).encode()) == home.config
    assert home.index == 4
    assert home.validator.public_key == key
    assert [item.name for item in home.seats.members] == ["v0", "v1", "v2", "v3", "v4"]


def test_newcomer_takes_no_validators_name_or_key(make_home: MakeHome) -> None:
    """Two machines behind one number would answer for each other."""
    stranger, known = (SigningKey(seed_of(index)).public_key for index in (4, 0))
    with pytest.raises(MalformedError, match="a name stands twice"):
        make_home(index=0, validators=4, peers=with_newcomer(stranger, "v3"))
    with pytest.raises(MalformedError, match="a key stands twice"):
        make_home(index=1, validators=4, peers=with_newcomer(known))


def test_newcomers_key_must_be_the_configured_one(make_home: MakeHome) -> None:
    """It would be refused by every peer, and nobody would know why."""
    other = SigningKey(seed_of(7)).public_key
    with pytest.raises(MalformedError, match=r"node\.toml names"):
        make_home(index=4, validators=4, peers=with_newcomer(other))
