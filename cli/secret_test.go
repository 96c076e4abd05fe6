package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

func TestSecretIsNeverShown(t *testing.T) {
	secret := NewSecret("hunter2/hunter2")
	holder := struct {
		Name     string
		Password Secret
		Pointer  *Secret
	}{"x", secret, &secret}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		if verb == "%T %v" {
			shown = append(shown, fmt.Sprintf(verb, secret, secret))
			continue
		}
		shown = append(shown, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, holder))
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", secret, "holder", holder)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "password", secret, "holder", holder)
	shown = append(shown, string(text), log.String(), secret.String(), secret.GoString(), fmt.Sprint(errors.New(secret.String())))
	for _, text := range shown {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("shown: %s", text)
		}
	}
}

func TestSecretsAreFoundByReference(t *testing.T) {
	keyring.MockInit()
	if err := keyring.Set("webcheck", "kafka", "from keyring"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(" from file \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := given(nil, map[string]string{"PASSWORD": "from env", "EMPTY": ""}).env
	for reference, want := range map[string]string{"env:PASSWORD": "from env", "file:" + file: " from file ", "keyring:webcheck/kafka": "from keyring"} {
		got, err := resolveSecret(reference, env)
		if err != nil || got.Reveal() != want {
			t.Errorf("%s: got %q, %v, want %q", reference, got.Reveal(), err, want)
		}
	}
	for _, reference := range []string{"env:MISSING", "env:EMPTY", "file:/nowhere/at/all", "keyring:webcheck", "keyring:webcheck/nobody", "keyring:/x"} {
		if got, err := resolveSecret(reference, env); err == nil || !strings.Contains(err.Error(), reference) {
			t.Errorf("%s: got %q, %v, want an error that names the reference", reference, got.Reveal(), err)
		}
	}
}

func TestScrubberTakesEveryFormOfASecretOut(t *testing.T) {
	password := "p@ss:w/rd&?%"
	database := NewSecret("postgres://somebody:" + url.QueryEscape(password) + "@db:5432/webcheck?sslpassword=other%20one")
	by := newScrubber(database, NewSecret("kafka-secret"), Secret{})
	for _, text := range []string{
		database.Reveal(), password, url.QueryEscape(password), url.PathEscape(password),
		url.UserPassword("somebody", password).String(), "other one", "other+one", "other%20one", "dial: kafka-secret!",
	} {
		if got := by.scrub("error: " + text); !strings.Contains(got, redacted) || strings.Contains(got, "w/rd") || strings.Contains(got, "kafka-secret") || strings.Contains(got, "other") {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := by.scrub("nothing to hide"); got != "nothing to hide" {
		t.Errorf("got %q", got)
	}
}

func TestErrorsAndLogsAreScrubbed(t *testing.T) {
	var out bytes.Buffer
	p := &program{System: System{Stderr: &out}, config: new(Config)}
	p.config.Registry.Password = NewSecret("hunter2")
	p.keepSecret(NewSecret("hunter3"))
	p.logger.Warn("asking", "error", errors.New("password hunter2 and hunter3 refused"))
	p.notice("with %s", "hunter2")
	printError(&out, withHint(errors.New("hunter2 refused"), "try hunter3"), p.secrets)
	if strings.Contains(out.String(), "hunter") || strings.Count(out.String(), redacted) != 5 {
		t.Errorf("got %s", out.String())
	}
}

func TestPasswordInAPostgresURLIsSeen(t *testing.T) {
	for text, want := range map[string]bool{
		"postgres://db/webcheck":                          false,
		"postgres://somebody@db/webcheck?sslmode=require": false,
		"host=db user=somebody":                           false,
		"postgres://db/webcheck?passfile=/x":              false,
		"postgres://somebody:x@db/webcheck":               true,
		"postgres://somebody:@db/webcheck":                true,
		"postgres://db/webcheck?PASSWORD=x":               true,
		"postgres://db/webcheck?a=b&sslpassword=x":        true,
		"host=db password = x":                            true,
		"postgres://some%body:x@db":                       true,
	} {
		if got := holdsPassword(text); got != want {
			t.Errorf("holdsPassword(%q) = %v, want %v", text, got, want)
		}
	}
}
