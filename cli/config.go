package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"webcheck/prober"
)

// Config is everything that can be configured, after flags, environment, file and defaults were put together.
type Config struct {
	// File is the configuration file that was read; empty when there was none.
	File string
	// Kafka says where and how to reach the brokers.
	Kafka KafkaConfig
	// Registry says where and how to reach the schema registry.
	Registry RegistryConfig
	// Postgres says where the database is.
	Postgres PostgresConfig
	// Prober is what the prober is told besides its targets.
	Prober ProberConfig
	// Processor is what the processor is told.
	Processor ProcessorConfig
	// Embedded is about the embedded services.
	Embedded EmbeddedConfig
	// Metrics says where metrics are served.
	Metrics MetricsConfig
	// Log says which log records are written, and how.
	Log LogConfig
	// DataDir is where the embedded services keep everything.
	DataDir string
	// ConnectTimeout bounds the look at each service at the start of a command.
	ConnectTimeout time.Duration
	// Targets are the targets of the file; only a file can define them.
	Targets []prober.Target

	origins origins
}

// KafkaConfig says where and how to reach the brokers.
type KafkaConfig struct {
	Brokers []string
	TLS     KafkaTLSConfig
	SASL    SASLConfig
	Topics  TopicsConfig
}

// KafkaTLSConfig names the PEM files of a TLS connection to the brokers.
type KafkaTLSConfig struct {
	Enabled              bool
	CA, Certificate, Key string
}

// SASLConfig says who signs in at the brokers, and how.
type SASLConfig struct {
	Mechanism, User string
	Password        Secret
}

// TopicsConfig says how topics are created.
type TopicsConfig struct {
	// Partitions of a new topic.
	Partitions int
	// Replication is the number of copies of each partition; -1 leaves it to the brokers.
	Replication int
	// Retention is how long events are kept.
	Retention time.Duration
}

// RegistryConfig says where and how to reach the schema registry.
type RegistryConfig struct {
	URL, User string
	Password  Secret
	CA        string
	// AutoRegister lets a command register this build's schemas. Unless it is given, that is for the registry of "webcheck up"
	// only: on one that others use, a new schema is somebody's decision.
	AutoRegister bool
}

// PostgresConfig says where the database is. The URL is a secret because it may hold the password.
type PostgresConfig struct{ URL Secret }

// ProberConfig is what the prober is told besides its targets.
type ProberConfig struct {
	Location, Name  string
	MaxInFlight     int
	MaxPerHost      int
	CatchUp         time.Duration
	SessionTimeout  time.Duration
	ShutdownTimeout time.Duration
	// DenyPrivate and Allow say which addresses checks may connect to.
	DenyPrivate bool
	Allow       []string
	// Secrets are patterns of the references that targets may use.
	Secrets []string
	// Canaries are host:port or URLs of places that tell an outage of the prober's own network.
	Canaries []string
	Spool    SpoolConfig
}

// SpoolConfig says where, and how many, events wait while Kafka is away. An empty Dir is one in the data directory.
type SpoolConfig struct {
	Dir      string
	MaxBytes int
}

// ProcessorConfig is what the processor is told.
type ProcessorConfig struct {
	Group, Name     string
	BatchRecords    int
	Retention       time.Duration
	RollupRetention time.Duration
	StopTimeout     time.Duration
}

// EmbeddedConfig is about the embedded services: where PostgreSQL comes from. Empty strings leave it to package embedded.
type EmbeddedConfig struct{ PostgresBinaries, PostgresRepository string }

// MetricsConfig says where metrics are served, as host:port; empty is nowhere.
type MetricsConfig struct{ Addr string }

// LogConfig says which log records are written, and how.
type LogConfig struct{ Level, Format string }

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	// Where is file:line:column, a flag or an environment variable.
	Where string
	// Field is the path of the setting, as "targets[3].interval"; empty for a fault of the file as a whole.
	Field string
	// Message says what is wrong, without Field.
	Message string
	// Hint says what to do; may be empty.
	Hint string
}

// String is the fault in one line.
func (f Fault) String() string {
	text := f.Where + ": "
	if f.Field != "" {
		text += f.Field + ": "
	}
	text += f.Message
	if f.Hint != "" {
		text += "; " + f.Hint
	}
	return text
}

// ConfigError is every fault of a configuration, at least one. It ends a command as a usage error.
type ConfigError struct{ Faults []Fault }

