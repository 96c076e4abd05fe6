package cli

import (
	"strconv"
	"strings"

	"webcheck/prober"
	"webcheck/processor"
	"webcheck/schemas"
)

// Setting is one thing that can be configured: as a key of the file, as a flag and as an environment variable.
type Setting struct {
	// Path is the key in the file, its sections joined by dots: "kafka.tls.ca".
	Path string
	// Help is one sentence without its full stop.
	Help string
	// Default is the text that stands for the value when nothing else is given; empty when there is none.
	Default string
	// DefaultHelp says what happens without a value where Default is empty.
	DefaultHelp string
	// Example is a value for the example file, where Default is empty.
	Example string
	// Choices are the only values allowed, if any.
	Choices []string
	// field returns a pointer to where the value goes; its type says how the text is read.
	field func(*Config) any
	// literal reports whether this text may stand in a file although the setting is a Secret; nil means never.
	literal func(text string) bool
	// literalHint is the hint where it may not.
	literalHint string
}

// Flag is the setting's flag without dashes: "kafka-tls-ca".
func (s Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Path) }

// Env is the setting's environment variable: "WEBCHECK_KAFKA_TLS_CA".
func (s Setting) Env() string {
	return "WEBCHECK_" + strings.ToUpper(strings.ReplaceAll(s.Path, ".", "_"))
}

// Section is the part of Path before its first dot; empty for a setting of no section.
func (s Setting) Section() string {
	section, _, found := strings.Cut(s.Path, ".")
	if !found {
		return ""
	}
	return section
}

// IsSecret reports whether the setting's value is never printed.
func (s Setting) IsSecret() bool {
	_, is := s.field(new(Config)).(*Secret)
	return is
}

// IsSwitch reports whether the setting is true or false.
func (s Setting) IsSwitch() bool {
	_, is := s.field(new(Config)).(*bool)
	return is
}

// Settings returns every setting there is, apart from the list of targets, in the order of the example file.
func Settings() []Setting {
	var all []Setting
	for _, part := range [][]Setting{kafkaSettings(), registrySettings(), postgresSettings(), proberSettings(), processorSettings(), otherSettings()} {
		all = append(all, part...)
	}
	return all
}

// kafkaSettings: twelve partitions let up to twelve processors share the work, and are not added later without moving keys.
func kafkaSettings() []Setting {
	return []Setting{
		{Path: "kafka.brokers", Help: "Kafka's brokers as host:port", DefaultHelp: `the broker of "webcheck up"`, Example: "[kafka-1:9092, kafka-2:9092]",
			field: func(c *Config) any { return &c.Kafka.Brokers }},
		{Path: "kafka.tls.enabled", Help: "speak TLS to the brokers", Default: "false",
			field: func(c *Config) any { return &c.Kafka.TLS.Enabled }},
		{Path: "kafka.tls.ca", Help: "PEM file of the authority that signed the brokers' certificates", DefaultHelp: "the system's authorities", Example: "/etc/webcheck/ca.pem",
			field: func(c *Config) any { return &c.Kafka.TLS.CA }},
		{Path: "kafka.tls.certificate", Help: "PEM file of the client's certificate", DefaultHelp: "none", Example: "/etc/webcheck/client.pem",
			field: func(c *Config) any { return &c.Kafka.TLS.Certificate }},
		{Path: "kafka.tls.key", Help: "PEM file of the client's key", DefaultHelp: "none", Example: "/etc/webcheck/client.key",
			field: func(c *Config) any { return &c.Kafka.TLS.Key }},
		{Path: "kafka.sasl.mechanism", Help: "how to sign in", Choices: []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, DefaultHelp: "not at all", Example: "SCRAM-SHA-512",
			field: func(c *Config) any { return &c.Kafka.SASL.Mechanism }},
		{Path: "kafka.sasl.user", Help: "user to sign in as", Example: "webcheck",
			field: func(c *Config) any { return &c.Kafka.SASL.User }},
		{Path: "kafka.sasl.password", Help: "where the user's password is", Example: "env:KAFKA_PASSWORD",
			field: func(c *Config) any { return &c.Kafka.SASL.Password }},
		{Path: "kafka.topics.partitions", Help: "partitions of a topic that webcheck creates", Default: "12",
			field: func(c *Config) any { return &c.Kafka.Topics.Partitions }},
		{Path: "kafka.topics.replication", Help: "copies of each partition; -1 leaves it to the brokers", Default: "-1",
			field: func(c *Config) any { return &c.Kafka.Topics.Replication }},
		{Path: "kafka.topics.retention", Help: "how long Kafka keeps checks", Default: formatDuration(schemas.DefaultChecksRetention),
			field: func(c *Config) any { return &c.Kafka.Topics.Retention }},
	}
}

