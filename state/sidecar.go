package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// sidecarFile stands outside of Badger and says what must be in it.
const sidecarFile = "store.json"

// sidecar tells a store from one that was emptied, is older or is another's.
type sidecar struct {
	ID         string `json:"id"`
	Format     int    `json:"format"`
	Units      int    `json:"units"`
	KeyID      string `json:"key"`
	Generation uint64 `json:"generation"`
	Tick       int64  `json:"tick"`
}

// sealed is how the sidecar is written: whatever the format, the sum is of the
// bytes of what is in it.
type sealed struct {
	Store json.RawMessage `json:"store"`
	Sum   string          `json:"sum"`
}

// readSidecar reads a directory's sidecar; nil where there is none.
func readSidecar(dir string) (*sidecar, error) {
	b, err := os.ReadFile(filepath.Join(dir, sidecarFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := decodeSidecar(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sidecarFile, err)
	}
	return c, nil
}

func decodeSidecar(b []byte) (*sidecar, error) {
	var s sealed
	var c sidecar
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if want := checksum(s.Store); s.Sum != want {
		return nil, fmt.Errorf("%w: checksum %q, must be %q", ErrCorrupt, s.Sum, want)
	}
	if err := json.Unmarshal(s.Store, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return &c, nil
}

func checksum(b []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)) }

// write puts the sidecar in the place of the one before, whole or not at all.
func (c sidecar) write(dir string) error {
	inner, err := json.Marshal(c)
	if err != nil {
		return err
	}
	b, err := json.Marshal(sealed{Store: inner, Sum: checksum(inner)})
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, sidecarFile), append(b, '\n'))
}

// replaceFile writes a file anew: under another name, synced, renamed.
func replaceFile(path string, b []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(next)
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}
