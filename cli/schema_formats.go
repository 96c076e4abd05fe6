package cli

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// The formats of "webcheck schema check".
const (
	formatText   = "text"
	formatJSON   = "json"   // one array
	formatJUnit  = "junit"  // a test suite for each subject
	formatGitHub = "github" // commands that GitHub's runner makes annotations of
)

func checkFormats() []string { return []string{formatText, formatJSON, formatJUnit, formatGitHub} }

// verdict writes what a check found.
func (p *printer) verdict(v *verdict, format string) error {
	switch format {
	case formatJSON:
		if v.findings == nil {
			return p.json([]schemaFinding{})
		}
		return p.json(v.findings)
	case formatJUnit:
		return p.junit(v)
	case formatGitHub:
		for _, f := range v.findings {
			p.printf("%s", f.annotation())
		}
	default:
		for _, f := range v.findings {
			p.violation(f)
		}
	}
	p.printf("%s", v)
	return nil
}

// violation writes a violation as compilers do, with what to do below it.
func (p *printer) violation(f schemaFinding) {
	p.printf("%s %s %s", p.paint(red, printable(f.place()+":")), printable(f.sentence()), p.paint(faint, "["+printable(f.about())+"]"))
	if f.Hint != "" {
		p.printf("    %s", printable(f.Hint))
	}
}

// place is the file, with line and column where they are known.
func (f schemaFinding) place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// sentence is the message, with the field before it where it does not name it.
func (f schemaFinding) sentence() string {
	if f.Field == "" || strings.Contains(f.Message, strconv.Quote(f.Field)) {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

// about is the rule that is broken, who breaks, and against what.
func (f schemaFinding) about() string {
	parts := []string{f.Rule}
	if f.Side != "" {
		parts = append(parts, string(f.Side))
	}
	if f.Against != "" {
		parts = append(parts, "against "+f.Against)
	}
	return strings.Join(parts, ", ")
}

var (
	// gitHubData and gitHubProperty escape what a runner's command says, and the value of a property (actions/toolkit, command.ts).
	gitHubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// annotation is a command for GitHub's runner.
func (f schemaFinding) annotation() string {
	text := f.sentence() + " [" + f.about() + "]"
	if f.Hint != "" {
		text += "\n" + printable(f.Hint)
	}
	return fmt.Sprintf("::error file=%s,line=%d,col=%d,title=%s::%s", gitHubProperty.Replace(printable(f.File)), max(f.Line, 1), max(f.Column, 1),
		gitHubProperty.Replace(printable(f.Rule)), gitHubData.Replace(printableLines(text)))
}

// junitSuites is a report in the form that Jenkins and others read.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

// junitCase is a violation, or the schema as a whole where it has none.
type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func (p *printer) junit(v *verdict) error {
	report := junitSuites{Name: "webcheck schema check"}
	for _, s := range v.judged {
		suite := junitSuite{Name: s.subject}
		for _, f := range v.of(s.subject) {
			failure := &junitFailure{Message: printable(f.sentence()), Type: f.Rule, Text: printable(f.place() + ": " + f.sentence() + " [" + f.about() + "]")}
			if f.Hint != "" {
				failure.Text += "\n" + printable(f.Hint)
			}
			suite.Cases = append(suite.Cases, junitCase{printable(strings.TrimSpace(f.Field + " " + f.about())), s.name, s.file, f.Line, failure})
			suite.Failures++
		}
		if suite.Failures == 0 {
			suite.Cases = []junitCase{{Name: "follows at " + string(v.levels[s.subject]), Class: s.name, File: s.file}}
		}
		suite.Tests = len(suite.Cases)
		report.Tests, report.Failures = report.Tests+suite.Tests, report.Failures+suite.Failures
		report.Suites = append(report.Suites, suite)
	}
	text, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	p.printf("%s%s", xml.Header, text)
	return nil
}
