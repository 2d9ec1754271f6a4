from __future__ import annotations

import pytest

from onward.errors import MalformedError
from onward.runtime.config import CONFIG_BYTES_MAX, parse_config, render_config

GOOD = """
[node]
name = "v1"
[peers]
listen = "127.0.0.1:7001"
plaintext = true
[peers.addresses]
v2 = "localhost:7002"
v3 = "[::1]:7003"
[gateway]
listen = "0.0.0.0:7101"
[metrics]
listen = "127.0.0.1:7201"
[log]
level = "debug"
"""


def complaint(text: str) -> str:
    with pytest.raises(MalformedError) as refused:
        parse_config(text.encode())
    return str(refused.value)


def test_configuration_is_what_the_file_says() -> None:
    config = parse_config(GOOD.encode())
    assert config.name == "v1"
    assert config.peers.plaintext
    assert str(dict(config.peers.addresses)["v3"]) == "[::1]:7003"
    assert not config.gateway.plaintext
    assert config.log_level == "debug"


def test_written_configuration_reads_as_itself() -> None:
    config = parse_config(GOOD.encode())
    assert parse_config(render_config(config).encode()) == config


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "v1"', 'name = "v1"\ncolour = "red"', "node.colour: there is no such setting"),
        ("plaintext = true", "plaintxt = true", "peers.plaintxt: there is no such setting"),
        ("[log]", "[logs]", "logs: there is no such setting"),
        ('name = "v1"', "", "node.name: is missing"),
        ('name = "v1"', "name = 1", "node.name: expected text"),
        ("plaintext = true", 'plaintext = "yes"', "peers.plaintext: expected true or false"),
        ('"127.0.0.1:7001"', '"7001"', "peers.listen: '7001', expected host:port"),
        ('"127.0.0.1:7001"', '"127.0.0.1:70000"', "port 70000, at most 65535"),
        ('"localhost:7002"', '"10.0.0.2:7002"', "peers.addresses.v2: 10.0.0.2:7002 is not on loop"),
        ('"127.0.0.1:7001"', '"0.0.0.0:7001"', "peers.listen: 0.0.0.0:7001 is not on loopback"),
        ('"127.0.0.1:7201"', '"0.0.0.0:7201"', "metrics.listen: 0.0.0.0:7201 is not on loopback"),
        (
            'listen = "0.0.0.0:7101"',
            'listen = "0.0.0.0:7101"\nplaintext = true',
            "gateway.listen: 0.0.0.0:7101 is not on loopback",
        ),
        ('level = "debug"', 'level = "loud"', "log.level: 'loud', expected one of debug"),
        ("[metrics]\n", "[metrics]\n[metrics]\n", "node.toml: "),
        (
            "[gateway]",
            '[peers.keys]\nv5 = "ab"\n[gateway]',
            "peers.keys.v5: expected 64 hex digits",
        ),
        ('listen = "127.0.0.1:7201"', "listen = 7201", "metrics.listen: expected text"),
    ],
)
def test_complaint_names_the_path_of_the_setting(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    assert expected in complaint(GOOD.replace(old, new))


def test_configuration_is_bounded() -> None:
    assert "at most" in complaint(GOOD + "#" * CONFIG_BYTES_MAX)
