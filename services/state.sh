# shellcheck shell=bash
# shellcheck disable=SC2034 # the other parts use what this one sets
# Where the services keep everything. Sourced first.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# All state is below this one directory: logs, data, certificates, pid files, and the env file with which tests find them.
state=${WEBCHECK_SERVICES_DIR:-$here/../build/services}
mkdir -p "$state"
state=$(cd "$state" && pwd -P)
# What Maven fetched; survives services/down.
jars=$state/jars
certs=$state/certificates
# One of services/up and services/down at a time.
exec 9>"$state/lock"
flock -w 600 9
