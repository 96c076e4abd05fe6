package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyReferencesThatAreAllowedAreRead(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"secrets/token": "from-file\n", "key": "hunter2\n", "secrets/deep/key": "hunter2\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := given(nil, map[string]string{"WEBCHECK_SECRET_TOKEN": "from-env", "KAFKA_PASSWORD": "hunter2", "WEBCHECK_SECRET_EMPTY": ""}).env
	read := references([]string{defaultSecrets, "file:" + dir + "/secrets/*"}, env)
	for reference, want := range map[string]string{
		"env:WEBCHECK_SECRET_TOKEN":         "from-env",
		"file:" + dir + "/secrets/token":    "from-file",
		"env:KAFKA_PASSWORD":                "prober.secrets does not allow it",
		"env:WEBCHECK_SECRET":               "prober.secrets does not allow it",
		"file:" + dir + "/key":              "prober.secrets does not allow it",
		"file:" + dir + "/secrets/../key":   "prober.secrets does not allow it",
		"file:" + dir + "/secrets/deep/key": "prober.secrets does not allow it",
		"file:" + dir + "//secrets/token":   "prober.secrets does not allow it",
		"keyring:webcheck/me":               "prober.secrets does not allow it",
		"from-nowhere":                      "prober.secrets does not allow it",
		"env:WEBCHECK_SECRET_EMPTY":         "the variable is empty",
		"env:WEBCHECK_SECRET_OTHER":         "the variable is not set",
		"file:" + dir + "/secrets/other":    "no such file",
	} {
		got, err := read(reference)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want) || !strings.Contains(got, `"`+reference+`"`)) {
			t.Errorf("%s: got %q, want %q", reference, got, want)
		}
	}
}

// TestNoPatternLetsAPathClimb tries what would be in a folder by its letters only.
func TestNoPatternLetsAPathClimb(t *testing.T) {
	for _, reference := range []string{"file:/run/../etc/shadow", "file:/run/./shadow", "file:/run//shadow", "file:/run/x/..", "file:run/shadow"} {
		if allowsReference([]string{"file:/run/*", "file:/run/*/*/*", "file:/*/*", "file:*/*"}, reference) {
			t.Errorf("%q is allowed", reference)
		}
	}
}

func TestAddressesOfTheConfigurationAreRanges(t *testing.T) {
	c, err := loadConfig(given(map[string]string{"prober-allow": "10.1.0.0/16, 192.168.1.7,fd00::1", "prober-deny-private": "true"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, prefix := range c.Prober.addresses().Allow {
		got = append(got, prefix.String())
	}
	if text := strings.Join(got, " "); text != "10.1.0.0/16 192.168.1.7/32 fd00::1/128" || !c.Prober.addresses().DenyPrivate {
		t.Errorf("got %q of %+v", text, c.Prober)
	}
}
