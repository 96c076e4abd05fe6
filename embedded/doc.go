// Package embedded runs the three services that webcheck stands on, a Kafka broker, a schema registry and PostgreSQL, inside
// or under this process, so that one machine needs nothing installed.
//
// In comes a data directory; out come a broker's address, a registry's URL and a PostgreSQL URL, all on the loopback
// interface only. The directory is held by one process at a time ([Lock]). The services are the same to their clients as
// real ones: Kafka's protocol, the Confluent REST API, PostgreSQL itself.
//
// Guaranteed: what a client was told is written is still there after every process was killed at any moment; a disk that
// fills up refuses new writes with an error that clients retry and breaks nothing; secrets are generated into the directory,
// readable by their owner alone, and appear in no log and in no process's arguments.
//
// The package never opens a port on another interface, never replicates, never deletes a database that it did not just make
// itself, and never stops a process that does not run in its own data directory. It runs on Linux and other Unix systems.
package embedded
