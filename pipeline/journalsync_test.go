package pipeline

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Marks are on disk when Append returns: what was synced of the file is all of
// it, and the directory was synced since the file has its name.
func TestMarksAreOnDiskWhenTheyWereAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	var content []byte          // of the file that was synced last
	var synced, dir os.FileInfo // it, and what the name meant when its directory was
	really := syncFile
	t.Cleanup(func() { syncFile = really })
	syncFile = func(f *os.File) error {
		info, err := f.Stat()
		switch {
		case err != nil:
			return err
		case info.IsDir():
			if dir, err = os.Stat(path); err != nil {
				return err
			}
		default:
			content, synced = make([]byte, info.Size()), info
			if _, err := f.ReadAt(content, 0); err != nil && len(content) > 0 {
				return err
			}
		}
		return really(f)
	}
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	keeps := func(lines int) {
		t.Helper()
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if synced == nil || !os.SameFile(info, synced) || !bytes.Equal(now, content) || bytes.Count(now, []byte("\n")) != lines {
			t.Errorf("the journal is %q, want %d lines; synced is %q", now, lines, content)
		}
		if dir == nil || !os.SameFile(info, dir) {
			t.Error("the journal's name was not synced since it means this file")
		}
	}
	keeps(0)
	// Each is at the same place: when it is written anew, one line is left of them,
	// behind the one that says so.
	for i, lines := range []int{1, 2, 3, 2, 3, 2} {
		if i == 3 {
			j.tidyFrom, j.tidyAt = 1, 1 // now, and whenever it has more than doubled
		}
		if err := j.Append([]Mark{{Event: MarkIdle, Source: "log", Offset: 7, Watermark: int64(1000 + i)}}); err != nil {
			t.Fatal(err)
		}
		keeps(lines)
	}
}
