package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// The files that a running "webcheck up" leaves in its data directory for the other commands.
const (
	endpointsFile = "endpoints.json"
	passwordsFile = "pgpass"
)

// endpoints is where the services of a running "webcheck up" are. It holds no secret: the database's URL names the file in
// which libpq and pgx look the password up.
type endpoints struct {
	Kafka    []string `json:"kafka,omitempty"`
	Registry string   `json:"registry,omitempty"`
	Postgres string   `json:"postgres,omitempty"`
}

// readEndpoints returns what a running "webcheck up" left in dir; nothing when it left nothing.
func readEndpoints(dir string) (e endpoints, err error) {
	path := filepath.Join(dir, endpointsFile)
	text, err := readBounded(path, maxSecretBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return e, fmt.Errorf("reading %q: %w", path, withoutPath(err))
	}
	return e, nil
}

// writeEndpoints leaves e in dir, for this user only.
func writeEndpoints(dir string, e endpoints) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the endpoints: %w", err)
	}
	return replaceFile(filepath.Join(dir, endpointsFile), append(text, '\n'))
}

// removeEndpoints takes away what writeEndpoints left.
func removeEndpoints(dir string) error {
	err := os.Remove(filepath.Join(dir, endpointsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replaceFile writes a file that nobody else can read and that is never seen half written.
func replaceFile(path string, text []byte) error {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// hidePassword moves the password of a PostgreSQL URL into a password file in dir, and returns the URL that names the file
// instead. See "The Password File" in PostgreSQL's manual for the format.
func hidePassword(dir, text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("reading the embedded database's URL: not a URL")
	}
	password, has := u.User.Password()
	if !has {
		return text, nil
	}
	path, err := filepath.Abs(filepath.Join(dir, passwordsFile))
	if err != nil {
		return "", fmt.Errorf("finding %q: %w", passwordsFile, err)
	}
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace
	fields := []string{escape(u.Hostname()), escape(u.Port()), "*", escape(u.User.Username()), escape(password)}
	if err := replaceFile(path, []byte(strings.Join(fields, ":")+"\n")); err != nil {
		return "", fmt.Errorf("writing %q: %w", path, withoutPath(err))
	}
	u.User = url.User(u.User.Username())
	query := u.Query()
	query.Set("passfile", path)
	// A slash may stand there, and people read it; a space is %20, because PostgreSQL's own client takes a plus for a plus.
	u.RawQuery = strings.NewReplacer("%2F", "/", "+", "%20").Replace(query.Encode())
	return u.String(), nil
}
