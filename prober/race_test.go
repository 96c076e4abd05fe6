//go:build race

package prober

// underRace is whether the race detector watches.
const underRace = true
