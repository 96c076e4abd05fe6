package prober

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// signIn puts what signs in at the target into o. What cannot be resolved is trouble of our own: its errors name the
// reference, and never what it holds.
func (c *checker) signIn(t *Target, o *observation) error {
	if t.BearerToken == "" && (t.BasicAuth == BasicAuth{}) && len(t.SecretHeaders) == 0 {
		return nil
	}
	o.credentials = make(http.Header)
	resolve := func(reference string) (string, error) {
		secret, err := c.resolve(reference)
		o.secrets = append(o.secrets, secret)
		return secret, err
	}
	for _, name := range sortedKeys(t.SecretHeaders) {
		secret, err := resolve(t.SecretHeaders[name])
		if err != nil {
			return err
		}
		o.credentials.Set(name, secret)
	}
	if t.BearerToken != "" {
		token, err := resolve(t.BearerToken)
		if err != nil {
			return err
		}
		o.credentials.Set("Authorization", "Bearer "+token)
	}
	if (t.BasicAuth != BasicAuth{}) {
		password, err := resolve(t.BasicAuth.Password)
		if err != nil {
			return err
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(t.BasicAuth.User + ":" + password))
		o.secrets = append(o.secrets, encoded)
		o.credentials.Set("Authorization", "Basic "+encoded)
	}
	return nil
}

// resolve returns the secret that reference points to.
func (c *checker) resolve(reference string) (string, error) {
	if c.secrets == nil {
		return "", fmt.Errorf("signing in: nothing reads the reference %q here", reference)
	}
	secret, err := c.secrets(reference)
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	if secret == "" || strings.ContainsFunc(secret, unicode.IsControl) {
		return "", fmt.Errorf("signing in: what %q points to is empty, or not a single line", reference)
	}
	return secret, nil
}
