// Package cli is where people and the operating system meet webcheck: arguments, environment, configuration file, terminal
// and signals come in; results on standard output, logs on standard error and an exit code go out.
//
// It guarantees that every fault of a configuration is reported at once and with its place, that a secret is never printed,
// that nothing from the outside reaches a terminal with its control characters, and that each error becomes one sentence,
// with a hint on a second line where there is one. Exit codes are 0 done, 1 failed, 2 usage, 3 done and something is down, or
// not accounted for, 100 a schema may not follow those before it.
//
// It never checks a site, encodes an event or writes a row by itself: each command connects the rooms that do.
// One file is one command; [Settings] is the one table from which flags, variables, file keys and documentation are made.
//
//	func main() {
//		embedded.ChildMain()
//		os.Exit(cli.Main(context.Background(), os.Args, cli.Process()))
//	}
package cli
