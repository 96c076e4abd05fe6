package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"webcheck/prober"
)

// defaultSecrets lets targets point to variables whose name says what they are for, and to no other one.
const defaultSecrets = "env:WEBCHECK_SECRET_*"

// errNotAllowed is why a target's reference is not read.
var errNotAllowed = errors.New("prober.secrets does not allow it")

// references returns what reads the references of targets, and no others than patterns allow: who may write the topic of
// definitions must not read the prober's files.
func references(patterns []string, env func(string) (string, bool)) func(string) (string, error) {
	return func(reference string) (string, error) {
		if !allowsReference(patterns, reference) {
			return "", fmt.Errorf("reading the secret %q: %w", reference, errNotAllowed)
		}
		secret, err := resolveSecret(reference, env)
		return secret.Reveal(), err
	}
}

// allowsReference reports whether one of the patterns matches the whole reference. A star stands for anything but a slash, and
// no path may climb.
func allowsReference(patterns []string, reference string) bool {
	scheme, rest, _ := strings.Cut(reference, ":")
	if scheme != "env" && (scheme != "file" || path.Clean(rest) != rest || !path.IsAbs(rest)) {
		return false
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matches, err := path.Match(pattern, reference)
		return err == nil && matches
	})
}

// checkReferencePattern finds what is wrong with an item of prober.secrets.
func checkReferencePattern(pattern string) error {
	_, err := path.Match(pattern, "")
	scheme, rest, found := strings.Cut(pattern, ":")
	if err != nil || !found || scheme != "env" && scheme != "file" || rest == "" || scheme == "file" && !path.IsAbs(rest) {
		return fmt.Errorf("%q is no pattern of references (examples: env:WEBCHECK_SECRET_*, file:/run/secrets/*)", pattern)
	}
	return nil
}

// addresses are those that prober.deny_private and prober.allow give.
func (c ProberConfig) addresses() prober.Addresses {
	a := prober.Addresses{DenyPrivate: c.DenyPrivate}
	for _, text := range c.Allow {
		if prefix, err := parseAddresses(text); err == nil { // the others are faults already
			a.Allow = append(a.Allow, prefix)
		}
	}
	return a
}

// parseAddresses reads an address or a range of them: 10.0.0.1, 10.0.0.0/8.
func parseAddresses(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err == nil && prefix.Masked() == prefix && !prefix.Addr().Is4In6() {
		return prefix, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range of them (examples: 10.0.0.1, 10.0.0.0/8, fd00::/8)", text)
	}
	address = address.Unmap()
	return netip.PrefixFrom(address, address.BitLen()), nil
}

// minSpoolBytes is a few thousand events; less is no spool but a mistake, as of somebody who counts in MiB.
const minSpoolBytes = 1 << 20

// checkProber finds what is wrong with each item of the prober's lists, and with the size of its spool.
func (c *Config) checkProber(fault func(path, message string, arguments ...any)) {
	for _, text := range c.Prober.Allow {
		if _, err := parseAddresses(text); err != nil {
			fault("prober.allow", "%s", err.Error())
		}
	}
	for _, pattern := range c.Prober.Secrets {
		if err := checkReferencePattern(pattern); err != nil {
			fault("prober.secrets", "%s", err.Error())
		}
	}
	if _, err := prober.NewCanaries(c.Prober.Canaries); err != nil {
		fault("prober.canaries", "%s", err.Error())
	}
	if n := c.Prober.Spool.MaxBytes; n < minSpoolBytes {
		fault("prober.spool.max_bytes", "%d bytes are not enough; give at least %d", n, minSpoolBytes)
	}
}
