"""`onward node key` and `onward node init`: a validator's home from nothing, and never twice."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onward.cli.main import main
from onward.network.definition import create_network
from onward.runtime.config import parse_config, render_config
from onward.runtime.home import CONFIG_NAME, DATA_NAME, GENESIS_NAME, KEY_NAME, read_home
from onward.storage.home import open_home


def said(code: int, *arguments: str | Path) -> Any:
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"], env={"ONWARD_NETWORK": None})
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of v5, which no genesis names, as far as its operator writes it by hand."""
    first = create_network(tmp_path / "n", validators=4, time_ms=1).nodes[0].home
    path = tmp_path / "v5"
    key = said(0, "node", "key", path)["public_key"]
    shutil.copy(first / GENESIS_NAME, path)
    config = render_config(parse_config((first / CONFIG_NAME).read_bytes()))
    config = config.replace('name = "v1"', 'name = "v5"').replace(
        "[peers.addresses]", '[peers.addresses]\nv1 = "127.0.0.1:9"'
    )
    text = config.replace("[gateway]", f'[peers.keys]\nv5 = "{key}"\n[gateway]')
    (path / CONFIG_NAME).write_text(text, encoding="utf-8")
    return path


def test_key_is_made_once_and_then_only_shown(tmp_path: Path) -> None:
    """Asking again must not take the key away under which the others know the validator."""
    made = said(0, "node", "key", tmp_path / "v5")
    again = said(0, "node", "key", tmp_path / "v5")
    assert (made["made"], again["made"]) == (True, False)
    assert made["public_key"] == again["public_key"]
    file = tmp_path / "v5" / KEY_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    assert made["public_key"] != file.read_text().strip()


def test_home_that_is_written_by_hand_is_made_ready_to_run(home: Path) -> None:
    told = said(0, "node", "init", home)
    assert (told["validator"], told["in_genesis"]) == ("v5", False)
    node = read_home(home)
    open_home(node.data, node.genesis.chain_id).close()


def test_key_that_has_had_its_data_gets_no_empty_ones_again(home: Path) -> None:
    """Its votes are forgotten with them: it could contradict what it signed."""
    said(0, "node", "init", home)
    assert said(2, "node", "init", home)["code"] == "E_USAGE"
    shutil.rmtree(home / DATA_NAME)
    assert "another home" in said(2, "node", "init", home)["message"]
    assert not (home / DATA_NAME).exists()


def test_validator_of_a_network_folder_that_lost_its_data_is_refused_too(tmp_path: Path) -> None:
    first = create_network(tmp_path / "n", validators=4, time_ms=1).nodes[0].home
    shutil.rmtree(first / DATA_NAME)
    assert said(2, "node", "init", first)["code"] == "E_USAGE"


def test_key_and_what_is_typed_next_stand_in_one_piece(home: Path, tmp_path: Path) -> None:
    """Who joins the halves of a key by hand puts another one into the genesis."""
    narrow = CliRunner(env={"COLUMNS": "60", "ONWARD_NETWORK": None})
    key = said(0, "node", "key", home)["public_key"]
    assert narrow.invoke(main, ["node", "key", str(home)]).stdout == f"{key}\n"
    long = tmp_path / ("a-rather-long-name-for-the-folder-of-a-validator" * 2)
    home.rename(long)
    done = narrow.invoke(main, ["node", "init", str(long)])
    assert f"onward node run --home {long}\n" in done.stdout


def test_key_for_which_there_is_no_room_can_be_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that says nothing would be shown as a bad key from then on."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert said(3, "node", "key", tmp_path / "v5")["code"] == "E_UNAVAILABLE"
    assert said(0, "node", "key", tmp_path / "v5")["made"]


def test_home_that_lacks_a_part_is_told_which(home: Path, tmp_path: Path) -> None:
    """No verdict of a chain, and nothing half made that the next attempt would stumble over."""
    (home / GENESIS_NAME).rename(tmp_path / "aside")
    assert f"{GENESIS_NAME}: cannot be read" in said(2, "node", "init", home)["message"]
    (tmp_path / "aside").rename(home / GENESIS_NAME)
    said(0, "node", "init", home)


def test_key_that_others_can_read_is_not_shown_as_a_good_one(home: Path, tmp_path: Path) -> None:
    (home / KEY_NAME).chmod(0o644)
    assert "0600" in said(2, "node", "key", home)["message"]
    (tmp_path / "file").touch()
    assert said(2, "node", "key", tmp_path / "file")["code"] == "E_USAGE"
