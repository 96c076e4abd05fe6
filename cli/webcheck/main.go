// Command webcheck watches web sites and keeps what it saw in Kafka and PostgreSQL. See package cli for its commands.
package main

import (
	"context"
	"os"

	"webcheck/cli"
	"webcheck/embedded"
)

func main() {
	embedded.ChildMain()
	os.Exit(cli.Main(context.Background(), os.Args, cli.Process()))
}
