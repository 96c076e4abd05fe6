package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// defaultReserveBytes is what the broker leaves free: several of the largest produce requests (1 MiB a batch by default),
	// and room for PostgreSQL on the same disk to stop in good order.
	defaultReserveBytes = 64 << 20
	// retentionInterval is how often records past their retention are dropped; Kafka's own default is five minutes, but
	// segments here are small and nothing depends on promptness.
	retentionInterval = time.Hour
	// reopenInterval paces the attempts to go on after a failed write.
	reopenInterval = time.Second
)

// BrokerConfig says where and how a broker runs.
type BrokerConfig struct {
	Dir          string            // data directory, held by this process; the broker's files are below broker/
	Logger       *slog.Logger      // nil discards
	ReserveBytes int64             // free space below which writes are refused; zero: 64 MiB
	TLS          *tls.Config       // nil: plain
	Users        map[string]string // SASL user names and passwords, for PLAIN and SCRAM-SHA-512; empty: no SASL
}

// Broker is one Kafka broker on the loopback interface with its log on disk: franz-go's kfake, every batch synced before it
// is acknowledged. Topics exist only when a client created them.
//
// kfake alone would acknowledge what it did not keep in three cases, each answered here: a retried batch after a failed
// write counts as a duplicate of the one that was never written (every write is refused from the failure on, until the log
// has been opened anew); a topic whose creation could not be written exists only in memory (the same); a partition emptied
// by retention starts again at offset 0 (its end is kept and restored). One case remains: an error of fsync itself is not
// reported by kfake, so a disk that takes writes and then fails to sync them can lose acknowledged records.
type Broker struct {
	cfg    BrokerConfig
	dir    string
	log    *slog.Logger
	failed atomic.Bool   // a write failed in this life of the cluster
	low    atomic.Bool   // free space is under the reserve; kept to say it once
	reopen chan struct{} // holds a token while failed is set and not yet handled
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards what is below, and the cluster's closing
	cluster *kfake.Cluster
	addr    string

	port    int   // of the present or the last life; 0: none. Used by one opening at a time
	saveErr error // of kfake's own closing, which it only logs; set before Close of the cluster returns
}

// StartBroker opens the log in cfg.Dir, repairing what a kill left torn, and listens on the port it had before if that is
// free, else on another. The context is for starting alone.
func StartBroker(ctx context.Context, cfg BrokerConfig) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("starting broker: %w", err)
	}
	if cfg.ReserveBytes == 0 {
		cfg.ReserveBytes = defaultReserveBytes
	}
	b := &Broker{
		cfg:    cfg,
		dir:    filepath.Join(cfg.Dir, "broker"),
		log:    orDiscard(cfg.Logger),
		reopen: make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, explain(fmt.Errorf("starting broker: %w", err))
	}
	if err := needSpace(b.dir, cfg.ReserveBytes, "the broker"); err != nil {
		return nil, err
	}
	b.port = readPort(b.portFile())
	if err := b.open(); err != nil {
		return nil, err
	}
	if err := b.retain(); err != nil { // at each start: not every life lasts until the first interval
		b.cluster.Close()
		return nil, explain(fmt.Errorf("starting broker: %w", err))
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	go b.tend(run)
	b.log.Info("broker is ready", "addr", b.Addr())
	return b, nil
}

// Addr is the broker's host:port.
func (b *Broker) Addr() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addr
}

// Close writes the state down and stops. Connections are cut; nothing acknowledged depends on it.
func (b *Broker) Close() error {
	b.stop()
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster == nil {
		return nil
	}
	err := b.keepFloors()
	b.cluster.Close()
	b.cluster = nil
	if err = errors.Join(err, b.saveErr); err != nil {
		return explain(fmt.Errorf("closing broker: %w", err))
	}
	return nil
}