// Error returns the faults, one a line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, fault := range e.Faults {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// sources is where settings are looked up, in order of precedence.
type sources struct {
	flag func(name string) (string, bool)
	env  func(name string) (string, bool)
}

// loadConfig puts the configuration together: flag before environment before file before default. The error is a
// *ConfigError with every fault, or an error of reading the file.
func loadConfig(from sources) (*Config, error) {
	path, err := configPath(from)
	if err != nil {
		return nil, err
	}
	doc := new(document)
	if path != "" {
		text, err := readBounded(path, maxConfigBytes)
		if err != nil {
			return nil, usageError{fmt.Errorf("reading the configuration %q: %w", path, withoutPath(err))}
		}
		doc = readDocument(path, text)
	}
	c := &Config{File: path, origins: newOrigins()}
	faults := doc.faults
	for _, s := range Settings() {
		if fault := s.load(c, from, doc, c.origins); fault != nil {
			faults = append(faults, *fault)
		}
	}
	if c.isDefault("registry.auto_register") {
		c.Registry.AutoRegister = c.Registry.URL == ""
	}
	targets, targetFaults := readTargets(doc)
	c.Targets = targets
	faults = append(faults, targetFaults...)
	faults = append(faults, c.check()...)
	if len(faults) > 0 {
		sortFaults(faults)
		return nil, &ConfigError{faults}
	}
	if c.DataDir == "" {
		c.DataDir, err = defaultDataDir(from.env)
	}
	return c, err
}

// configPath is --config, else WEBCHECK_CONFIG, else webcheck.yaml in the working directory if it is there, else empty.
func configPath(from sources) (string, error) {
	if path, given := from.flag("config"); given {
		return path, nil
	}
	if path, given := from.env("WEBCHECK_CONFIG"); given && path != "" {
		return path, nil
	}
	_, err := os.Stat("webcheck.yaml")
	switch {
	case err == nil:
		return "webcheck.yaml", nil
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	}
	return "", fmt.Errorf("looking for webcheck.yaml: %w", err)
}

// isDefault reports whether nobody gave the setting at path a value.
func (c *Config) isDefault(path string) bool { return c.origins.where[path] == "default" }

// origins remembers, by a setting's path, where its value came from and whether the value was unreadable.
type origins struct {
	where map[string]string
	bad   map[string]bool
}

func newOrigins() origins {
	return origins{where: make(map[string]string), bad: make(map[string]bool)}
}

// load stores the setting's value in c and its origin in origins.
func (s Setting) load(c *Config, from sources, doc *document, origins origins) *Fault {
	text, origin, fromEnvironment := s.Default, "default", false
	if value, given := from.flag(s.Flag()); given {
		text, origin = value, "--"+s.Flag()
	} else if value, given := from.env(s.Env()); given && value != "" {
		text, origin, fromEnvironment = value, "$"+s.Env(), true
	} else if value, given := doc.values[s.Path]; given {
		text, origin = value.text, value.where
	}
	origins.where[s.Path], origins.bad[s.Path] = origin, doc.bad[s.Path]
	if text == "" {
		return nil
	}
	if err := s.assign(c, text, fromEnvironment, from.env); err != nil {
		origins.bad[s.Path] = true
		return &Fault{Where: origin, Field: s.Path, Message: err.Error(), Hint: hintOf(err)}
	}
	return nil
}

