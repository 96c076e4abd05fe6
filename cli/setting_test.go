package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	urfave "github.com/urfave/cli/v2"
)

// aValueFor returns a text that the setting accepts and that is not its default.
func aValueFor(s Setting) string {
	if len(s.Choices) > 0 {
		for _, choice := range s.Choices {
			if choice != s.Default {
				return choice
			}
		}
	}
	switch s.field(new(Config)).(type) {
	case *bool:
		return fmt.Sprint(s.Default != "true")
	case *int:
		return "17"
	case *time.Duration:
		return "17m"
	case *Secret:
		return "env:TEST_SECRET"
	}
	if s.Path == "registry.url" {
		return "http://somewhere:1"
	}
	return "something"
}

func shown(s Setting, c *Config) string {
	switch value := s.field(c).(type) {
	case *string:
		return *value
	case *[]string:
		return strings.Join(*value, ",")
	case *bool:
		return fmt.Sprint(*value)
	case *int:
		return fmt.Sprint(*value)
	case *time.Duration:
		return formatDuration(*value)
	case *Secret:
		if value.Reveal() == "the secret" {
			return "env:TEST_SECRET"
		}
	}
	return "?"
}

// TestEverySettingIsFlagVariableAndKey sets each setting in each of the three ways, by itself, and reads it back.
func TestEverySettingIsFlagVariableAndKey(t *testing.T) {
	env := map[string]string{"TEST_SECRET": "the secret"}
	for _, s := range Settings() {
		want := aValueFor(s)
		variable := map[string]string{"TEST_SECRET": "the secret", s.Env(): want}
		for way, from := range map[string]sources{
			"flag":     given(map[string]string{s.Flag(): want}, env),
			"variable": given(nil, variable),
		} {
			c := new(Config)
			if fault := s.load(c, from, new(document), newOrigins()); fault != nil || shown(s, c) != want {
				t.Errorf("%s as %s: got %q, %v, want %q", s.Path, way, shown(s, c), fault, want)
			}
		}
		keys := strings.Split(s.Path, ".")
		d := readDocument("x.yaml", []byte(strings.Join(keys, ": {")+": "+want+strings.Repeat("}", len(keys)-1)))
		c := new(Config)
		if fault := s.load(c, given(nil, env), d, newOrigins()); fault != nil || len(d.faults) > 0 || shown(s, c) != want {
			t.Errorf("%s as key: got %q, %v, %v, want %q", s.Path, shown(s, c), fault, d.faults, want)
		}
	}
}

func TestEverySettingHasNamesHelpAndAPlaceInTheExample(t *testing.T) {
	example := string(exampleFile())
	names := make(map[string]bool)
	upFlags := flags(nil, allSections)
	for _, s := range Settings() {
		for _, name := range []string{s.Path, s.Flag(), s.Env()} {
			if names[name] && strings.Contains(name, ".") {
				t.Errorf("%s is there twice", name)
			}
			names[name] = true
		}
		if s.Help == "" || strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s: help %q is empty or ends with a full stop", s.Path, s.Help)
		}
		if s.Default == "" && s.Example == "" {
			t.Errorf("%s has neither a default nor an example", s.Path)
		}
		key := s.Path[strings.LastIndexByte(s.Path, '.')+1:]
		if !strings.Contains(example, "# "+key+": ") {
			t.Errorf("%s is not in the example file", s.Path)
		}
		if !slices.ContainsFunc(upFlags, func(f urfave.Flag) bool { return f.Names()[0] == s.Flag() && strings.Contains(f.String(), s.Env()) }) {
			t.Errorf("--%s is no flag of up, or its help does not name %s", s.Flag(), s.Env())
		}
	}
}

// TestExampleShowsTheDefaults uncomments every setting that has a default: the result is the configuration of no file.
func TestExampleShowsTheDefaults(t *testing.T) {
	asPrinted := writeConfig(t, string(exampleFile()))
	var uncommented strings.Builder
	for line := range strings.Lines(string(exampleFile())) {
		for _, s := range Settings() {
			key := s.Path[strings.LastIndexByte(s.Path, '.')+1:]
			if rest, found := strings.CutPrefix(strings.TrimLeft(line, " "), "# "+key+": "+s.Default); found && s.Default != "" && strings.HasPrefix(rest, " ") {
				line = strings.Replace(line, "# ", "", 1)
				break
			}
		}
		uncommented.WriteString(line)
	}
	for _, file := range []string{asPrinted, writeConfig(t, uncommented.String())} {
		got, err := loadConfig(given(map[string]string{"config": file}, nil))
		if err != nil {
			t.Fatalf("%v\n%s", err, uncommented.String())
		}
		want, err := loadConfig(given(nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Targets) != 1 {
			t.Errorf("got %d targets, want the example", len(got.Targets))
		}
		for _, s := range Settings() {
			if shown(s, got) != shown(s, want) {
				t.Errorf("%s: got %q, want %q", s.Path, shown(s, got), shown(s, want))
			}
		}
	}
}

func TestREADMEListsEverySetting(t *testing.T) {
	table := "| key in webcheck.yaml | default | what it is |\n|---|---|---|\n"
	for _, s := range Settings() {
		value := "`" + s.Default + "`"
		if s.Default == "" {
			value = s.DefaultHelp
		}
		help := s.Help
		if len(s.Choices) > 0 {
			help += ": " + orList(s.Choices)
		}
		if s.IsSecret() {
			help += " (a reference)"
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", s.Path, value, help)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table) {
		t.Errorf("README.md has another table of settings; this is the one:\n%s", table)
	}
}
