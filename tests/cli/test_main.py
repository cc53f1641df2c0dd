"""The command as a whole."""

from __future__ import annotations

import sys
from textwrap import dedent

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


@pytest.mark.parametrize("module", ["tocsin.cli.performing", "tocsin.protocol.errors", "tocsin.cli.listen", "anyio"])
async def test_interrupted_while_it_is_loaded_it_ends_without_a_traceback(module: str) -> None:
    """Loading a verb takes long enough for a Ctrl-C to come meanwhile."""
    program = dedent(
        f"""\
        import sys

        class Interrupting:
            def find_spec(self, name, path, target=None):
                if name == {module!r}:
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupting())
        from tocsin.cli import main
        sys.exit(main(["listen", "--state", "/dev/null"]))
        """
    )
    done = await anyio.run_process([sys.executable, "-c", program], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
