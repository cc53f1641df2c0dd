#!/usr/bin/env bash
# PostgreSQL: after a server that was killed, pg_xact_status says "committed" of a transaction that was never committed.
#
# Seen with PostgreSQL 16.2 (pgserver 0.1.4 from PyPI, synchronous_commit on). The documentation: "it may be used to determine
# whether a transaction committed or aborted after the application and database server become disconnected while a COMMIT is in
# progress". A transaction asks for its id with pg_current_xact_id and inserts a row; all of the server's processes are killed with
# -9 before it commits. Its id was not on disk yet, so the restarted server gives it to another transaction; when that has
# committed, pg_xact_status of the id says "committed", and the row is not there.
# So a client that lost its connection cannot take the answer for its own: a row of its own, written in the transaction, can be asked.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
cleanup() { [ ! -s "$folder/data/postmaster.pid" ] || kill -INT "$(head -1 "$folder/data/postmaster.pid")" || true; wait; rm -rf "$folder"; }
trap cleanup EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pgserver==0.1.4 asyncpg==0.30.0
bin=$("$folder/venv/bin/python" -c 'import pathlib, pgserver; print(pathlib.Path(pgserver.__file__).parent / "pginstall/bin")')
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
mkdir "$folder/data" && chmod 700 "$folder/data"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$folder/data"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U demo --auth=trust >/dev/null
start() {
    "${as[@]}" "$bin/postgres" -D "$folder/data" -c listen_addresses= -c unix_socket_directories="$folder/data" \
        -c wal_writer_delay=10s 2>/dev/null &
    until "$bin/pg_isready" -q -h "$folder/data"; do sleep 0.1; done
}
start
cat >"$folder/demo.py" <<'PYTHON'
import asyncio, os, signal, sys
import asyncpg
async def main(how, socket):
    link = await asyncpg.connect(host=socket, user="demo", database="postgres")
    if how == "before":
        await link.execute("CREATE TABLE demo (whose text)")
        await link.execute("CHECKPOINT")
        await link.execute("BEGIN")
        number = await link.fetchval("SELECT pg_current_xact_id()::text")
        await link.execute("INSERT INTO demo VALUES ('ours')")
        first = int(open(f"{socket}/postmaster.pid").readline())
        children = open(f"/proc/{first}/task/{first}/children").read().split()
        for pid in (first, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        print(number)
        link.terminate()
    else:
        await link.execute("INSERT INTO demo VALUES ('of another')")
        status = await link.fetchval("SELECT pg_xact_status($1::text::xid8)", sys.argv[3])
        print(status, await link.fetchval("SELECT count(*) FROM demo WHERE whose = 'ours'"), await link.fetchval("SHOW server_version"))
        await link.close()
asyncio.run(main(*sys.argv[1:3]))
PYTHON
number=$("$folder/venv/bin/python" "$folder/demo.py" before "$folder/data")
wait || true
start
read -r status rows version < <("$folder/venv/bin/python" "$folder/demo.py" after "$folder/data" "$number")
echo "PostgreSQL $version: transaction $number, killed before its commit: pg_xact_status says $status, its rows that are there: $rows"
[ "$rows" = 0 ] || { echo "CHANGED: the row is there"; exit 1; }
[ "$status" = committed ] || { echo "CHANGED: pg_xact_status does not say committed"; exit 1; }
echo "as described: committed, by what it says, and not there"
