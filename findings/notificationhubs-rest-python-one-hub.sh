#!/usr/bin/env bash
# notificationhubs-rest-python keeps a hub's settings on its class: of two hubs in one program, both send to the one made last.
#
# Seen with notificationhubs-rest-python 1.0.3 on Python 3.11: AzureNotificationHub takes its endpoint, key and hub name apart into
# attributes of the class, so that the first instance has those of the second once that is made.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q notificationhubs-rest-python==1.0.3
venv/bin/python - <<'EOF'
from notificationhubs_rest_python.NotificationHub import AzureNotificationHub


def connection_string(host):
    return f"Endpoint=sb://{host}/;SharedAccessKeyName=name;SharedAccessKey=key"


def settings(hub):
    names = {name for kind in type(hub).__mro__ for name in vars(kind) if isinstance(vars(kind)[name], str)}
    return {getattr(hub, name) for name in names | set(vars(hub)) if not name.startswith("__")}


one = AzureNotificationHub(connection_string("one.example"), "first")
assert any("one.example" in str(value) for value in settings(one)), "the settings have another place now"
AzureNotificationHub(connection_string("two.example"), "second")
assert not any("one.example" in str(value) for value in settings(one)), "the first hub keeps its settings now"
print("notificationhubs-rest-python 1.0.3: the first of two hubs has the endpoint of the second")
EOF
