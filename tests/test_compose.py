"""``packaging/compose.yaml``, which no container engine has run here: what it says of itself and of other files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tocsin.service.operations.configuration import described, load_settings, variable

ROOT = Path(__file__).parent.parent
FILE = ROOT / "packaging" / "compose.yaml"
HAPROXY = ROOT / "examples" / "balancer" / "haproxy.cfg"
NODES = ("node1", "node2", "node3")


@pytest.fixture(scope="module")
def composed() -> Any:
    """Read it, with what stands for several services in each of them."""
    return YAML(typ="safe").load(FILE)


def address(composed: Any, service: str) -> str:
    """Return the address that a service is given."""
    return str(composed["services"][service]["networks"]["inside"]["ipv4_address"])


def environment(composed: Any, node: str) -> dict[str, str]:
    """Return the settings of a node, with a name for what the operator names."""
    return {
        name: value.replace("${PUBLIC_URL:?}", "https://push.example")
        for name, value in composed["services"][node]["environment"].items()
        if name.startswith("TOCSIN_")
    }


def test_it_is_a_compose_file() -> None:
    """The schema of their makers has nothing against it."""
    check = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run([sys.executable, "-m", *check], capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("node", NODES)
def test_its_nodes_have_settings_that_there_are(composed: Any, node: str) -> None:
    """They believe the balancer, name the address that they have, and are given the time that they take to stop."""
    found = environment(composed, node)
    known = {variable(name) for name, _, _ in described()}
    assert found.keys() - known <= {"TOCSIN_LINK", "TOCSIN_LINK_ADDRESS"}
    settings = load_settings({}, {name: value for name, value in found.items() if name in known}, None)
    assert settings.public_url == "https://push.example"
    assert settings.trusted_proxies == (address(composed, "balancer"),)
    assert found["TOCSIN_LINK_ADDRESS"] == f"{address(composed, node)}:{found['TOCSIN_LINK'].rpartition(':')[2]}"
    grace = composed["services"][node]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > settings.drain_delay + 10


def test_its_balancer_is_the_example(composed: Any) -> None:
    """The file that is mounted is there, and names the nodes by their addresses, and the certificate by its place."""
    mounted = dict(each.removesuffix(":ro").rsplit(":", 1) for each in composed["services"]["balancer"]["volumes"])
    (example,) = [(FILE.parent / source).resolve() for source in mounted if source.endswith(".cfg")]
    assert example == HAPROXY
    text = HAPROXY.read_text(encoding="utf-8")
    assert re.search(r"^ *bind :443 ssl crt (\S+)", text, re.MULTILINE)[1] == mounted["${CERTIFICATE:?}"]  # type: ignore[index]
    servers = set(re.findall(r"^ *server \w (\S+)", text, re.MULTILINE))
    assert servers == {f"{address(composed, node)}:8080" for node in NODES}


def test_the_examples_name_the_same_nodes() -> None:
    """So that a reader of both sees what is nginx's and what is HAProxy's."""
    found = [
        set(re.findall(r"^ *server (?:\w )?([\d.]+:\d+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in (HAPROXY, HAPROXY.with_name("nginx.conf"))
    ]
    assert found[0] == found[1]


def test_each_service_has_an_address_of_its_own(composed: Any) -> None:
    """Else one that is given any could get that of another."""
    given = [address(composed, service) for service in composed["services"]]
    assert len(set(given)) == len(given) == len(NODES) + 2
