// Package status reads what people look at: how targets are and were, out of the tables that package processor keeps.
//
// Most of it is the statements of queries/status.sql as they are (package db). Here is what PostgreSQL is too slow for: merging
// histograms of latencies, of which a year has thousands. For one location's year of hours it takes a third of a second by
// latency_us's way of adding and sorting, and a tenth of that here. A chart asks for no more of them than it has points ([Span]).
//
// Never: it writes nothing, and reads neither Kafka nor the table of checks.
package status