// check finds what each value alone does not show. It says nothing more about a value that was unreadable.
func (c *Config) check() []Fault {
	var faults []Fault
	fault := func(path, message string, arguments ...any) {
		if !c.origins.bad[path] {
			faults = append(faults, Fault{Where: c.origins.where[path], Field: path, Message: fmt.Sprintf(message, arguments...)})
		}
	}
	tls := c.Kafka.TLS
	if !tls.Enabled && !c.origins.bad["kafka.tls.enabled"] {
		for path, value := range map[string]string{"kafka.tls.ca": tls.CA, "kafka.tls.certificate": tls.Certificate, "kafka.tls.key": tls.Key} {
			if value != "" {
				fault(path, "is given, but kafka.tls.enabled is not true")
			}
		}
	}
	c.checkPairs(fault)
	if c.Registry.URL != "" {
		if err := checkServiceURL(c.Registry.URL); err != nil {
			faults = append(faults, Fault{Where: c.origins.where["registry.url"], Field: "registry.url", Message: err.Error(), Hint: hintOf(err)})
		}
	}
	if n := c.Kafka.Topics.Replication; n == 0 || n < -1 || n > 32767 {
		fault("kafka.topics.replication", "%d copies are not possible; give 1 or more, or -1 for the brokers' default", n)
	}
	c.checkPositive(fault)
	c.checkProber(fault)
	for _, wrong := range prober.NewTarget(c.Prober.Location, "http://localhost/").Validate() { // a location is a slug like an id
		fault("prober.location", "%s", wrong.Message)
	}
	if name := c.Prober.Name; len(name) > 255 || printable(name) != name {
		fault("prober.name", "is not up to 255 bytes of printable text")
	}
	if c.Metrics.Addr != "" {
		if err := checkListenAddress(c.Metrics.Addr); err != nil {
			faults = append(faults, Fault{Where: c.origins.where["metrics.addr"], Field: "metrics.addr", Message: err.Error(), Hint: hintOf(err)})
		}
	}
	if r := c.Processor.Retention; r > 0 && r%(24*time.Hour) != 0 {
		fault("processor.retention", "%s is not a whole number of days (examples: 30d, 90d)", formatDuration(r))
	}
	if r := c.Processor.RollupRetention; r > 0 && r < c.Processor.Retention {
		fault("processor.rollup_retention", "%s is shorter than processor.retention, which is %s", formatDuration(r), formatDuration(c.Processor.Retention))
	}
	return faults
}

// checkPairs finds values that need one another.
func (c *Config) checkPairs(fault func(path, message string, arguments ...any)) {
	tls, sasl := c.Kafka.TLS, c.Kafka.SASL
	pairs := []struct {
		path, other   string
		has, hasOther bool
	}{
		{"kafka.tls.certificate", "kafka.tls.key", tls.Certificate != "", tls.Key != ""},
		{"kafka.tls.key", "kafka.tls.certificate", tls.Key != "", tls.Certificate != ""},
		{"kafka.sasl.mechanism", "kafka.sasl.user", sasl.Mechanism != "", sasl.User != ""},
		{"kafka.sasl.mechanism", "kafka.sasl.password", sasl.Mechanism != "", !sasl.Password.IsZero()},
		{"kafka.sasl.user", "kafka.sasl.mechanism", sasl.User != "", sasl.Mechanism != ""},
		{"kafka.sasl.password", "kafka.sasl.user", !sasl.Password.IsZero(), sasl.User != ""},
		{"kafka.tls.enabled", "kafka.brokers", tls.Enabled, len(c.Kafka.Brokers) > 0},
		{"kafka.sasl.mechanism", "kafka.brokers", sasl.Mechanism != "", len(c.Kafka.Brokers) > 0},
		{"registry.user", "registry.url", c.Registry.User != "", c.Registry.URL != ""},
		{"registry.ca", "registry.url", c.Registry.CA != "", c.Registry.URL != ""},
		{"registry.password", "registry.user", !c.Registry.Password.IsZero(), c.Registry.User != ""},
		{"registry.user", "registry.password", c.Registry.User != "", !c.Registry.Password.IsZero()},
	}
	for _, pair := range pairs {
		if pair.has && !pair.hasOther && !c.origins.bad[pair.other] {
			fault(pair.path, "is given without %s", pair.other)
		}
	}
}

// checkPositive finds numbers and durations that make no sense at zero or below, or above what the protocol carries.
func (c *Config) checkPositive(fault func(path, message string, arguments ...any)) {
	for _, s := range Settings() {
		switch value := s.field(c).(type) {
		case *int:
			if s.Path != "kafka.topics.replication" && s.Path != "prober.spool.max_bytes" && (*value < 1 || *value > 1_000_000) {
				fault(s.Path, "%d is not between 1 and 1000000", *value)
			}
		case *time.Duration:
			if *value <= 0 {
				fault(s.Path, "%s is not more than nothing", formatDuration(*value))
			}
		}
	}
}

// defaultDataDir is /var/lib/webcheck for root, because the database's unprivileged process could not reach a directory
// under root's home, and else the place of the XDG base directory specification.
func defaultDataDir(env func(string) (string, bool)) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/webcheck", nil
	}
	if dir, _ := env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "webcheck"), nil
	}
	home, _ := env("HOME")
	if home == "" {
		return "", usageError{errors.New("finding a data directory: neither HOME nor XDG_DATA_HOME is set; give --data-dir")}
	}
	return filepath.Join(home, ".local", "share", "webcheck"), nil
}
