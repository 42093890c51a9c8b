package emit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"weir/event"
	logseal "weir/internal/seal"
)

// disk is what a power failure would leave: of each file what was synced last,
// and in each directory the files that it had when it was synced last.
type disk struct {
	files map[uint64][]byte
	dirs  map[string]map[string]uint64
}

func inode(t *testing.T, info os.FileInfo) uint64 {
	t.Helper()
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("%s: a file without an inode", info.Name())
	}
	return stat.Ino
}

// watchDisk notes what is synced until the test ends, which must not be parallel.
func watchDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{files: map[uint64][]byte{}, dirs: map[string]map[string]uint64{}}
	really := syncFile
	t.Cleanup(func() { syncFile = really })
	syncFile = func(f *os.File) error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if !info.IsDir() {
			content := make([]byte, info.Size())
			if _, err := f.ReadAt(content, 0); err != nil && len(content) > 0 {
				return err
			}
			d.files[inode(t, info)] = content
			return really(f)
		}
		entries, err := os.ReadDir(f.Name())
		if err != nil {
			return err
		}
		names := map[string]uint64{}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return err
			}
			names[e.Name()] = inode(t, info)
		}
		d.dirs[f.Name()] = names
		return really(f)
	}
	return d
}

// keeps fails the test if a power failure now would leave another file at path
// than the one that is there.
func (d *disk) keeps(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	n := inode(t, info)
	if safe := d.files[n]; !bytes.Equal(safe, content) {
		t.Errorf("%s has %d bytes, of which %d are synced", filepath.Base(path), len(content), len(safe))
	}
	if d.dirs[filepath.Dir(path)][filepath.Base(path)] != n {
		t.Errorf("%s is not in its directory yet, as far as that is synced", filepath.Base(path))
	}
}

func TestDecisionsAreOnDiskWhenTheyWereAdded(t *testing.T) {
	disk := watchDisk(t)
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	d, _, err := OpenDecisions(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i := range 5 {
		if i == 3 {
			d.seal.Set(logseal.Seal{Size: decisionsFile - 1}) // with the next one it is put aside
		}
		at := dawn.Add(time.Duration(i) * time.Second)
		if err := d.Add([]event.Decision{ruled("a", at, "ip", "198.51.100.7"), ruled("b", at, "ip", "198.51.100.8")}); err != nil {
			t.Fatal(err)
		}
		disk.keeps(t, path)
	}
	disk.keeps(t, filepath.Join(filepath.Dir(path), "decisions-1.jsonl"))
}

func TestTheLinesOfALedgerAreOnDiskWhenTheyWereAdded(t *testing.T) {
	disk := watchDisk(t)
	path := filepath.Join(t.TempDir(), LedgerName)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	for i := range 60 {
		if i == 3 {
			l.limits.fileBytes = 1 // from now on a file is put aside when it is twice its head
		}
		l.add(ruled("r", dawn, "ip", fmt.Sprintf("198.51.100.%d", i)))
		disk.keeps(t, path)
	}
	for n := range l.file.number {
		if n > 0 {
			disk.keeps(t, asidePath(filepath.Dir(path), n))
		}
	}
	if l.file.number < 4 {
		t.Errorf("the ledger has %d files, want some", l.file.number)
	}
	if _, err := l.Block(targetOf("ip", "198.51.100.200"), event.Block, "", time.Hour, "ann", "told so"); err != nil {
		t.Fatal(err)
	}
	disk.keeps(t, path)
	l.tick(2 * time.Hour) // all ends
	disk.keeps(t, path)
}

// The lines of a replay are synced at its end, and a file before it is put aside.
func TestTheLedgerOfAReplayIsOnDiskAtItsEnd(t *testing.T) {
	disk := watchDisk(t)
	path := filepath.Join(t.TempDir(), LedgerName)
	l := reopened(t, path, nil, &Guards{})
	for i := range 60 {
		if i == 3 {
			l.limits.fileBytes = 1
		}
		l.add(ruled("r", dawn.Add(time.Duration(i)*time.Second), "ip", fmt.Sprintf("198.51.100.%d", i)))
	}
	files := l.file.number
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	disk.keeps(t, path)
	for n := range files {
		if n > 0 {
			disk.keeps(t, asidePath(filepath.Dir(path), n))
		}
	}
	if files < 4 {
		t.Errorf("the ledger has %d files, want some", files)
	}
}

// A list is on disk when it was applied.
func TestAPlainListIsOnDiskWhenItWasApplied(t *testing.T) {
	disk := watchDisk(t)
	p := textPoint(t, FileConfig{})
	for _, texts := range []string{"198.51.100.7/32", "198.51.100.7/32 198.51.100.8/32"} {
		if err := p.Apply(t.Context(), List{}, entriesOf(texts)); err != nil {
			t.Fatal(err)
		}
		disk.keeps(t, p.path)
	}
}
