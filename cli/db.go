package cli

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
)

func (p *program) dbCommand() *urfave.Command {
	sections := []string{"postgres", "log", ""}
	return &urfave.Command{
		Name:        "db",
		Usage:       "make the tables, show their migrations, or drop them",
		Description: "Example:\n  webcheck db migrate --postgres-url env:DATABASE_URL",
		Subcommands: []*urfave.Command{
			{
				Name:  "migrate",
				Usage: "apply the migrations that the database does not have yet",
				Description: "Several may run at the same time; they wait for one another.\n\n" +
					"Example:\n  webcheck db migrate --postgres-url env:DATABASE_URL",
				Flags: flags(nil, sections), Before: noArguments, Action: p.withDatabase(p.migrate),
			},
			{
				Name:        "status",
				Usage:       "show which migrations the database has",
				Description: "Example:\n  webcheck db status --postgres-url env:DATABASE_URL",
				Flags:       flags(nil, sections), Before: noArguments, Action: p.withDatabase(p.showMigrations),
			},
			{
				Name:  "drop",
				Usage: "remove all tables of webcheck, with everything in them",
				Description: "Asks for the database's name. The events in Kafka stay, so that the tables can be made again from them.\n\n" +
					"Example:\n  webcheck db drop --postgres-url env:DATABASE_URL --yes-drop webcheck",
				Flags: flags([]urfave.Flag{
					&urfave.StringFlag{Name: "yes-drop", Usage: "do not ask; `NAME` is the name of the database"},
				}, sections),
				Before: noArguments,
				Action: func(c *urfave.Context) error {
					return p.withDatabase(func(ctx context.Context, pool *pgxpool.Pool) error {
						return p.dropTables(ctx, pool, c.String("yes-drop"), c.IsSet("yes-drop"))
					})(c)
				},
			},
		},
	}
}

// withDatabase gives an action the database.
func (p *program) withDatabase(do func(context.Context, *pgxpool.Pool) error) urfave.ActionFunc {
	return func(c *urfave.Context) error {
		s, err := p.loadAndReach(c, need{postgres: true})
		if err != nil {
			return err
		}
		defer s.close()
		return do(c.Context, s.pool)
	}
}

func (p *program) migrate(ctx context.Context, pool *pgxpool.Pool) error {
	applied, err := processor.Migrate(ctx, pool)
	if err != nil {
		return err
	}
	out := newPrinter(p.Stdout, p.Env)
	for _, m := range applied {
		out.printf("applied %s", m.File)
	}
	if len(applied) == 0 {
		out.printf("nothing to apply")
	}
	return nil
}

func (p *program) showMigrations(ctx context.Context, pool *pgxpool.Pool) error {
	all, err := processor.Migrations(ctx, pool)
	if err != nil {
		return err
	}
	out := newPrinter(p.Stdout, p.Env)
	missing := 0
	for _, m := range all {
		state := "applied"
		if !m.Applied {
			state = "missing"
			missing++
		}
		out.printf("%s  %s", state, m.File)
	}
	if missing > 0 {
		return withHint(fmt.Errorf("%d of %d migrations are missing", missing, len(all)), `run "webcheck db migrate"`)
	}
	return nil
}

// dropTables drops only when the database's name was given, by flag or typed by a person at a terminal.
func (p *program) dropTables(ctx context.Context, pool *pgxpool.Pool, typed string, given bool) error {
	var name string
	if err := pool.QueryRow(ctx, "SELECT current_database()").Scan(&name); err != nil {
		return fmt.Errorf("asking for the database's name: %w", err)
	}
	out := newPrinter(p.Stdout, p.Env)
	if !given {
		question := fmt.Sprintf("This removes all tables of webcheck in the database %q. Type its name to go on: ", printable(name))
		var err error
		if typed, err = p.answer(question, "nothing was dropped", "give the database's name with --yes-drop"); err != nil {
			return err
		}
	}
	if typed != name {
		return fmt.Errorf("nothing was dropped: %q is not the database's name", typed)
	}
	if err := processor.Drop(ctx, pool); err != nil {
		return err
	}
	out.printf("dropped the tables of webcheck in the database %q", printable(name))
	return nil
}
