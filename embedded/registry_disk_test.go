package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTornLastLineIsForgotten(t *testing.T) {
	dir := dataDir(t)
	s, cl := startTestRegistry(t, dir)
	register(t, cl, "s", schemaA)
	register(t, cl, "s", optional)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "registry", "schemas.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(whole, '\n') + 1
	for cut := first + 1; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := openStore(path)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		if n := len(store.live("s")); n != 1 {
			t.Fatalf("cut at %d: %d versions, want 1", cut, n)
		}
		if err := store.close(); err != nil {
			t.Fatal(err)
		}
	}
	_, cl = startTestRegistry(t, dir)
	if v := register(t, cl, "s", optional).Version; v != 2 {
		t.Errorf("registered as version %d, want 2", v)
	}
}

func TestDamageElsewhereStopsTheStart(t *testing.T) {
	dir := dataDir(t)
	s, cl := startTestRegistry(t, dir)
	register(t, cl, "s", schemaA)
	register(t, cl, "s", optional)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "registry", "schemas.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole[bytes.IndexByte(whole, '\n')/2] ^= 0x01
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = StartRegistry(t.Context(), RegistryConfig{Dir: dir})
	wantFault(t, err, "line 1 is damaged", "from a copy")
}

func TestFullDiskRefusesASchemaAndKeepsTheRest(t *testing.T) {
	dir := smallDisk(t, 256<<10)
	_, cl := startTestRegistry(t, dir)
	register(t, cl, "s", schemaA)
	free := fill(t, dir, 0)
	large := strings.Replace(optional, `"name":"R"`, `"name":"R","doc":"`+strings.Repeat("x", 8<<10)+`"`, 1)
	_, err := cl.CreateSchema(t.Context(), "s", avroText(large))
	wantRefusal(t, err, 500, 50001)
	free()
	if got := register(t, cl, "s", large); got.Version != 2 {
		t.Errorf("registered as version %d, want 2", got.Version)
	}
}
