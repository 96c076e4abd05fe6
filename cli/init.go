package cli

import (
	"bytes"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"
)

func (p *program) initCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "init",
		Usage: "print a commented webcheck.yaml",
		Description: "Prints a configuration file in which every setting stands with its default, commented out.\n\n" +
			"Example:\n  webcheck init > webcheck.yaml",
		Before: noArguments,
		Action: func(*urfave.Context) error {
			_, err := p.Stdout.Write(exampleFile())
			return err
		},
	}
}

const exampleHead = `# webcheck.yaml: see "webcheck up --help". Every setting is also a flag and a variable:
# kafka.tls.ca is --kafka-tls-ca and WEBCHECK_KAFKA_TLS_CA; a flag wins over a variable, a variable over this file.
# Secrets are not written here but pointed to: env:NAME, file:/path or keyring:service/user.
# A setting that is commented out shows its default, or an example where it has none.
`

const exampleTargets = `
# What is watched. Only id and url are needed.
targets:
  - id: example
    url: https://example.com/
    # interval: 1m            # how often
    # timeout: 10s            # how long one check may take
    # expect_status: [200-299] # codes and ranges that are fine
    # body_matches: "Example"  # a regular expression (RE2) that the first MiB of the body must match
    # max_redirects: 10
    # method: GET
    # headers: {Accept-Language: de}
    # secret_headers: {X-Key: "env:WEBCHECK_SECRET_KEY"} # the values are read by the prober, if prober.secrets allows it
    # body: '{"query": 1}'
    # basic_auth: {user: webcheck, password: "env:WEBCHECK_SECRET_PASSWORD"}
    # bearer_token: "env:WEBCHECK_SECRET_TOKEN"
    # body_not_matches: "Error"
    # header_matches: {Content-Type: "^text/html"}
    # max_latency: 2s          # slower is degraded
    # certificate_days: 14     # fewer days left is degraded
    # ip_family: any           # or ipv4, ipv6
    # http_version: any        # or 1.1, 2
    # proxy: http://proxy.example.com:3128
    # retries: 0               # more attempts within the timeout
    # retry_gap: 1s
    # tls_verify: true
    # paused: false
    # labels: {team: web}
    # rules:                   # how the state follows from the checks
    #   down: 2 of 3           # at a location, when 2 of its last 3 checks are down
    #   up: 2 of 2             # back again, when 2 of its last 2 are not
    #   quorum: majority       # of the locations that report, or how many must agree
    #   flapping: 5 in 1h      # so many changes of state within that time
    #   silent_after: 3        # intervals without a check until a location no longer counts
`

// exampleFile is a configuration file with every setting commented out, and one target.
func exampleFile() []byte {
	var b bytes.Buffer
	b.WriteString(exampleHead)
	var open []string // the sections that the line before was in
	for _, s := range Settings() {
		parts := strings.Split(s.Path, ".")
		sections, key := parts[:len(parts)-1], parts[len(parts)-1]
		if len(sections) == 0 || len(open) == 0 || sections[0] != open[0] {
			b.WriteByte('\n')
		}
		for depth, section := range sections {
			if depth >= len(open) || open[depth] != section {
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", depth), section)
				open = append(open[:depth:depth], section)
			}
		}
		open = sections
		value := s.Default
		if value == "" {
			value = s.Example
		}
		line := fmt.Sprintf("%s# %s: %s", strings.Repeat("  ", len(sections)), key, value)
		fmt.Fprintf(&b, "%-44s # %s\n", line, s.exampleHelp())
	}
	b.WriteString(exampleTargets)
	return b.Bytes()
}

func (s Setting) exampleHelp() string {
	text := s.Help
	if len(s.Choices) > 0 {
		text += ": " + orList(s.Choices)
	}
	if s.Default == "" && s.DefaultHelp != "" {
		text += "; without it: " + s.DefaultHelp
	}
	return text
}
