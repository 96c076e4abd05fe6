package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	"github.com/zalando/go-keyring"
)

// redacted is what is printed where a secret would be.
const redacted = "[redacted]"

// Secret is a text that no printing, logging or encoding shows: every one of them gives "[redacted]". The zero Secret is
// empty, and shows itself the same way, so that not even its absence is told.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text itself, for the one call that needs it.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb, so that %x and %q do not show what %s hides.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]"; encoders of text formats use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" in quotes.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// literalSecretError refuses a secret that stands where it can be read by others. It never holds the secret.
type literalSecretError struct{ hint string }

func (e *literalSecretError) Error() string {
	return "holds a secret itself, and should say where the secret is"
}

// Hint says which references there are.
func (e *literalSecretError) Hint() string { return e.hint }

const referenceHint = "write env:NAME, file:/path or keyring:service/user, and keep the secret there"

// isReference reports whether text says where a secret is, instead of being one.
func isReference(text string) bool {
	scheme, _, found := strings.Cut(text, ":")
	return found && (scheme == "env" || scheme == "file" || scheme == "keyring")
}

// resolveSecret reads the secret that a reference points to: env:NAME, file:/path (one line end at its end is not part of
// the secret) or keyring:service/user. Its errors name the reference and never what it holds.
func resolveSecret(reference string, env func(string) (string, bool)) (Secret, error) {
	scheme, rest, _ := strings.Cut(reference, ":")
	if rest == "" {
		return Secret{}, fmt.Errorf("reading the secret %q: nothing stands behind the colon", reference)
	}
	switch scheme {
	case "env":
		text, found := env(rest)
		if found && text == "" {
			return Secret{}, fmt.Errorf("reading the secret %q: the variable is empty", reference)
		}
		if !found {
			return Secret{}, fmt.Errorf("reading the secret %q: the variable is not set", reference)
		}
		return Secret{text}, nil
	case "file":
		text, err := readBounded(rest, maxSecretBytes)
		if err != nil {
			return Secret{}, fmt.Errorf("reading the secret %q: %w", reference, withoutPath(err))
		}
		line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if line == "" {
			return Secret{}, fmt.Errorf("reading the secret %q: the file is empty", reference)
		}
		return Secret{line}, nil
	case "keyring":
		service, user, found := strings.Cut(rest, "/")
		if !found || service == "" || user == "" {
			return Secret{}, fmt.Errorf("reading the secret %q: a keyring reference is keyring:service/user", reference)
		}
		text, err := keyring.Get(service, user)
		if err != nil {
			return Secret{}, fmt.Errorf("reading the secret %q: %w", reference, err)
		}
		return Secret{text}, nil
	}
	return Secret{}, &literalSecretError{hint: referenceHint}
}

// withoutPath returns the cause of a file error alone, where the path is already part of the sentence.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

var passwordInDSN = regexp.MustCompile(`(?i)(^|[\s?&])(ssl)?password\s*=`)

// holdsPassword reports whether a PostgreSQL URL or keyword string carries a password. A text that is no URL at all is
// treated as if it did: it is not printed anywhere.
func holdsPassword(text string) bool {
	if passwordInDSN.MatchString(text) {
		return true
	}
	u, err := url.Parse(text)
	if err != nil {
		return true
	}
	_, has := u.User.Password()
	return has
}

// secretsOf returns every text that must not be printed because of this secret: the secret, and the password inside it
// where it is a URL, each also as a URL writes it.
func secretsOf(s Secret) []string {
	if s.IsZero() {
		return nil
	}
	texts := []string{s.text}
	if u, err := url.Parse(s.text); err == nil {
		if password, has := u.User.Password(); has {
			texts = append(texts, password)
		}
		for _, key := range []string{"password", "sslpassword"} {
			texts = append(texts, u.Query()[key]...)
		}
	}
	for _, text := range texts {
		for _, written := range []string{url.QueryEscape(text), url.PathEscape(text), url.UserPassword("", text).String()[1:]} {
			if written != text {
				texts = append(texts, written)
			}
		}
	}
	return texts
}

// scrubber takes secrets out of texts that other libraries have made.
type scrubber struct{ replacer *strings.Replacer }

// newScrubber returns a scrubber for all the given secrets.
func newScrubber(secrets ...Secret) *scrubber {
	var pairs []string
	for _, s := range secrets {
		for _, text := range secretsOf(s) {
			if text != "" {
				pairs = append(pairs, text, redacted)
			}
		}
	}
	return &scrubber{strings.NewReplacer(pairs...)}
}

// scrub returns text with each secret replaced. A nil scrubber knows no secrets.
func (s *scrubber) scrub(text string) string {
	if s == nil {
		return text
	}
	return s.replacer.Replace(text)
}

// scrubbingWriter scrubs each write by itself: slog writes a record at a time.
type scrubbingWriter struct {
	out io.Writer
	by  *scrubber
}

// Write writes p without its secrets, and reports len(p) where that succeeds.
func (w scrubbingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.out, w.by.scrub(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
