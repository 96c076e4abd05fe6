package evolve

import "webcheck/schemas"

// event is what follows a schema by hand.
type event struct {
	topic  string
	corpus string // folder of its versions
	table  string
	copies []string // tables that are made like it
	// collate is whether texts of the table compare by byte.
	collate bool
	// places that name every column of the table.
	places []place
	// writer is where the event is made, and what with.
	writer string
	// goCopy is the function that makes the event of a row, field by field; empty where one is converted to the other.
	goCopy place
}

// place is a part of a file: from what begins it to what ends it.
type place struct{ file, name, begin, end string }

func statement(file, name string) place {
	return place{file, name, "-- name: " + name + " ", "\n-- name: "}
}

func (e event) subject() string { return schemas.Subject(e.topic) }

// events are all there are, by the record's name.
var events = map[string]event{
	"CheckCompleted": {
		topic: schemas.TopicChecks, corpus: "schemas/testdata/corpus", table: "checks", copies: []string{"incoming_checks"}, collate: true,
		places: []place{
			statement("queries/checks.sql", "CopyChecks"), statement("queries/checks.sql", "CopyIncomingChecks"),
			statement("queries/checks.sql", "MergeIncomingChecks"), statement("queries/verify.sql", "PageChecks"),
		},
		writer: "package prober (observe.go and trace.go fill the others)",
	},
	"TargetDefined": {
		topic: schemas.TopicTargets, corpus: "schemas/testdata/corpus/TargetDefined", table: "definitions", collate: true,
		places: []place{
			statement("queries/folds.sql", "InsertDefinition"),
			{"processor/rebuild_follow.go", "definitionsAfter", "func (r *Rebuilder) definitionsAfter(", "\n}\n"},
		},
		writer: "package prober (definition.go fills the others; if the definition's JSON has it too, its version changes with it)",
	},
	"TargetTransitioned": {
		topic: schemas.TopicTransitions, corpus: "schemas/testdata/corpus/TargetTransitioned", table: "outbox",
		places: []place{statement("queries/folds.sql", "InsertOutbox")},
		writer: "package processor (announce.go and change.go fill the others)",
		goCopy: place{"processor/transition_outbox.go", "transitionedEvent", "func transitionedEvent(", "\n}\n"},
	},
}