func registrySettings() []Setting {
	return []Setting{
		{Path: "registry.url", Help: "the schema registry's URL", DefaultHelp: `the registry of "webcheck up"`, Example: "https://registry:8081",
			field: func(c *Config) any { return &c.Registry.URL }},
		{Path: "registry.user", Help: "user of the registry", DefaultHelp: "nobody", Example: "webcheck",
			field: func(c *Config) any { return &c.Registry.User }},
		{Path: "registry.password", Help: "where that user's password is", Example: "file:/run/secrets/registry",
			field: func(c *Config) any { return &c.Registry.Password }},
		{Path: "registry.ca", Help: "PEM file of the authority that signed the registry's certificate", DefaultHelp: "the system's authorities", Example: "/etc/webcheck/ca.pem",
			field: func(c *Config) any { return &c.Registry.CA }},
		{Path: "registry.auto_register", Help: "register this build's schema if it is new; false only looks it up", DefaultHelp: `true with the registry of "webcheck up", else false`, Example: "true",
			field: func(c *Config) any { return &c.Registry.AutoRegister }},
	}
}

func postgresSettings() []Setting {
	return []Setting{
		{Path: "postgres.url", Help: "PostgreSQL's URL, or where it is; with a password only the latter", DefaultHelp: `the database of "webcheck up"`, Example: "env:DATABASE_URL",
			field:       func(c *Config) any { return &c.Postgres.URL },
			literal:     func(text string) bool { return !holdsPassword(text) },
			literalHint: "keep the whole URL elsewhere and write env:NAME, file:/path or keyring:service/user, or leave the password out and use ~/.pgpass"},
	}
}

func proberSettings() []Setting {
	return []Setting{
		{Path: "prober.location", Help: "where this prober stands; part of every event", Default: "local",
			field: func(c *Config) any { return &c.Prober.Location }},
		{Path: "prober.name", Help: "this prober's own name", DefaultHelp: "the host's name",
			field: func(c *Config) any { return &c.Prober.Name }, Example: "prober-1"},
		{Path: "prober.max_in_flight", Help: "checks that run at the same time at most", Default: strconv.Itoa(prober.DefaultMaxInFlight),
			field: func(c *Config) any { return &c.Prober.MaxInFlight }},
		{Path: "prober.max_per_host", Help: "those of them that may be of one host and port", Default: strconv.Itoa(prober.DefaultMaxPerHost),
			field: func(c *Config) any { return &c.Prober.MaxPerHost }},
		{Path: "prober.catch_up", Help: "how old a slot may be that is written as missed because no prober ran", Default: formatDuration(prober.DefaultCatchUp),
			field: func(c *Config) any { return &c.Prober.CatchUp }},
		{Path: "prober.session_timeout", Help: "after how long without a sign of life others take a prober's targets over", Default: formatDuration(prober.DefaultSessionTimeout),
			field: func(c *Config) any { return &c.Prober.SessionTimeout }},
		{Path: "prober.shutdown_timeout", Help: "time for checks in hand and unwritten events when stopping", Default: formatDuration(prober.DefaultShutdownTimeout),
			field: func(c *Config) any { return &c.Prober.ShutdownTimeout }},
		{Path: "prober.deny_private", Help: "refuse to connect to addresses that are not on the public internet", Default: "false",
			field: func(c *Config) any { return &c.Prober.DenyPrivate }},
		{Path: "prober.allow", Help: "addresses and ranges that are not refused, those of clouds' metadata services included", DefaultHelp: "none", Example: "[10.1.0.0/16, 192.168.1.7]",
			field: func(c *Config) any { return &c.Prober.Allow }},
		{Path: "prober.secrets", Help: "references that targets may use, a star for anything but a slash", Default: defaultSecrets,
			field: func(c *Config) any { return &c.Prober.Secrets }},
		{Path: "prober.canaries", Help: "places as host:port or URL; only while one can be reached is a target down that does not answer", DefaultHelp: "none", Example: "[1.1.1.1:443, https://example.com]",
			field: func(c *Config) any { return &c.Prober.Canaries }},
		{Path: "prober.spool.dir", Help: "directory of this prober alone, where events wait while Kafka is away", DefaultHelp: "spool/LOCATION in data_dir", Example: "/srv/webcheck/spool",
			field: func(c *Config) any { return &c.Prober.Spool.Dir }},
		{Path: "prober.spool.max_bytes", Help: "most bytes of events that wait there", Default: strconv.Itoa(prober.DefaultSpoolBytes),
			field: func(c *Config) any { return &c.Prober.Spool.MaxBytes }},
	}
}

