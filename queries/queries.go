// Package queries holds what webcheck's data looks like at rest, as SQL: the migrations, which are sqlc's schema as well,
// and the statements that sqlc turns into package db ("make generate"). It has no logic; package processor runs it.
package queries

import "embed"

// Migrations has the goose migrations, in the order of their five-digit numbers, under "migrations/".
//
//go:embed migrations/*.sql
var Migrations embed.FS

// CreateIncomingChecks makes, for the rest of the transaction, the table into which checks are copied before they are
// merged. It is a file of its own because sqlc needs to see it as schema too.
//
//go:embed temporary/incoming_checks.sql
var CreateIncomingChecks string
