"""What holds for every test: deterministic properties, and an event loop that nobody blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

HERE = Path(__file__).parent

# The same examples on every machine and every day: a red run can be repeated by anyone. Whoever
# hunts for new examples says `--hypothesis-profile=hunt`.
settings.register_profile("house", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("hunt", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite` accepts what golden traces say now; the difference is read before it is kept."""
    parser.addoption("--rewrite", action="store_true", help="rewrite the golden traces")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in tests/e2e starts real processes and carries the marker that says so."""
    for item in items:
        if item.path.is_relative_to(HERE / "e2e"):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session", autouse=True)
def _grpc_stays() -> Iterator[None]:
    """gRPC joins its poller thread with its last user, wherever that one is collected.

    That may be in the middle of another test, which would be blamed for blocking its loop. So there
    is a user that stays.
    """

    async def user() -> grpc.aio.Channel:
        return grpc.aio.insecure_channel("127.0.0.1:1")

    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(user())
    yield
    loop.run_until_complete(channel.close())
    loop.close()


@pytest.fixture(autouse=True)
def _unblocked_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """In a test on an event loop, a blocking call made by the node is an error.

    Disk belongs to the writer thread: a validator that waits for its disk answers nobody.
    """
    if request.node.get_closest_marker("asyncio") is None:
        yield
        return
    with blockbuster_ctx("onward"):
        yield
