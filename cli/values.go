package cli

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var wholeDays = regexp.MustCompile(`^(-?)(\d+)d(.*)$`)

// parseDuration reads Go's durations and whole days before them: 90s, 1h30m, 30d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	notDuration := fmt.Errorf("%q is not a duration (examples: 30s, 1m)", text)
	parts := wholeDays.FindStringSubmatch(text)
	if parts == nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, notDuration
		}
		return d, nil
	}
	days, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || days > math.MaxInt64/int64(24*time.Hour)-1 {
		return 0, notDuration
	}
	d := time.Duration(days) * 24 * time.Hour
	if parts[3] != "" {
		rest, err := time.ParseDuration(parts[3])
		if err != nil || rest < 0 || d+rest < 0 {
			return 0, notDuration
		}
		d += rest
	}
	if parts[1] == "-" {
		d = -d
	}
	return d, nil
}

// formatDuration writes d as parseDuration reads it, with days where they are whole.
func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// assign reads text as the setting's type and stores it in c. The error says what is wrong with the text and does not
// repeat the setting's name. A Secret is only accepted as a reference, unless fromEnvironment.
func (s Setting) assign(c *Config, text string, fromEnvironment bool, env func(string) (string, bool)) error {
	if len(s.Choices) > 0 && !slices.Contains(s.Choices, text) {
		return fmt.Errorf("%q is none of %s%s", text, strings.Join(s.Choices, ", "), didYouMean(text, s.Choices))
	}
	switch field := s.field(c).(type) {
	case *string:
		*field = text
	case *[]string:
		*field = splitList(text)
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*field = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*field = n
	case *time.Duration:
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		*field = d
	case *Secret:
		return s.assignSecret(field, text, fromEnvironment, env)
	default:
		panic(fmt.Sprintf("setting %s has a field of type %T", s.Path, field))
	}
	return nil
}

func (s Setting) assignSecret(field *Secret, text string, fromEnvironment bool, env func(string) (string, bool)) error {
	switch {
	case isReference(text):
		secret, err := resolveSecret(text, env)
		if err != nil {
			return err
		}
		*field = secret
	case fromEnvironment, s.literal != nil && s.literal(text):
		*field = Secret{text}
	case s.literalHint != "":
		return &literalSecretError{hint: s.literalHint}
	default:
		return &literalSecretError{hint: referenceHint}
	}
	return nil
}

func splitList(text string) []string {
	var list []string
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// checkServiceURL finds what is wrong with a service's http or https URL, without repeating a password in it.
func checkServiceURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not a URL (example: https://registry:8081)")
	}
	if u.User != nil {
		return &literalSecretError{hint: "write the URL without user and password, and use registry.user and registry.password"}
	}
	return nil
}

// didYouMean returns ` (did you mean "x"?)` for the choice nearest to text, or nothing where none is near.
func didYouMean(text string, choices []string) string {
	best, distance := "", 1+len(text)/3
	for _, choice := range choices {
		if d := editDistance(strings.ToLower(text), strings.ToLower(choice)); d <= distance && (best == "" || d < distance) {
			best, distance = choice, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance counts the letters to insert, remove or exchange to make b of a (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
