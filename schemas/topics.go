package schemas

import "time"

// The topics that exist in this build.
const (
	// TopicTargets carries TargetDefined events, of which the last one of each target counts; keyed by target id.
	TopicTargets = "webcheck.targets"
	// TopicChecks carries one CheckCompleted event a slot, keyed by target id.
	TopicChecks = "webcheck.checks"
	// TopicTransitions carries one TargetTransitioned event for each change of a target's state, keyed by target id.
	TopicTransitions = "webcheck.transitions"
	// TopicDead carries records that can never be applied: the original key and bytes, cause and origin in headers.
	TopicDead = "webcheck.dead"
)

// Retention of the topics that are kept by time, when nothing else is configured.
const (
	// DefaultChecksRetention is long enough to replay a month, which is the longest a fold is expected to lag.
	DefaultChecksRetention = 30 * 24 * time.Hour
	// DefaultTransitionsRetention outlives the checks: transitions are few, and what was told is asked about later.
	DefaultTransitionsRetention = 90 * 24 * time.Hour
	// DefaultDeadRetention outlives the checks, so that a dead letter can be looked at after a holiday.
	DefaultDeadRetention = 90 * 24 * time.Hour
)

// deadMaxBytes is twice what a broker takes elsewhere unless told otherwise: a dead letter is its record and more.
const deadMaxBytes = 2 << 20

// Topic says how a topic of webcheck is meant to be created.
type Topic struct {
	// Name of the topic.
	Name string
	// Compacted is whether the broker keeps the last value of each key instead of keeping values by time.
	Compacted bool
	// Retention is how long a value is kept; zero for a compacted topic.
	Retention time.Duration
	// MaxBytes is the largest batch of records that the broker takes; zero leaves it to the broker's own bound, about 1 MiB.
	MaxBytes int
	// Subject that the values' schema is registered under; empty when the values have no schema of their own.
	Subject string
}

// Topics returns the topics that exist in this build, in the order in which data flows through them.
func Topics() []Topic {
	return []Topic{
		{Name: TopicTargets, Compacted: true, Subject: Subject(TopicTargets)},
		{Name: TopicChecks, Retention: DefaultChecksRetention, Subject: Subject(TopicChecks)},
		{Name: TopicTransitions, Retention: DefaultTransitionsRetention, Subject: Subject(TopicTransitions)},
		{Name: TopicDead, Retention: DefaultDeadRetention, MaxBytes: deadMaxBytes},
	}
}

// Subject returns the registry's subject for the values of topic, by Confluent's TopicNameStrategy.
func Subject(topic string) string {
	return topic + "-value"
}
