# The tools that generate and check are pinned in tools.mod, apart from the module's own dependencies.
TOOL = go tool -modfile=tools.mod
SCRIPTS = .ci/run services/up services/down $(wildcard services/*.sh)
# How much each fuzz target runs: executions, because the end of a duration races with a worker and fails (go.dev/issue/75804).
FUZZTIME ?= 200000x

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: generate
generate: ## gen/ from schemas/events and queries
	$(TOOL) avrogen -pkg event -strict-types -enums -template-filename schemas/events/go.tmpl -o gen/event/events.go schemas/events/*.avsc
	$(TOOL) sqlc generate

# What a copy of the sources generates must be what is there, nothing more and nothing less; the tree itself stays untouched.
.PHONY: verify-generated
verify-generated: ## fail when gen/ is not what generate makes
	@set -eu; copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	cp -R Makefile go.mod go.sum tools.mod tools.sum sqlc.yaml schemas queries "$$copy"; \
	mkdir -p "$$copy/gen/event" "$$copy/gen/db"; \
	$(MAKE) --no-print-directory -s -C "$$copy" generate; \
	diff -ru gen "$$copy/gen" || { echo 'gen/ is not current; hint: run "make generate"' >&2; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: vet ## formatting, vet, staticcheck (staticcheck.conf), go.mod, shellcheck
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './build/*')); [ -z "$$unformatted" ] || { echo "not formatted by gofmt: $$unformatted" >&2; exit 1; }
	$(TOOL) staticcheck ./...
	go mod tidy -diff
	shellcheck -x $(SCRIPTS)

.PHONY: vuln
vuln: ## govulncheck; findings must be answered in SECURITY.md
	@.ci/vuln

.PHONY: test
test: ## all tests, with the embedded services
	go test ./...

.PHONY: test-race
test-race: ## all tests, with the race detector
	go test -race ./...

.PHONY: services-up
services-up: ## start a real Kafka, registry and PostgreSQL for test-services
	@services/up

.PHONY: services-down
services-down: ## stop them and remove their data
	@services/down

.PHONY: reader
reader: ## the Java programs that the tests of services run
	mvn -q -B -Dstyle.color=never -f services/reader/pom.xml process-classes -Dout=$(CURDIR)/build/reader

.PHONY: test-services
test-services: ## the suites that use services, on the real ones; a skip is a failure
	@services/test

.PHONY: fuzz
fuzz: ## each fuzz target, FUZZTIME of it
	@set -eu; grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | while IFS=: read -r file _ target; do \
		echo "fuzzing $${target#func } of $$(dirname $$file) for $(FUZZTIME)"; \
		go test -run='^$$' -fuzz="^$${target#func }\$$" -fuzztime=$(FUZZTIME) "$$(dirname $$file)" </dev/null; \
	done
