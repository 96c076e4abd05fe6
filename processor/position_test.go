package processor

import (
	"math"
	"strings"
	"testing"
)

func TestAPositionIsReadAsItIsWritten(t *testing.T) {
	for _, want := range []Position{
		{Topic: "webcheck.checks", Partition: 3, Offset: 1042},
		{Topic: "a", Partition: 0, Offset: 0},
		{Topic: strings.Repeat("t", 249), Partition: math.MaxInt32, Offset: math.MaxInt64},
	} {
		if got, err := ParsePosition(want.String()); err != nil || got != want {
			t.Errorf("%v: got %v, %v", want, got, err)
		}
	}
}

func TestWhatIsNoPositionIsRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "no offset behind an @",
		"webcheck.checks":                 "no offset behind an @",
		"webcheck.checks/3":               "no offset behind an @",
		"webcheck.checks@1":               "no partition",
		"/3@1":                            `"" cannot be the name of a topic`,
		"../3@1":                          "cannot be the name",
		"a b/3@1":                         `"a b" cannot be the name`,
		"a\x1b[2J/3@1":                    `\x1b[2J" cannot be the name`,
		"a/@1":                            `partition "" is not a whole number`,
		"a/-1@1":                          `partition "-1" is not`,
		"a/+1@1":                          `partition "+1" is not`,
		"a/03@1":                          `partition "03" is not`,
		"a/2147483648@1":                  `partition "2147483648" is too large`,
		"a/3@":                            `offset "" is not`,
		"a/3@1 ":                          `offset "1 " is not`,
		"a/3@0x1":                         `offset "0x1" is not`,
		"a/3@9223372036854775808":         "is too large",
		"a/3@-9223372036854775809":        "is too large",
		strings.Repeat("a", 250) + "/3@1": "cannot be the name",
	} {
		_, err := ParsePosition(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParsePositionTakesNothingButWhatIsWritten(f *testing.F) {
	for _, text := range []string{"webcheck.checks/3@1042", "a/0@0", "a/b/1@2@3", "a/00@1", "/@", "a/1@-0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePosition(text)
		if err == nil && (p.String() != text || p.Partition < 0 || p.Offset < 0) {
			t.Errorf("%q became %v", text, p)
		}
	})
}
