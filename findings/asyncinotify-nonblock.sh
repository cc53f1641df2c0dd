#!/usr/bin/env bash
# asyncinotify's InitFlags.NONBLOCK is the flag for close-on-exec, so that the descriptor of an Inotify is blocking.
#
# Seen with asyncinotify 4.4.4 on Linux, Python 3.11: the default of Inotify(flags=) is CLOEXEC | NONBLOCK, but both have the
# value of os.O_CLOEXEC; InitFlags lists one member, and the descriptor that is opened lacks O_NONBLOCK. A read of it that
# finds no event waits. Inotify itself reads only when there is one; a program that reads fd by itself has to set the flag.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q asyncinotify==4.4.4
venv/bin/python - <<'EOF'
import fcntl
import os

from asyncinotify import InitFlags, Inotify

assert InitFlags.NONBLOCK == InitFlags.CLOEXEC == os.O_CLOEXEC != os.O_NONBLOCK, "the flags have values of their own now"
assert list(InitFlags) == [InitFlags.CLOEXEC], f"InitFlags lists {list(InitFlags)} now"
with Inotify() as inotify:
    assert not fcntl.fcntl(inotify.fd, fcntl.F_GETFL) & os.O_NONBLOCK, "the descriptor does not block any more"
print("asyncinotify 4.4.4: NONBLOCK is CLOEXEC, and the descriptor blocks")
EOF