func otherSettings() []Setting {
	return []Setting{
		{Path: "embedded.postgres_binaries", Help: "directory of an installed PostgreSQL, the one with bin/initdb in it", DefaultHelp: "fetched at the first start, else looked for", Example: "/usr/lib/postgresql/18",
			field: func(c *Config) any { return &c.Embedded.PostgresBinaries }},
		{Path: "embedded.postgres_repository", Help: "Maven repository that PostgreSQL is fetched from", DefaultHelp: "Maven Central", Example: "https://maven.example.com/maven2",
			field: func(c *Config) any { return &c.Embedded.PostgresRepository }},
		{Path: "data_dir", Help: "directory of the embedded services", DefaultHelp: "/var/lib/webcheck for root, else $XDG_DATA_HOME/webcheck or ~/.local/share/webcheck", Example: "/srv/webcheck",
			field: func(c *Config) any { return &c.DataDir }},
		{Path: "connect_timeout", Help: "how long a command looks for its services before it gives up", Default: "10s",
			field: func(c *Config) any { return &c.ConnectTimeout }},
		{Path: "metrics.addr", Help: "host:port where /metrics, /healthz and /readyz are served, to anybody who can reach it", DefaultHelp: "not at all", Example: "127.0.0.1:9090",
			field: func(c *Config) any { return &c.Metrics.Addr }},
		{Path: "log.level", Help: "least grave log record that is written", Default: "info", Choices: []string{"debug", "info", "warn", "error"},
			field: func(c *Config) any { return &c.Log.Level }},
		{Path: "log.format", Help: "how log records look", Default: "text", Choices: []string{"text", "json"},
			field: func(c *Config) any { return &c.Log.Format }},
	}
}

func processorSettings() []Setting {
	return []Setting{
		{Path: "processor.group", Help: "consumer group that all processors of one database share", Default: processor.DefaultGroup,
			field: func(c *Config) any { return &c.Processor.Group }},
		{Path: "processor.name", Help: "this processor's own name in its group, the same over restarts, so that a killed one goes on at once", DefaultHelp: `none; "webcheck up": up`, Example: "processor-1",
			field: func(c *Config) any { return &c.Processor.Name }},
		{Path: "processor.batch_records", Help: "most events that one transaction takes", Default: strconv.Itoa(processor.DefaultBatchRecords),
			field: func(c *Config) any { return &c.Processor.BatchRecords }},
		{Path: "processor.retention", Help: "how long PostgreSQL keeps checks, in whole days; an older event is a dead letter", Default: formatDuration(processor.DefaultRetention),
			field: func(c *Config) any { return &c.Processor.Retention }},
		{Path: "processor.rollup_retention", Help: "how long PostgreSQL keeps rollups of hours; those of days stay", Default: formatDuration(processor.DefaultRollupRetention),
			field: func(c *Config) any { return &c.Processor.RollupRetention }},
		{Path: "processor.stop_timeout", Help: "time for the batch in hand when stopping", Default: formatDuration(processor.DefaultStopTimeout),
			field: func(c *Config) any { return &c.Processor.StopTimeout }},
	}
}
