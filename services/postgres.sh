# shellcheck shell=bash
# Debian's PostgreSQL on a directory and port of its own, with a password and TLS. Sourced by services/up.

: "${state:?}" "${certs:?}"

# postgres_bin prints the directory of the newest PostgreSQL's programs.
postgres_bin() { find /usr/lib/postgresql/*/bin -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1; }

install_postgres() {
  [ -z "$(postgres_bin)" ] || return 0
  [ "$(id -u)" = 0 ] || die "PostgreSQL is not installed; run as root: apt-get install postgresql"
  say "installing PostgreSQL"
  {
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q postgresql
  } >"$state/postgres-install.log" 2>&1 || { report postgres-install; die "PostgreSQL could not be installed"; }
}

# PostgreSQL refuses root, so root runs it as the user postgres. setpriv executes and does not fork: the pid that start
# records is the server's.
as_postgres=() owned_by_postgres=()
if [ "$(id -u)" = 0 ]; then
  as_postgres=(setpriv --reuid postgres --regid postgres --init-groups --)
  owned_by_postgres=(-o postgres -g postgres)
fi

# postgres_directory prints where the cluster is, and decides it the first time: below $state, or below /tmp when the
# user postgres has no way into $state.
postgres_directory() {
  local file=$state/postgres.directory
  if [ ! -s "$file" ]; then
    mkdir -p "$state/postgres"
    if "${as_postgres[@]}" test -x "$state/postgres"; then
      echo "$state/postgres" >"$file"
    else
      rmdir "$state/postgres"
      mktemp -d "${TMPDIR:-/tmp}/webcheck-postgres.XXXXXX" >"$file"
    fi
    install -d -m 700 "${owned_by_postgres[@]}" "$(cat "$file")"
  fi
  cat "$file"
}

# make_cluster DIRECTORY fills an empty one. A half-made one of a run that was cut off is made anew.
make_cluster() {
  [ ! -e "$1/made" ] || return 0
  rm -rf "$1/data"
  local secret=$1/password
  install -m 600 "${owned_by_postgres[@]}" "$state/password" "$secret"
  (cd "$1" && "${as_postgres[@]}" "$(postgres_bin)/initdb" --pgdata "$1/data" --username webcheck --auth scram-sha-256 \
    --pwfile "$secret" --encoding UTF8 --locale C.UTF-8) >"$state/postgres.log" 2>&1 ||
    { report postgres; die "PostgreSQL's cluster could not be made"; }
  rm "$secret"
  touch "$1/made"
}

# cluster_held DIRECTORY succeeds while a server that was killed is not yet gone: its children leave a moment after it and
# hold its memory until then, and a new server would refuse to start beside them. All of them stand in the data directory.
cluster_held() {
  local pid
  if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null; then
    return 0
  fi
  [ -n "$(find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1/data" 2>/dev/null)" ]
}

postgres_ready() { PGPASSWORD=$(cat "$state/password") psql --no-psqlrc --dbname "$(postgres_url)" --command 'select 1'; }

# postgres_url prints the URL without its password.
postgres_url() {
  printf 'postgres://webcheck@127.0.0.1:%s/postgres?sslmode=verify-full&sslrootcert=%s' \
    "$(cat "$state/postgres.ports")" "$certs/ca.pem"
}

start_postgres() {
  local directory port _
  install_postgres
  directory=$(postgres_directory)
  make_cluster "$directory"
  # The server reads them itself, and insists that its key is its own.
  install -m 600 "${owned_by_postgres[@]}" "$certs/broker.pem" "$certs/broker.key" "$directory"
  for _ in $(seq 50); do
    cluster_held "$directory" || break
    sleep 0.2
  done
  port=$(ports postgres 1)
  cd "$directory" || return # a directory that the server may stand in
  start postgres "-D $directory/data" "${as_postgres[@]}" "$(postgres_bin)/postgres" -D "$directory/data" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 \
    -c ssl=on -c "ssl_cert_file=$directory/broker.pem" -c "ssl_key_file=$directory/broker.key"
  cd "$OLDPWD" || return
}

await_postgres() { await postgres 60 postgres_ready; }
