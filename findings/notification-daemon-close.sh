#!/usr/bin/env bash
# notification-daemon answers CloseNotification, forgets the notification, and leaves its popup on the screen.
#
# Seen with notification-daemon 3.20.0-4 (Debian 12, Xvfb): a notification with expire_timeout 0 is drawn; CloseNotification
# returns without an error, and a second one for the same number is answered by org.freedesktop.Notifications.InvalidId, so it is
# closed to the daemon. Its window stays until the user closes it. The specification: "Causes a notification to be forcefully
# closed and removed from the user's view." Replaced before it is closed, by one with the hint transient and expire_timeout 1, it goes.
set -euo pipefail
if [ "$(dpkg-query -W -f '${Version}' notification-daemon 2>/dev/null)" != 3.20.0-4+b1 ]; then
    apt-get update -q && apt-get install -yq --no-install-recommends notification-daemon=3.20.0-4+b1
fi
for package in xvfb dbus-daemon libglib2.0-bin xdotool; do
    dpkg -s "$package" >/dev/null 2>&1 || apt-get install -yq --no-install-recommends "$package"
done
folder=$(mktemp -d)
cleanup() { for each in $(jobs -p); do kill "$each" 2>/dev/null || true; done; wait; rm -rf "$folder"; }
trap cleanup EXIT
export HOME="$folder" XDG_RUNTIME_DIR="$folder" GSETTINGS_BACKEND=memory NO_AT_BRIDGE=1

Xvfb -displayfd 3 -screen 0 1000x700x24 3>"$folder/display" 2>/dev/null &
until [ -s "$folder/display" ]; do sleep 0.1; done
DISPLAY=:$(cat "$folder/display"); export DISPLAY
dbus-daemon --session --nofork --address="unix:path=$folder/bus" 2>/dev/null &
export DBUS_SESSION_BUS_ADDRESS="unix:path=$folder/bus"
until [ -S "$folder/bus" ]; do sleep 0.1; done
start() { /usr/lib/notification-daemon/notification-daemon 2>/dev/null & daemon=$!
    gdbus wait --session --timeout 20 org.freedesktop.Notifications; }
start

call() { gdbus call --session -d org.freedesktop.Notifications -o /org/freedesktop/Notifications \
    -m "org.freedesktop.Notifications.$1" "${@:2}"; }
notify() { call Notify demo "$1" '' 'A title' 'A body' '[]' "$2" "$3" | grep -o '[0-9]*,' | tail -1 | tr -d ,; }
windows() { sleep 2; { xdotool search --onlyvisible --class notification-daemon 2>/dev/null || true; } | wc -l; }

number=$(notify 0 '{}' 0)
drawn=$(windows)
call CloseNotification "$number" >/dev/null
closed=$(windows)
again=$(call CloseNotification "$number" 2>&1 || true)
kill "$daemon"; wait "$daemon" || true; start
number=$(notify 0 '{}' 0)
notify "$number" "{'transient': <true>}" 1 >/dev/null
replaced=$(windows)
echo "windows: $drawn when shown, $closed when closed, $replaced when replaced; closed again: ${again##*GDBus.Error:}"
[ "$drawn" -ge 1 ] || { echo "CHANGED: nothing is drawn"; exit 1; }
[ "$closed" -ge 1 ] || { echo "CHANGED: CloseNotification takes the popup down"; exit 1; }
grep -q InvalidId <<<"$again" || { echo "CHANGED: the daemon still knows the number"; exit 1; }
[ "$replaced" -lt "$closed" ] || { echo "CHANGED: replacing it does not take it down"; exit 1; }
echo "as described: closed to the daemon, and still on the screen"
