"""What the page on testing shows runs as it stands; and the plugin is found and can be left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def run(folder: Path, *command: str, plugins: str = "tocsin.pytest_plugin,anyio.pytest_plugin") -> tuple[int, str]:
    """Run Python in a folder with exactly these plugins, wherever the package is installed."""
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": plugins,
        "PYTEST_ADDOPTS": "",
    }
    done = subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    return done.returncode, done.stdout + done.stderr


def test_the_page_runs(tmp_path: Path) -> None:
    """All of its programs: the sender, its test in ten lines, the async one, a handler's tests, and the one without pytest."""
    assert set(PROGRAMS) == {
        "drive_the_twin.py", "my_handler.py", "my_sender.py", "test_my_async_sender.py", "test_my_app.py", "test_my_handler.py",
        "test_my_sender.py", "without_pytest.py",
    }  # fmt: skip
    assert len(PROGRAMS["test_my_sender.py"].strip().splitlines()) - 3 <= 10
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    code, output = run(tmp_path, "-m", "pytest", "-q", "-W", "error::pytest.PytestUnraisableExceptionWarning")
    assert code == 0, output
    assert "6 passed" in output
    code, output = run(tmp_path, "-W", "error", "without_pytest.py")
    assert (code, output[:22]) == (0, "send to http://127.0.0")


def test_the_page_names_everything() -> None:
    """No fault and no fact of the fixture is without its line."""
    from tocsin.testing import LocalWns, PlayedHost  # noqa: PLC0415

    for kind, call in ((LocalWns, "wns"), (PlayedHost, "wns.host")):
        methods = {name for name in vars(kind) if not name.startswith("_")} - {"become", "parts", "record"}
        assert methods == {name for name in methods if f"{call}.{name}" in PAGE}


@pytest.mark.parametrize(
    ("made", "base", "call"),
    [
        ("MadeArgs", "PushNotificationReceivedEventArgs", "args"),
        ("MadeChannel", "PushNotificationChannel", "channel"),
    ],
)
def test_the_page_names_what_made_args_and_channels_have(made: str, base: str, call: str) -> None:
    """No member that the platform's own do not have is without its line."""
    import tocsin.testing  # noqa: PLC0415

    own = set(vars(getattr(tocsin.testing, made))) - set(vars(getattr(tocsin, base)))
    members = {name for name in own if not name.startswith("_")}
    assert members
    assert members == {name for name in members if f"{call}.{name}" in PAGE}


def test_pytest_finds_the_plugin() -> None:
    """By its entry point, under the name by which it is left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["pytest11"] == {"tocsin": "tocsin.pytest_plugin"}


def test_without_the_service_the_fixture_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a sentence, not with a traceback of imports."""
    from tocsin import pytest_plugin  # noqa: PLC0415

    for name in [name for name in sys.modules if name.startswith(("tocsin.testing", "tocsin.service", "httptools"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httptools", None)
    fixture = pytest_plugin.wns.__wrapped__  # type: ignore[attr-defined]  # the function behind the fixture
    with pytest.raises(pytest.UsageError, match=r"httptools: pip install 'tocsin\[service\]'"):
        next(fixture(tmp_path_factory))
