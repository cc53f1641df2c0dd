"""The programs of README and of the first ten minutes: as short as they are, type checkers have nothing against them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.helpers import PATIENCE
from tests.processes import run

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/quickstart.md", "docs/agent.md", "docs/hub.md")
PROGRAMS = {
    f"{Path(page).stem.lower()}_{number}.py": program
    for page in PAGES
    for number, program in enumerate(
        re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
    if "tocsin.run(" in program
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has them."""
    folder = tmp_path_factory.mktemp("programs")
    for name, program in PROGRAMS.items():
        (folder / name).write_text(program, encoding="utf-8")
    return folder


def test_every_page_has_its_programs() -> None:
    """One in README, which is what is pasted first."""
    assert [name for name in PROGRAMS if name.startswith("readme")] == ["readme_0.py"]
    assert len(PROGRAMS) == 5


@pytest.mark.parametrize(
    "checker",
    [["mypy", "--strict", "--cache-dir", ".cache"], ["pyright", "--pythonpath", sys.executable]],
    ids=lambda words: words[0],
)
def test_they_type_check_as_they_stand(programs: Path, checker: list[str]) -> None:
    """As strictly as the package itself does, with what it says of its types."""
    paths = [str(path) for path in sorted(programs.glob("*.py"))]
    command = [sys.executable, "-m", *checker, *paths]
    done = subprocess.run(command, cwd=programs, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_program_of_readme_prints_how_to_push_to_it(programs: Path, tmp_path: Path) -> None:
    """The line that it prints reaches it."""
    with anyio.fail_after(3 * PATIENCE):
        command = [sys.executable, "-W", "error", "-u", str(programs / "readme_0.py")]
        async with await anyio.open_process(command, cwd=tmp_path) as program:
            assert program.stdout is not None
            lines = BufferedByteReceiveStream(program.stdout)
            said = (await lines.receive_until(b"\n", 4096)).decode()
            pushes, *words = shlex.split(said.removeprefix("to push, run: "))
            assert (Path(pushes).name, words[0]) == ("tocsin", "send")
            code, _, errors = await run(*words)
            assert (code, errors) == (0, "")
            assert await lines.receive_until(b"\n", 4096) == b"got you have mail"
            program.terminate()
            assert await program.wait() == 143
