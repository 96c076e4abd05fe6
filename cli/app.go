package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	urfave "github.com/urfave/cli/v2"
)

// System is what a command sees of the operating system.
type System struct {
	// Stdin is what a person types into, for the one question there is.
	Stdin io.Reader
	// Stdout takes results, Stderr logs and errors.
	Stdout, Stderr io.Writer
	// Env looks a variable up.
	Env func(name string) (value string, found bool)
}

// Process returns the System of this process.
func Process() System {
	return System{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.LookupEnv}
}

// Main runs the command that args (with the program's name first) ask for and returns its exit code: 0 done, 1 failed,
// 2 usage, 3 done and something is down, or not accounted for, 100 a schema may not follow. The first interrupt, termination or hang-up signal ends the command in good order; a
// second one ends the process at once with code 1.
func Main(ctx context.Context, args []string, system System) int {
	ctx, stop := untilSignal(ctx)
	defer stop()
	out := &results{out: system.Stdout}
	system.Stdout = out
	program := &program{System: system}
	app := program.app()
	err := app.RunContext(ctx, flagsFirst(app, args))
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted") // where exactly does not matter to who pressed the key
	}
	if err == nil || isResult(err) {
		err = cmp.Or(out.failure(), err)
	}
	if err != nil && !isResult(err) {
		printError(system.Stderr, err, program.secrets)
	}
	return exitCode(err)
}

// signalBurst is how long after the first signal others count as the same: a terminal, a shell or timeout(1) sends one to
// the process and to its group at once, and a person needs longer to press a key again.
const signalBurst = 300 * time.Millisecond

// untilSignal returns a context that the first signal cancels. A later one ends the process.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup makes it
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go obeySignals(signals, done, cancel, func() { os.Exit(exitFailed) })
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// obeySignals calls stop for the first signal and exit for one that is not of the same burst, until done is closed.
func obeySignals(signals <-chan os.Signal, done <-chan struct{}, stop, exit func()) {
	var first time.Time
	for {
		select {
		case <-signals:
			switch {
			case first.IsZero():
				first = time.Now()
				stop()
			case time.Since(first) > signalBurst:
				exit()
			}
		case <-done:
			return
		}
	}
}

// program is one run of the command line.
type program struct {
	System
	config  *Config
	secrets *scrubber
	logger  *slog.Logger
}

// app builds the command line anew: urfave keeps the state of a run in it.
func (p *program) app() *urfave.App {
	app := &urfave.App{
		Name:            "webcheck",
		Usage:           "watch web sites, and keep what was seen in Kafka and PostgreSQL",
		Description:     "Start with \"webcheck up https://example.com\": it needs nothing else.",
		Version:         version(),
		HideHelpCommand: true,
		Writer:          p.Stdout,
		ErrWriter:       p.Stderr,
		ExitErrHandler:  func(*urfave.Context, error) {},
		OnUsageError:    usageFault,
		Action:          noCommand,
		Commands: []*urfave.Command{
			p.upCommand(), p.checkCommand(), p.initCommand(), p.probeCommand(), p.processCommand(), p.replayCommand(), p.verifyCommand(), p.deadCommand(),
			p.tailCommand(), p.targetsCommand(), p.schemaCommand(), p.topicsCommand(), p.dbCommand(), p.benchCommand(),
		},
	}
	app.DisableSliceFlagSeparator = true // a flag that may be given again is, and a comma is part of its value
	everyCommand(app.Commands, func(c *urfave.Command) {
		c.HideHelpCommand = true
		c.OnUsageError = usageFault
		if len(c.Subcommands) > 0 {
			c.Action = noCommand
		}
	})
	return app
}

func everyCommand(commands []*urfave.Command, do func(*urfave.Command)) {
	for _, c := range commands {
		do(c)
		everyCommand(c.Subcommands, do)
	}
}

// version is what the build says of itself: a release's number, or the commit where Go recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " " + s.Value
		}
	}
	return text + " " + info.GoVersion
}

// usageFault turns what the flag parser says into a usage error with a way out.
func usageFault(c *urfave.Context, err error, _ bool) error {
	name := commandName(c)
	text := strings.Replace(err.Error(), "flag provided but not defined: ", "there is no flag ", 1)
	if flag, found := strings.CutPrefix(text, "there is no flag -"); found {
		var names []string
		for _, f := range c.Command.Flags {
			names = append(names, "--"+f.Names()[0])
		}
		flag = "--" + strings.TrimLeft(flag, "-")
		text = "there is no flag " + flag + didYouMean(flag, names)
	}
	return usageError{withHint(errors.New(text), fmt.Sprintf("%q lists the flags", name+" --help"))}
}

// noCommand answers a missing or unknown command.
func noCommand(c *urfave.Context) error {
	name := commandName(c)
	if !c.Args().Present() {
		_ = urfave.ShowSubcommandHelp(c)
		return usageError{withHint(fmt.Errorf("%q needs a command", name), fmt.Sprintf("%q lists them", name+" --help"))}
	}
	var names []string
	for _, command := range c.Command.Subcommands {
		names = append(names, command.Name)
	}
	wrong := c.Args().First()
	return usageError{withHint(fmt.Errorf("there is no command %q%s", wrong, didYouMean(wrong, names)), fmt.Sprintf("%q lists the commands", name+" --help"))}
}

// commandName is what a person types for the command of c.
func commandName(c *urfave.Context) string {
	if c.Command.HelpName != "" {
		return c.Command.HelpName
	}
	return "webcheck"
}

// flagsFirst moves flags that stand after other arguments before them, because people write them there and urfave then
// takes them for arguments. What follows "--" stays.
func flagsFirst(app *urfave.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	head, rest := args[:1:1], args[1:]
	commands, flags := app.Commands, app.Flags
	for len(rest) > 0 {
		command := findCommand(commands, rest[0])
		if command == nil {
			break
		}
		head, rest = append(head, rest[0]), rest[1:]
		commands, flags = command.Subcommands, command.Flags
	}
	if len(commands) > 0 {
		return args
	}
	var arguments []string
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == "--":
			return append(append(append(head, "--"), arguments...), rest[i+1:]...)
		case len(rest[i]) < 2 || rest[i][0] != '-':
			arguments = append(arguments, rest[i])
		default:
			head = append(head, rest[i])
			if takesValue(flags, rest[i]) && i+1 < len(rest) {
				i++
				head = append(head, rest[i])
			}
		}
	}
	if len(arguments) == 0 {
		return head
	}
	return append(append(head, "--"), arguments...)
}

func findCommand(commands []*urfave.Command, name string) *urfave.Command {
	for _, c := range commands {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// takesValue reports whether the argument after this flag is the flag's value.
func takesValue(flags []urfave.Flag, argument string) bool {
	name := strings.TrimLeft(argument, "-")
	for _, f := range flags {
		for _, known := range f.Names() {
			if known == name {
				documented, is := f.(urfave.DocGenerationFlag)
				return is && documented.TakesValue()
			}
		}
	}
	return false
}
