"""What is released, and what is in ``packaging/``: whether it holds, and runs, what there is."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tocsin.cli.performing import command_parser
from tocsin.service.operations.configuration import described, load_settings, variable

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "packaging" / "Dockerfile").read_text(encoding="utf-8")
UNIT = ROOT / "packaging" / "tocsin.service"
OTHERS = {"TOCSIN_STATE"}


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of that name, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def parse(command: list[str]) -> None:
    """See that the command line is one of ours."""
    assert Path(command[0]).name == "tocsin"
    command_parser().parse_args(command[1:])


def variables(words: list[str]) -> dict[str, str]:
    """Return the variables of ours, each of which there is."""
    ours = dict(word.split("=", 1) for word in words if word.startswith("TOCSIN_"))
    assert ours.keys() - OTHERS <= {variable(name) for name, _, _ in described()}
    return ours


def test_the_image_runs_a_service_that_is_ours() -> None:
    """Its commands parse, its settings are right, and what its health check asks is where it serves."""
    (start,) = instructions("CMD")
    parse(re.findall(r'"([^"]+)"', start))
    (check,) = instructions("HEALTHCHECK")
    parse(re.findall(r'"([^"]+)"', check.partition("CMD")[2]))
    environment = variables([word for line in instructions("ENV") for word in line.split()])
    settings = load_settings({}, environment, None)
    assert instructions("EXPOSE") == [str(settings.port)]
    assert environment["TOCSIN_STATE"].startswith(instructions("VOLUME")[0])


def test_the_image_has_what_its_settings_may_ask_for() -> None:
    """A service, over the engine of the operator's choice."""
    (extras,) = [re.findall(r"/src\[(.*)\]", line) for line in instructions("RUN") if "pip" in line]
    assert extras == ["service,postgres"]


def test_the_image_does_not_run_as_root() -> None:
    """It runs as a user that it makes, by number, who owns the volume."""
    (user,) = instructions("USER")
    (made,) = [line for line in instructions("RUN") if line.startswith("useradd")]
    number, name = re.findall(r"--uid (\d+) .* (\w+)\s+&&", made)[0]
    assert user == f"{number}:{number}"
    assert f"--owner={name} --group={name} --mode=0700 {instructions('VOLUME')[0]}" in made
    assert DOCKERFILE.index("USER") < DOCKERFILE.index("VOLUME")


def test_the_image_copies_what_a_build_needs() -> None:
    """Of the checkout it gets what is named, which there is, and nothing else; the rest comes from the first stage."""
    assert instructions("COPY")[0] == ". /src"
    first, *others = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert first == "*"
    named = {line.removeprefix("!") for line in others if line.startswith("!")}
    assert named == {"LICENSE", "README.md", "pyproject.toml", "tocsin"}
    assert all((ROOT / name).exists() for name in named)


def test_the_unit_runs_a_service_that_is_ours() -> None:
    """Its command parses, and its settings are right."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]  # as its documentation says
    unit.read(UNIT)
    parse(unit["Service"]["ExecStart"].split())
    words = re.findall("^Environment=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    load_settings({}, variables(words), None)
    assert unit["Service"]["DynamicUser"] == "yes"
    assert int(unit["Service"]["TimeoutStopSec"]) > 15
    assert unit["Service"]["ExecReload"].startswith("/bin/sh ")  # a small Debian has no /bin/kill


@pytest.mark.parametrize("count", [0, 1])
def test_the_lines_for_tls_are_settings(count: int) -> None:
    """The variables that a drop-in would set are those of the certificate and its key."""
    lines = re.findall("^#Environment=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    settings = load_settings({}, variables(lines[count].split()), None)
    assert settings.tls_cert
    assert settings.tls_key


@pytest.mark.parametrize("drop_in", ["", "SupplementaryGroups", "LoadCredential"])
def test_systemd_understands_the_unit(drop_in: str, tmp_path: Path) -> None:
    """Where there is systemd, it finds nothing to complain about, with the lines for TLS and without."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this machine has no systemd")
    copy = tmp_path / "tocsin.service"
    unit = UNIT.read_text(encoding="utf-8").replace("/opt/tocsin/bin/tocsin", "/bin/true")
    if drop_in:
        unit = unit.replace("#" + drop_in, drop_in)
        lines = unit[unit.index("\n" + drop_in) :]
        unit = unit.replace(lines, lines.replace("#Environment", "Environment", 1))
    copy.write_text(unit, encoding="utf-8")
    result = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ours
    assert (result.returncode, result.stderr) == (0, "")


