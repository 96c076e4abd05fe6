package prober

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// benchEvents are emitted at once.
const benchEvents = 2000

// processCPU is what the process has used.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkEmitBesideABareClient emits events to a broker in this process, and produces the same without an emitter, in
// turns, and compares the CPU of both, broker included.
func BenchmarkEmitBesideABareClient(b *testing.B) {
	broker := newBroker(b)
	config := broker.config(b)
	config.After = time.Minute
	k := startEmitter(b, config)
	bare := broker.client(b)
	encoder := checksEncoder()
	var emitting, producing time.Duration
	for b.Loop() {
		var acks sync.WaitGroup
		acks.Add(2 * benchEvents)
		began := processCPU(b)
		for n := range benchEvents {
			k.Emit(numbered(fmt.Sprint("target-", n%100), n), func(err error) {
				if err != nil {
					b.Error(err)
				}
				acks.Done()
			})
		}
		if err := k.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		emitted := processCPU(b)
		for n := range benchEvents {
			e := numbered(fmt.Sprint("target-", n%100), n)
			value, err := encoder.AppendEncode(nil, e)
			if err != nil {
				b.Fatal(err)
			}
			record := &kgo.Record{Topic: broker.topic, Key: []byte(e.TargetID), Value: value}
			bare.TryProduce(context.Background(), record, func(*kgo.Record, error) { acks.Done() })
		}
		if err := bare.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		acks.Wait()
		emitting += emitted - began
		producing += processCPU(b) - emitted
	}
	events := float64(b.N * benchEvents)
	b.ReportMetric(float64(emitting.Nanoseconds())/events/1000, "cpu-us/emitted")
	b.ReportMetric(float64(producing.Nanoseconds())/events/1000, "cpu-us/bare")
	b.ReportMetric(float64(emitting)/float64(producing), "emitted/bare")
}

// BenchmarkSpool appends events to the disk in groups of a thousand, reads them and removes them.
func BenchmarkSpool(b *testing.B) {
	s := openTestSpool(b, b.TempDir())
	var appending, draining time.Duration
	for b.Loop() {
		began := time.Now()
		for n := range 20 {
			if err := s.apply(someEvents(n*1000, 1000, 200), nil); err != nil {
				b.Fatal(err)
			}
		}
		appended := time.Now()
		for s.records > 0 {
			events, err := s.read(0, drainRecords, drainBytes)
			if err != nil {
				b.Fatal(err)
			}
			var remove []uint64
			for _, e := range events {
				remove = append(remove, e.seq)
			}
			if err := s.apply(nil, remove); err != nil {
				b.Fatal(err)
			}
		}
		appending += appended.Sub(began)
		draining += time.Since(appended)
	}
	b.ReportMetric(float64(appending.Nanoseconds())/float64(b.N*20_000)/1000, "us/appended")
	b.ReportMetric(float64(draining.Nanoseconds())/float64(b.N*20_000)/1000, "us/drained")
}
