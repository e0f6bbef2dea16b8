# Sourced by ./check, ./demo and ./bench: a virtual environment with pinned, hashed packages, and Debian's peers.
# Nothing here asks a question.

# version_of NAME: such as "3 11"; nothing when that is no Python.
version_of() {
  "$1" -c 'import sys; print("%d %d" % sys.version_info[:2])' 2>/dev/null || true
}

# find_python: GATEPOST_PYTHON and no other where it is set, else the newest that pyproject.toml allows.
find_python() {
  local lowest beyond minor name names=() versions="" version
  read -r lowest beyond < <(sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)"$/\1 \2/p' pyproject.toml)
  for ((minor = beyond - 1; minor >= lowest; minor--)); do
    names+=("python3.$minor")
    versions="3.$minor${versions:+, $versions}"
  done
  for name in ${GATEPOST_PYTHON:-"${names[@]}" python3}; do
    version="$(version_of "$name")"
    if [[ "$version" =~ ^3\ ([0-9]+)$ ]] && ((BASH_REMATCH[1] >= lowest && BASH_REMATCH[1] < beyond)); then
      echo "$name"
      return 0
    fi
  done
  if [ -n "${GATEPOST_PYTHON:-}" ]; then
    [ -n "$version" ] && version="Python ${version/ /.}" || version="which is no Python"
    echo "GATEPOST_PYTHON is $GATEPOST_PYTHON, $version: Gatepost needs one of $versions." >&2
  else
    [ -n "$version" ] && version="only Python ${version/ /.}" || version="none"
    echo "Gatepost needs Python, one of $versions, and found $version (try: apt-get install python3)." >&2
  fi
  return 1
}

# make_venv [dev]: .venv with requirements/runtime.txt, and requirements/dev.txt for the tests.
make_venv() {
  local want="${1:-runtime}" python stamp
  python="$(find_python)"
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      echo "Debian's python3-venv is missing: installing it." >&2
      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >&2
    else
      echo "Debian's python3-venv is missing. Install it (as root): apt-get install python3-venv" >&2
      return 1
    fi
  fi
  stamp="$("$python" -c 'import sys; print(sys.version)' | cat - requirements/runtime.txt | sha256sum | cut -c1-16)"
  if [ ! -f ".venv/runtime-$stamp" ]; then
    echo "Setting up .venv (once) …" >&2
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/runtime.txt
    # Our own package, in place and without asking a registry for a build backend.
    .venv/bin/python - <<'PY'
import pathlib, sysconfig
site = pathlib.Path(sysconfig.get_paths()["purelib"])
(site / "gatepost-in-place.pth").write_text(str(pathlib.Path("src").resolve()) + "\n")
command = pathlib.Path(".venv/bin/gatepost")
command.write_text(f"#!{pathlib.Path('.venv/bin/python').absolute()}\nfrom gatepost.__main__ import main\nmain()\n")
command.chmod(0o755)
PY
    touch ".venv/runtime-$stamp"
  fi
  if [ "$want" = dev ]; then
    stamp="$(sha256sum <requirements/dev.txt | cut -c1-16)"
    if [ ! -f ".venv/dev-$stamp" ]; then
      echo "Adding the test tools to .venv (once) …" >&2
      .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
      touch ".venv/dev-$stamp"
    fi
  fi
}

# The real programs the tests start ("this|that": either does), and the Debian package of each.
PEERS="unbound:unbound knotd:knot postfix:postfix dovecot:dovecot-core /usr/lib/dovecot/lmtp:dovecot-lmtpd cc:gcc,libc6-dev swaks:swaks /usr/share/doc/libnet-ssleay-perl/copyright:libnet-ssleay-perl curl:curl openssl:openssl clamd:clamav-daemon 7zz|7z:7zip /usr/share/doc/libarchive13/copyright|/usr/share/doc/libarchive13t64/copyright:libarchive13 chromium:chromium /usr/share/fonts/opentype/noto:fonts-noto-cjk slapd:slapd ldapadd:ldap-utils opendkim:opendkim opendkim-testmsg:opendkim-tools dkimverify:python3-dkim msmtp:msmtp samba:samba-ad-dc rspamd:rspamd /usr/share/samba/setup/provision.ldif:samba-ad-provision"
# Mail servers whose packages would drive Postfix out: unpacked into .peers beside it, never installed.
UNPACKED="exim4-daemon-light:usr/sbin/exim4 opensmtpd:usr/sbin/smtpd"
PATH="$PATH:/usr/sbin:/sbin"

missing_unpacked() {
  local pair
  for pair in $UNPACKED; do
    [ -x ".peers/${pair%%:*}/${pair#*:}" ] || echo "${pair%%:*}"
  done
}

# is_here NAME|PATH…: any of them.
is_here() {
  local one
  for one in ${1//|/ }; do
    if command -v "$one" >/dev/null 2>&1 || [ -r "$one" ]; then return 0; fi
  done
  return 1
}

missing_packages() {
  local pair
  for pair in $PEERS; do
    is_here "${pair%%:*}" || echo "${pair#*:}" | tr ',' '\n'
  done
}

missing_peers() {
  local wanted
  wanted="$(missing_packages | tr '\n' ' ')"
  if [ -n "${wanted// /}" ]; then
    printf '\nSkipped: tests against real programs that are not here. To run them: ./check --all as root, or\n  apt-get install %s\n' "$wanted"
  fi
  wanted="$(missing_unpacked | tr '\n' ' ')"
  if [ -n "${wanted// /}" ]; then
    printf '\nSkipped: tests against servers that Debian does not install beside Postfix: %s\n  ./check --all, as root, unpacks them into .peers.\n' "$wanted"
  fi
}

# unpack_peers: each into a folder of its own; what libraries they need is installed, nothing else of them is.
unpack_peers() {
  local package libraries
  for package in $(missing_unpacked); do
    libraries="$(apt-cache depends "$package" | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | tr '\n' ' ')"
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $libraries >/dev/null
    rm -rf .peers/fresh && mkdir -p .peers/fresh
    (cd .peers/fresh && apt-get download -qq -o APT::Sandbox::User=root "$package")
    dpkg -x .peers/fresh/*.deb ".peers/$package"
    rm -rf .peers/fresh
  done
}

install_peers() {
  local wanted unpacked
  wanted="$(missing_packages | tr '\n' ' ')" unpacked="$(missing_unpacked | tr '\n' ' ')"
  [ -n "${wanted// /}${unpacked// /}" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    wanted="${wanted:+to install $wanted}${wanted:+${unpacked:+and }}${unpacked:+to unpack $unpacked}"
    echo "./check --all wants ${wanted% }: run it as root, or ./check alone, which skips what needs them." >&2
    return 1
  fi
  echo "Installing from Debian: $wanted; unpacking: $unpacked" >&2
  # No package may start a service of its own here: the tests start what they need, on loopback ports.
  local policy=/usr/sbin/policy-rc.d made=no
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes; fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  # shellcheck disable=SC2086
  [ -z "${wanted// /}" ] || apt-get install -y -qq --no-install-recommends $wanted >/dev/null
  unpack_peers
  if [ "$made" = yes ]; then rm -f "$policy"; fi
}
