#!/usr/bin/env bash
# Proves gatepost.service under a real systemd: a throw-away copy of this machine is booted in a container
# (systemd-nspawn, an overlay in memory), Gatepost is installed in it as README.md says, and is started, asked, reloaded,
# renewed, killed, hung and stopped. Nothing of this machine changes. Takes about two minutes.
#   packaging/prove-unit.sh          as root, on Debian 12 or newer with systemd-container (apt-get install systemd-container)
#   packaging/prove-unit.sh --keep   leaves the container running, and tells how to look into it
set -euo pipefail
cd "$(dirname "$0")/.."
keep=no
[ "${1:-}" = --keep ] && keep=yes
[ "$(id -u)" = 0 ] || { echo "prove-unit: containers take root" >&2; exit 77; }
for one in systemd-nspawn nsenter openssl python3; do
  command -v "$one" >/dev/null || { echo "prove-unit: $one is missing: apt-get install systemd-container util-linux openssl python3" >&2; exit 77; }
done
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "prove-unit: apt-get install python3-venv" >&2; exit 77; }

place="$(mktemp -d /tmp/gatepost-unit.XXXXXX)"
machine="gatepost-unit-$$" boot=
finish() {
  if [ "$keep" = yes ] && [ -n "$boot" ]; then echo "Kept: nsenter -t $(init) -a bash; to end it: kill $boot; umount $place/root $place; rmdir $place"; return; fi
  if [ -n "$boot" ]; then kill "$boot" 2>/dev/null || true; wait "$boot" 2>/dev/null || true; fi
  umount -l "$place/root" 2>/dev/null || true
  umount -l "$place" 2>/dev/null || true
  rmdir "$place" 2>/dev/null || true
}
trap finish EXIT
mount -t tmpfs -o size=3g gatepost-unit "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay gatepost-unit -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
root="$place/root"

echo "Installing as README.md says …"
mkdir -p "$root/opt/gatepost"
git ls-files -z src packaging requirements pyproject.toml README.md LICENSE | xargs -0 cp --parents -t "$root/opt/gatepost"
cp packaging/prove-unit.py "$root/root/prove.py"
chroot "$root" /bin/bash -euc '
  mount -t proc proc /proc; trap "umount /proc" EXIT
  cd /opt/gatepost
  /usr/bin/python3 -m venv .venv
  .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
  .venv/bin/pip install -q --disable-pip-version-check --no-deps .
  rm -f /usr/sbin/policy-rc.d
  install -m 644 packaging/gatepost.sysusers /usr/lib/sysusers.d/gatepost.conf && systemd-sysusers
  .venv/bin/gatepost setup mx.example.net --deliver smtp:127.0.0.1:2525 --owner you@example.net --folder /etc/gatepost >/root/setup.txt
  install -d -m 700 /etc/gatepost/tls
  openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=mx.example.net -addext subjectAltName=DNS:mx.example.net \
    -keyout /etc/gatepost/tls/key.pem -out /etc/gatepost/tls/fullchain.pem 2>/dev/null
  sed -i "/^# \[tls\]/,/^# key/s/^# //" /etc/gatepost/gatepost.toml
  CREDENTIALS_DIRECTORY=/etc/gatepost/tls .venv/bin/gatepost check-config /etc/gatepost/gatepost.toml
  install -m 644 packaging/gatepost.service /etc/systemd/system/
'
init() { pgrep -P "$boot" -f systemd | head -1; }
inside() { nsenter -t "$(init)" -m -u -i -n -p -r -w "$@"; }

echo "Booting systemd …"
rm -f "$root/etc/machine-id" && touch "$root/etc/machine-id"
systemd-nspawn --quiet -D "$root" "--machine=$machine" --private-network --console=pipe --register=no --keep-unit \
  --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
  --boot systemd.unit=basic.target systemd.firstboot=off </dev/null >"$place/boot.log" 2>&1 &
boot=$!
for _ in $(seq 100); do
  case "$(inside systemctl is-system-running 2>/dev/null || true)" in running|degraded) break ;; esac
  kill -0 "$boot" 2>/dev/null || { echo "prove-unit: the container did not boot:" >&2; tail -n 20 "$place/boot.log" >&2; exit 1; }
  sleep 0.2
done
inside systemctl --version | head -n 1
inside env LC_ALL=C.UTF-8 python3 /root/prove.py