// open starts a cluster on the files as they are.
func (b *Broker) open() error {
	if err := repairLogs(b.dir); err != nil {
		return explain(fmt.Errorf("starting broker: %w", err))
	}
	if err := restoreFloors(b.dir); err != nil {
		return explain(fmt.Errorf("starting broker: %w", err))
	}
	cluster, err := kfake.NewCluster(b.options()...)
	if err != nil {
		return explain(fmt.Errorf("starting broker: %w", err))
	}
	// The windows tell a repeated batch from a new one. They are only true for the log as it was closed: after a kill they
	// would be stale and take a new batch for a repeated one.
	if err := os.Remove(filepath.Join(b.dir, "seq_windows.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		cluster.Close()
		return fmt.Errorf("starting broker: %w", err)
	}
	cluster.Fault(kfake.Fault{Keys: storingRequests, Err: kerr.KafkaStorageError, Count: -1, When: b.refuses})
	b.failed.Store(false)
	addr := cluster.ListenAddrs()[0]
	_, port, _ := net.SplitHostPort(addr)
	if err := writeFile(b.portFile(), []byte(port+"\n"), 0o600); err != nil {
		cluster.Close()
		return fmt.Errorf("starting broker: %w", err)
	}
	b.port, _ = strconv.Atoi(port)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cluster, b.addr, b.saveErr = cluster, addr, nil
	return nil
}

func (b *Broker) options() []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DataDir(b.dir),
		kfake.SyncWrites(),
		kfake.ListenFn(b.listen),
		kfake.WithLogger(brokerLogger{b}),
		kfake.ClusterID("webcheck"),
		// A hundred years: compaction deletes the old files before the new ones are written, which a kill would not survive,
		// and retention is called from here (see tend).
		kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "3153600000000"}),
	}
	if b.cfg.TLS != nil {
		opts = append(opts, kfake.TLS(b.cfg.TLS))
	}
	if len(b.cfg.Users) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for user, password := range b.cfg.Users {
		opts = append(opts, kfake.Superuser("PLAIN", user, password), kfake.Superuser("SCRAM-SHA-512", user, password))
	}
	return opts
}

// listen takes the port of the last life, so that clients configured by hand find the broker again, else any.
func (b *Broker) listen(string, string) (net.Listener, error) {
	if b.port != 0 {
		if l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port))); err == nil {
			return framed(l, b.cfg.TLS != nil), nil
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return framed(l, b.cfg.TLS != nil), nil
}

func (b *Broker) portFile() string { return filepath.Join(b.dir, "port") }

func readPort(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}

// storingRequests are those whose answer promises that something is on disk. Committed group offsets are not among them:
// they are for lag tools only.
var storingRequests = []kmsg.Key{
	kmsg.Produce, kmsg.CreateTopics, kmsg.CreatePartitions, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs,
}

// refuses is asked for each such request, on the broker's only request goroutine, so no other write comes in between.
func (b *Broker) refuses(kmsg.Request) bool {
	if b.failed.Load() {
		return true
	}
	free, err := freeBytes(b.dir)
	low := err == nil && free < b.cfg.ReserveBytes
	if b.low.Swap(low) != low {
		if low {
			b.log.Warn("broker refuses writes until space is freed", "dir", b.dir, "free_bytes", free, "reserve_bytes", b.cfg.ReserveBytes)
		} else {
			b.log.Info("broker accepts writes again", "dir", b.dir, "free_bytes", free)
		}
	}
	return low
}

// tend drops expired records and opens the log anew after a failed write, until ctx ends.
func (b *Broker) tend(ctx context.Context) {
	defer close(b.done)
	retention := time.NewTicker(retentionInterval)
	defer retention.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-retention.C:
			if err := b.retain(); err != nil {
				b.log.Warn("broker keeps expired records until the next attempt", "error", err)
			}
		case <-b.reopen:
			b.recover(ctx)
		}
	}
}

// retain drops expired records, once the ends of all partitions are on disk.
func (b *Broker) retain() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster == nil {
		return nil
	}
	if err := b.keepFloors(); err != nil {
		return err
	}
	b.cluster.ApplyRetention()
	return nil
}

// recover replaces a cluster that failed to write by one that has read its state from the disk.
func (b *Broker) recover(ctx context.Context) {
	again := time.NewTicker(reopenInterval)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if needSpace(b.dir, b.cfg.ReserveBytes, "the broker") != nil {
			continue
		}
		b.mu.Lock()
		if b.cluster != nil {
			b.cluster.Close()
			b.cluster = nil
		}
		b.mu.Unlock()
		err := os.Remove(filepath.Join(b.dir, "seq_windows.json"))
		if err == nil || errors.Is(err, os.ErrNotExist) {
			err = b.open()
		}
		if err == nil {
			b.log.Info("broker accepts writes again", "dir", b.dir)
			return
		}
		b.log.Warn("broker is not open yet", "error", err)
	}
}

// brokerLogger hears what kfake says. Its complaints about writes are the only sign of a write that failed.
type brokerLogger struct{ b *Broker }

// Logf is called on the goroutine that handles requests, before the request is answered.
func (l brokerLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch {
	case level > kfake.LogLevelWarn || level == kfake.LogLevelNone:
		return
	case level == kfake.LogLevelError:
		l.b.saveErr = fmt.Errorf(strings.ReplaceAll(format, "%v", "%w"), args...)
	case strings.HasPrefix(format, "persist "):
		if !l.b.failed.Swap(true) {
			l.b.log.Warn("broker refuses writes since one failed", "dir", l.b.dir, "error", fmt.Sprintf(format, args...))
		}
		select {
		case l.b.reopen <- struct{}{}:
		default:
		}
		return
	}
	l.b.log.Warn("broker log was mended", "detail", fmt.Sprintf(format, args...))
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
