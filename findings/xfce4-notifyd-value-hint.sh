#!/usr/bin/env bash
# A notification that has the hint "value" is drawn by xfce4-notifyd as a progress bar alone: title, body and buttons are missing.
#
# Seen with xfce4-notifyd 0.7.3 (Debian 12, Xvfb): Notify with a title, a body, two actions and the hint value=40 answers with a
# number, and its popup is a bar of 180x32. Without the hint the popup has all of the text and the buttons. Other daemons (dunst
# 1.9.0, mate-notification-daemon 1.26.0) draw title and body with that hint, too; the server's capabilities say nothing of it.
set -euo pipefail
if [ "$(dpkg-query -W -f '${Version}' xfce4-notifyd 2>/dev/null)" != 0.7.3-1 ]; then
    apt-get update -q && apt-get install -yq --no-install-recommends xfce4-notifyd=0.7.3-1
fi
for package in xvfb dbus-daemon libglib2.0-bin imagemagick xdotool xfconf; do
    dpkg -s "$package" >/dev/null 2>&1 || apt-get install -yq --no-install-recommends "$package"
done
folder=$(mktemp -d)
cleanup() { for each in $(jobs -p); do kill "$each" 2>/dev/null || true; done; wait; rm -rf "$folder"; }
trap cleanup EXIT
export HOME="$folder" XDG_CONFIG_HOME="$folder/config" XDG_CACHE_HOME="$folder/cache" XDG_DATA_HOME="$folder/data"
export XDG_RUNTIME_DIR="$folder" GSETTINGS_BACKEND=memory NO_AT_BRIDGE=1
places=/usr/lib/x86_64-linux-gnu/xfce4
channel="$XDG_CONFIG_HOME/xfce4/xfconf/xfce-perchannel-xml"
mkdir -p "$channel"
cat >"$channel/xfce4-notifyd.xml" <<'EOF'
<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-notifyd" version="1.0">
  <property name="do-fadeout" type="bool" value="false"/>
  <property name="do-slideout" type="bool" value="false"/>
</channel>
EOF

Xvfb -displayfd 3 -screen 0 1000x700x24 3>"$folder/display" 2>/dev/null &
until [ -s "$folder/display" ]; do sleep 0.1; done
DISPLAY=:$(cat "$folder/display"); export DISPLAY
dbus-daemon --session --nofork --address="unix:path=$folder/bus" 2>/dev/null &
export DBUS_SESSION_BUS_ADDRESS="unix:path=$folder/bus"
until [ -S "$folder/bus" ]; do sleep 0.1; done
"$places/xfconf/xfconfd" 2>/dev/null &
"$places/notifyd/xfce4-notifyd" 2>/dev/null &
gdbus wait --session --timeout 20 org.freedesktop.Notifications

shown() {  # the size of the popup of a notification with the hints $1, which is closed then
    local number
    number=$(gdbus call --session -d org.freedesktop.Notifications -o /org/freedesktop/Notifications \
        -m org.freedesktop.Notifications.Notify demo 0 '' 'A title' 'A body' \
        '["default", "Open", "yes", "Yes", "no", "No"]' "$1" 0 | grep -o '[0-9]*,' | tail -1 | tr -d ,)
    sleep 1.5
    xdotool search --onlyvisible --class xfce4-notifyd getwindowgeometry | awk '/Geometry/ {print $2; exit}'
    gdbus call --session -d org.freedesktop.Notifications -o /org/freedesktop/Notifications \
        -m org.freedesktop.Notifications.CloseNotification "$number" >/dev/null
    sleep 0.5
}

plain=$(shown '{}')
gauge=$(shown "{'value': <40>}")
echo "without the hint: ${plain:-nothing}, with value=40: ${gauge:-nothing}"
[ -n "$plain" ] && [ -n "$gauge" ] || { echo "CHANGED: a popup is missing"; exit 1; }
[ "${plain#*x}" -gt 60 ] || { echo "CHANGED: the popup without the hint is lower than its text"; exit 1; }
[ "${gauge#*x}" -lt 50 ] || { echo "CHANGED: there is room for text beside the bar"; exit 1; }
echo "as described: with the hint there is a bar, and no text"
