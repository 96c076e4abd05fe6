package embedded

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeBytes is how much an unprivileged process may still write to the file system that holds dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("asking for the free space of %q: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// needSpace refuses to begin work in dir that is known to end in a full disk.
func needSpace(dir string, need int64, what string) error {
	free, err := freeBytes(dir)
	if err != nil || free >= need {
		return err
	}
	return withHint(hintSpace, "starting %s in %q: %d MiB free, %d MiB needed", what, dir, free>>20, need>>20)
}

// writeFile replaces path as a whole: after a crash at any moment it holds the old bytes or the new ones.
func writeFile(path string, data []byte, mode os.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return explain(fmt.Errorf("writing %q: %w", path, err))
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = explain(fmt.Errorf("writing %q: %w", path, err))
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename or a new file in dir last over a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writeJSON(path string, v any, mode os.FileMode) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return writeFile(path, append(data, '\n'), mode)
}