def build(target: Path, *options: str) -> Path:
    """Build a release as its maintainer does, with the build tools of this environment, and return the folder."""
    command: list[str | Path] = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", target, ROOT]
    result = subprocess.run(command, cwd=target.parent, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert result.returncode == 0, result.stdout + result.stderr
    return target


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and the wheel out of it: what ``python -m build`` does by itself."""
    return build(tmp_path_factory.mktemp("release") / "dist")


def contents(wheel: Path) -> dict[str, bytes]:
    """Return all files of a wheel."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_is_the_same_by_way_of_the_source_distribution(released: Path, tmp_path: Path) -> None:
    """Nothing is lost on the way: it has the files of a wheel that is built from the checkout, and the whole package."""
    (by_sdist,), (direct,) = released.glob("*.whl"), build(tmp_path / "direct", "--wheel").glob("*.whl")
    assert contents(by_sdist) == contents(direct)
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "tocsin").rglob("*") if path.is_file()}
    assert {name for name in contents(direct) if name.startswith("tocsin/")} == {
        name for name in package if "__pycache__" not in name
    }


def test_the_source_distribution_has_each_file_once(released: Path) -> None:
    """The links at the root stay at home, and what they lead to goes in; so do tests and docs."""
    (sdist,) = released.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() for member in members)
    folders = {member.name.split("/")[1] for member in members}
    assert not {"actors", "persistence", "protocol"} & folders
    assert {"tocsin", "tests", "docs", "examples", "packaging", "README.md", "LICENSE", "CHANGELOG.md"} <= folders


def test_the_release_runs_in_an_empty_environment(released: Path, tmp_path: Path) -> None:
    """Installed by pip, the command opens a service with a platform and a channel."""
    venv.create(tmp_path / "env", with_pip=False)
    commands = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    python = commands / "python"
    (wheel,) = released.glob("*.whl")
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        wheel,
    ]
    subprocess.run(pip, check=True)  # noqa: S603 - ours
    (packages,) = (tmp_path / "env").rglob("site-packages")
    # What it depends on is that of this environment, behind the release itself.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    where: list[str | Path] = [python, "-c", "import tocsin; print(tocsin.__file__)"]
    place = subprocess.run(where, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - ours
    assert place.stdout.strip() == str(packages / "tocsin" / "__init__.py")
    command: list[str | Path] = [commands / "tocsin", "listen", "--json", "--state", tmp_path / "state"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as listening:  # noqa: S603 - ours
        assert listening.stdout is not None
        first = json.loads(listening.stdout.readline())
        listening.terminate()
    assert first["uri"].startswith("http://127.0.0.1:")


def test_the_page_of_an_index_has_no_link_that_leads_nowhere(released: Path) -> None:
    """The description of the wheel is the README, in which what is beside it is named and not linked."""
    (wheel,) = released.glob("*.whl")
    (metadata,) = [text.decode() for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA")]
    head, _, description = metadata.partition("\n\n")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "Description-Content-Type: text/markdown" in head
    assert description.splitlines()[:3] == readme.splitlines()[:3]
    assert [link for link in re.findall(r"\]\(([^)]+)\)", description) if "://" not in link] == []
    assert re.findall(r"\]\(([^)]+)\)", readme) != []


def test_the_page_of_an_index_installs_from_the_index(released: Path) -> None:
    """Its reader has no checkout: what README installs from one comes by its name there."""
    (wheel,) = released.glob("*.whl")
    (metadata,) = [text.decode() for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA")]
    assert ".venv/bin/pip install -q 'tocsin[service]' && .venv/bin/tocsin listen" in metadata
    assert "`pip install tocsin`" in metadata
    assert "from a checkout" not in metadata


def test_the_changelog_begins_with_the_version_that_would_be_released(released: Path) -> None:
    """What it says of the newest version is said of this one."""
    newest, *_ = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [path.name for path in released.glob("*.whl")] == [f"tocsin-{newest}-py3-none-any.whl"]


def test_the_source_distribution_has_no_pictures(released: Path) -> None:
    """Those of the documents and of the benches stay in the repository."""
    (sdist,) = released.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        pictures = [name for name in archive.getnames() if name.endswith((".png", ".svg", ".jpg"))]
    assert [name for name in pictures if name.split("/")[1] != "tocsin"] == []  # the page has an icon
