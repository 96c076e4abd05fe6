package cli

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"
)

// The sections of settings that commands take; the settings of no section belong to each of them.
var (
	kafkaSections = []string{"kafka", "log", ""}
	logSections   = []string{"kafka", "registry", "log", ""}
	allSections   = []string{"kafka", "registry", "postgres", "prober", "processor", "embedded", "metrics", "log", ""}
)

// flags are the flags of a command: its own, the configuration file, and the settings of these sections. Flags do not
// look at the environment by themselves, so that a value from there is told from one typed.
func flags(own []urfave.Flag, sections []string) []urfave.Flag {
	all := append(slices.Clone(own), &urfave.StringFlag{
		Name: "config", Category: "other settings", Usage: "`FILE` to read (default: webcheck.yaml, if it is there) [$WEBCHECK_CONFIG]",
	})
	for _, s := range Settings() {
		if !slices.Contains(sections, s.Section()) {
			continue
		}
		category := s.Section() + " settings"
		if s.Section() == "" || s.Section() == "log" {
			category = "other settings"
		}
		if s.IsSwitch() {
			all = append(all, &urfave.BoolFlag{Name: s.Flag(), Category: category, Usage: s.usage(), DisableDefaultText: true})
		} else {
			all = append(all, &urfave.StringFlag{Name: s.Flag(), Category: category, Usage: s.usage()})
		}
	}
	return all
}

// usage is the help of the setting's flag: what it is, its default and its variable.
func (s Setting) usage() string {
	text := s.Help
	if len(s.Choices) > 0 {
		text += fmt.Sprintf(": %s", orList(s.Choices))
	}
	switch {
	case s.Default != "":
		text += fmt.Sprintf(" (default: %s)", s.Default)
	case s.DefaultHelp != "":
		text += fmt.Sprintf(" (default: %s)", s.DefaultHelp)
	}
	return text + " [$" + s.Env() + "]"
}

// orList and andList write texts, of which there is one at least, as a sentence does.
func orList(texts []string) string  { return joined(texts, "or") }
func andList(texts []string) string { return joined(texts, "and") }

func joined(texts []string, word string) string {
	last := len(texts) - 1
	if last == 0 {
		return texts[0]
	}
	return strings.Join(texts[:last], ", ") + " " + word + " " + texts[last]
}

// load reads the configuration for the command of c into p, and readies the logger and the scrubber for it.
func (p *program) load(c *urfave.Context) error {
	config, err := loadConfig(sources{
		flag: func(name string) (string, bool) { return fmt.Sprint(c.Value(name)), c.IsSet(name) },
		env:  p.Env,
	})
	if err != nil {
		return err
	}
	p.config = config
	p.secrets = newScrubber(config.Kafka.SASL.Password, config.Registry.Password, config.Postgres.URL)
	p.logger = p.newLogger(config.Log)
	return nil
}

// keepSecret makes p hide one more secret, and anew the logger, which holds the list.
func (p *program) keepSecret(s Secret) {
	p.secrets = newScrubber(s, p.config.Kafka.SASL.Password, p.config.Registry.Password, p.config.Postgres.URL)
	p.logger = p.newLogger(p.config.Log)
}

func (p *program) newLogger(config LogConfig) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(config.Level)) // one of the setting's choices
	out := scrubbingWriter{p.Stderr, p.secrets}
	options := &slog.HandlerOptions{Level: level}
	if config.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// noArguments is a Before that refuses arguments.
func noArguments(c *urfave.Context) error {
	if c.Args().Present() && findCommand(c.Command.Subcommands, c.Args().First()) == nil {
		return usageError{withHint(fmt.Errorf("%q takes no argument %q", commandName(c), c.Args().First()), fmt.Sprintf("%q shows how", commandName(c)+" --help"))}
	}
	return nil
}
