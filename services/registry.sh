# shellcheck shell=bash
# The Apicurio registry, in memory, with the REST calls of Confluent's. Sourced by services/up.

: "${state:?}" "${jars:?}"

registry_url() { printf 'http://127.0.0.1:%s/apis/ccompat/v7' "$(cat "$state/registry.ports")"; }

registry_ready() { curl --silent --fail --max-time 5 "$(registry_url)/subjects"; }

start_registry() {
  local port jar
  port=$(ports registry 1)
  jar=$(echo "$jars"/registry/apicurio-registry-app-*-runner.jar)
  start registry "-Dwebcheck.state=$state" \
    java -Xmx512m "-Dwebcheck.state=$state" -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$port" -jar "$jar"
}

# await_registry also sets the level that webcheck relies on: Apicurio's own default is to check nothing.
await_registry() {
  await registry 120 registry_ready
  curl --silent --show-error --fail --max-time 10 --output /dev/null --request PUT \
    --header 'Content-Type: application/vnd.schemaregistry.v1+json' --data '{"compatibility":"FULL_TRANSITIVE"}' \
    "$(registry_url)/config" || die "the registry refused FULL_TRANSITIVE as its default compatibility"
}
