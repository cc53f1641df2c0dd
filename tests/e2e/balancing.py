"""Real load balancers, by the files in ``examples/balancer``, and the nodes behind them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import trustme
from anyio.abc import Process
from attrs import define, frozen

from tests.e2e.terminal import ROOT, free_port
from tests.processes import PATIENCE, Listening, running

EXAMPLES = ROOT / "examples" / "balancer"
NODES = ("10.23.0.11:8080", "10.23.0.12:8080", "10.23.0.13:8080")
"""The nodes, as both files name them."""


@frozen
class Place:
    """Where a balancer and its nodes are on this machine, and what the balancer shows to its clients."""

    folder: Path
    engine: str
    """The database that all nodes share."""
    port: int
    ports: tuple[int, ...]

    @classmethod
    def make(cls, folder: Path, engine: str) -> Place:
        """Choose ports, and make a certificate for the address."""
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(folder / "authority.pem")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
        return cls(folder, engine, free_port(), tuple(free_port() for _ in NODES))

    @property
    def url(self) -> str:
        """What devices and senders are given."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def authority(self) -> Path:
        """What they trust."""
        return self.folder / "authority.pem"

    def node(self, number: int, drain_delay: int = 0) -> AbstractAsyncContextManager[Listening]:
        """Run a node, with the settings that both files name."""
        own = ("--state", str(self.state(number)), "--port", str(self.ports[number]))
        shared = ("--public-url", self.url, "--trusted-proxies", "127.0.0.1", "--drain-delay", str(drain_delay))
        several = ("--engine", self.engine, "--link", "127.0.0.1:0", "--channel-rate", "0")  # they would halve the rate
        return running("serve", "--json", *own, *shared, *several)

    def state(self, number: int) -> Path:
        """Return the node's folder."""
        return self.folder / f"node-{number}"

    def here(self, name: str, changes: dict[str, str]) -> str:
        """Return the text of an example, as it has to be on this machine; what is changed is there."""
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        nodes = {node: f"127.0.0.1:{port}" for node, port in zip(NODES, self.ports, strict=True)}
        for before, after in (changes | nodes).items():
            assert before in text, before
            text = text.replace(before, after)
        return text


@define
class Balancer:
    """One that runs."""

    process: Process
    log: Path
    _take_out: Callable[[int], None]

    def said(self) -> str:
        """Return all that it has logged."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in self.log.parent.glob("*.log"))

    def take_out(self, port: int) -> None:
        """Do what its file says has to be done before the node at that port is stopped."""
        self._take_out(port)


@asynccontextmanager
async def nginx(place: Place) -> AsyncIterator[Balancer]:
    """Run nginx."""
    folder = place.folder / "nginx"
    folder.mkdir(exist_ok=True)
    file, both, log = folder / "tocsin.conf", place.folder / "both.pem", folder / "nginx.log"
    text = place.here(
        "nginx.conf",
        {
            "listen 443 ssl": f"listen 127.0.0.1:{place.port} ssl",
            "    listen [::]:443 ssl;\n": "",
            "/etc/tocsin/fullchain.pem": str(both),
            "/etc/tocsin/privkey.pem": str(both),
            "/var/log/nginx/": f"{folder}/",
        },
    )
    file.write_text(text, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    around = f"user root; pid {folder}/pid; events {{}} http {{ {temporary} access_log off; include {file}; }}\n"
    (folder / "nginx.conf").write_text(around, encoding="utf-8")
    command = ("nginx", "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{log}", "-g", "daemon off;")

    def take_out(port: int) -> None:
        line = f"127.0.0.1:{port} "
        file.write_text(file.read_text(encoding="utf-8").replace(line, f"{line}down "), encoding="utf-8")
        balancer.process.send_signal(signal.SIGHUP)

    async with _running(command, place.port, log) as process:
        balancer = Balancer(process, log, take_out)
        yield balancer


@asynccontextmanager
async def haproxy(place: Place) -> AsyncIterator[Balancer]:
    """Run HAProxy, which sees by itself that a node is about to stop."""
    folder = place.folder / "haproxy"
    folder.mkdir(exist_ok=True)
    both, log = place.folder / "both.pem", folder / "haproxy.log"
    changes = {"bind :443": f"bind 127.0.0.1:{place.port}", "/etc/haproxy/push.example.pem": str(both)}
    (folder / "haproxy.cfg").write_text(place.here("haproxy.cfg", changes), encoding="utf-8")
    (folder / "global.cfg").write_text("global\n    log stdout format raw local0\n", encoding="utf-8")
    command = ("haproxy", "-db", "-f", f"{folder}/global.cfg", "-f", f"{folder}/haproxy.cfg")
    async with _running(command, place.port, log) as process:
        yield Balancer(process, log, lambda _: None)


BALANCERS = {"nginx": nginx, "haproxy": haproxy}


def installed(name: str) -> str | None:
    """Return the program, if it is there; Debian has both where only root looks."""
    return shutil.which(name, path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")


@asynccontextmanager
async def _running(command: tuple[str, ...], port: int, log: Path) -> AsyncIterator[Process]:
    name, *words = command
    program = installed(name)
    assert program is not None
    with log.open("wb") as output:
        process = await anyio.open_process([program, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        await _until_it_listens(process, port, log)
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            process.terminate()
            with anyio.move_on_after(PATIENCE):
                await process.wait()
            if process.returncode is None:
                process.kill()


async def _until_it_listens(process: Process, port: int, log: Path) -> None:
    """Connect until it takes the connection, which it cannot tell otherwise."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                assert process.returncode is None, await anyio.Path(log).read_text(encoding="utf-8")
                await anyio.sleep(0.02)
            else:
                await stream.aclose()
                return
