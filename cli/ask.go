package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// answer asks a person at the terminal before something is lost, and returns the line that was typed. Without an answer, undone
// says that nothing was; where nobody can be asked, hint says how else to answer.
func (p *program) answer(question, undone, hint string) (string, error) {
	if !isTerminal(p.Stdin) {
		return "", withHint(errors.New(undone+": there is nobody to ask"), hint)
	}
	fmt.Fprint(p.Stderr, question)
	line, err := bufio.NewReader(p.Stdin).ReadString('\n')
	if errors.Is(err, io.EOF) {
		fmt.Fprintln(p.Stderr)
		return "", errors.New(undone + ": no answer")
	}
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
