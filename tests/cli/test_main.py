"""The command as a whole."""

from __future__ import annotations

import sys

import anyio
import pytest

from tests.processes import call, run
from tocsin import __version__


def test_help_teaches() -> None:
    """Help names every verb and the first thing to try, without loading the platform."""
    code, output, _ = call("--help")
    assert code == 0
    assert "tocsin listen" in output
    assert "tocsin send" in output


@pytest.mark.parametrize("verb", ["listen", "send", "dead-letters", "activators"])
def test_every_verb_has_examples(verb: str) -> None:
    """Each verb's help shows how it is used."""
    code, output, _ = call(verb, "--help")
    assert code == 0
    assert "examples:" in output


async def test_it_tells_its_version() -> None:
    """The version is the package's."""
    assert await run("--version") == (0, f"tocsin {__version__}\n", "")


async def test_importing_does_not_load_the_service() -> None:
    """The plain package has no web server in it, nor an HTTP client."""
    code = (
        "import sys, tocsin\n"
        "heavy = {'httptools', 'starlette', 'aiohttp', 'jwt', 'cryptography', 'tocsin.service'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    await anyio.run_process([sys.executable, "-c", code])
