package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// repairLogs cuts a torn last entry off kfake's two state logs. kfake reads past it but then appends behind it, where the next
// start would not look any more.
func repairLogs(dir string) error {
	for _, name := range []string{"groups.log", "pids.log"} {
		path := filepath.Join(dir, name)
		raw, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if whole := wholeEntries(raw); whole < len(raw) {
			if err := os.Truncate(path, int64(whole)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wholeEntries is the length of the part of raw that consists of whole entries: length (4, little-endian, of what follows the
// checksum), CRC-32C (4), version (2) and data.
func wholeEntries(raw []byte) int {
	pos := 0
	for pos+10 <= len(raw) {
		n := int(binary.LittleEndian.Uint32(raw[pos:]))
		if n < 2 || n > len(raw)-pos-8 {
			break
		}
		if crc32.Checksum(raw[pos+8:pos+8+n], castagnoli) != binary.LittleEndian.Uint32(raw[pos+4:]) {
			break
		}
		pos += 8 + n
	}
	return pos
}

// floor is where a partition ended when it was last looked at, so that it goes on from there when retention leaves it empty.
// The topic's id tells it from an earlier topic of the same name.
type floor struct {
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id"`
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"`
}

func floorsFile(dir string) string { return filepath.Join(dir, "floors.json") }

// storedTopics reads kfake's list of topics; the id's form is its business.
func storedTopics(dir string) (names, ids []string, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "topics.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var stored struct {
		Topics []struct {
			Name string          `json:"name"`
			ID   json.RawMessage `json:"id"`
		} `json:"topics"`
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, nil, fmt.Errorf("reading %q: %w", filepath.Join(dir, "topics.json"), err)
	}
	for _, t := range stored.Topics {
		names, ids = append(names, t.Name), append(ids, string(t.ID))
	}
	return names, ids, nil
}

// keepFloors writes down where every partition ends. The caller holds mu.
func (b *Broker) keepFloors() error {
	names, ids, err := storedTopics(b.dir)
	if err != nil {
		return err
	}
	floors := []floor{}
	for i, name := range names {
		for _, p := range b.cluster.PartitionInfos(name) {
			if p.HighWatermark > 0 {
				floors = append(floors, floor{Topic: name, TopicID: ids[i], Partition: p.Partition, Next: p.HighWatermark})
			}
		}
	}
	return writeJSON(floorsFile(b.dir), floors, 0o600)
}

// restoreFloors puts an empty batch in front of each partition that has no file left: it makes kfake go on with the next
// offset where it would begin at 0 again, and readers skip it.
func restoreFloors(dir string) error {
	data, err := os.ReadFile(floorsFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var floors []floor
	if err := json.Unmarshal(data, &floors); err != nil {
		return fmt.Errorf("reading %q: %w", floorsFile(dir), err)
	}
	names, ids, err := storedTopics(dir)
	if err != nil {
		return err
	}
	live := make(map[string]string, len(names))
	for i, name := range names {
		live[name] = ids[i]
	}
	for _, f := range floors {
		if live[f.Topic] != f.TopicID {
			continue
		}
		if err := f.restore(dir); err != nil {
			return err
		}
	}
	return nil
}

func (f floor) restore(dir string) error {
	// Kafka's topic names need no escaping in a path.
	dir = filepath.Join(dir, "partitions", fmt.Sprintf("%s-%d", f.Topic, f.Partition))
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".dat") && info.Size() > 0 {
			return nil
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, fmt.Sprintf("%d.dat", f.Next-1)), emptyBatch(f.Next-1), 0o600)
}

// emptyBatch is a record batch that takes one offset and holds no record, as compaction in Kafka leaves them.
func emptyBatch(offset int64) []byte {
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.Magic = offset, 2
	b.FirstTimestamp = time.Now().UnixMilli()
	b.MaxTimestamp = b.FirstTimestamp
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}
