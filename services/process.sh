# shellcheck shell=bash
# Processes that outlive the script: started, watched and stopped by pid file. Sourced by services/up and services/down.
#
# Each process has a name and a mark: a text of its command line that no other process has (a path below $state), so that a
# pid which the system has since given to somebody else is never taken for ours, and never killed.

: "${state:?}"

say() { printf 'services: %s\n' "$*"; }

die() { printf 'services: %s\n' "$*" >&2; exit 1; }

# free_ports N prints N ports of 127.0.0.1 that nobody listens on, all different.
free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PYTHON
}

# port_free PORT succeeds when nobody listens there.
port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ports NAME N prints the ports that NAME had, if it had them and they are free, else N new ones. A service that is
# started again keeps its address that way, as its clients expect.
ports() {
  local file=$state/$1.ports port
  if [ -s "$file" ]; then
    # shellcheck disable=SC2013 # words of one line are wanted
    for port in $(cat "$file"); do
      port_free "$port" || { rm -f "$file"; break; }
    done
  fi
  [ -s "$file" ] || free_ports "$2" >"$file"
  cat "$file"
}

# running NAME succeeds when the process that was started as NAME lives.
running() {
  [ -s "$state/$1.pid" ] || return 1
  local pid mark
  read -r pid mark <"$state/$1.pid"
  ps -ww -o stat=,args= -p "$pid" 2>/dev/null | grep -v '^Z' | grep -qF -- "$mark"
}

# start NAME MARK COMMAND… runs COMMAND in a session of its own, so that a Ctrl-C here does not reach it, with its output
# in $state/NAME.log; the log of the run before is kept as NAME.log.1. Fd 9 is the lock of services/up.
start() {
  local name=$1 mark=$2
  shift 2
  [ ! -e "$state/$name.log" ] || mv "$state/$name.log" "$state/$name.log.1"
  setsid "$@" >"$state/$name.log" 2>&1 </dev/null 9>&- &
  printf '%s %s\n' "$!" "$mark" >"$state/$name.pid"
}

# await NAME SECONDS COMMAND… repeats COMMAND until it succeeds. It ends the script with the log's last lines when NAME
# dies before or the time is over.
await() {
  local name=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ! running "$name"; then
      report "$name"
      die "$name ended while it was starting"
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      report "$name"
      die "$name was not ready in time"
    fi
    sleep 0.2
  done
}

report() {
  printf 'services: last lines of %s:\n' "$state/$1.log" >&2
  tail -n 30 "$state/$1.log" >&2 || true
}

# stop NAME SIGNAL ends NAME's process, politely first. Safe to call when there is none.
stop() {
  local name=$1 signal=$2 pid _
  if running "$name"; then
    read -r pid _ <"$state/$name.pid"
    kill -s "$signal" "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
      running "$name" || break
      sleep 0.1
    done
    if running "$name"; then
      say "$name did not stop in 10 s, killing it"
      kill -s KILL "$pid" 2>/dev/null || true
    fi
  fi
  rm -f "$state/$name.pid"
}
