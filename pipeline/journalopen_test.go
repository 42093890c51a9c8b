package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What a write that failed left behind is taken back before the next one.
func TestAfterAFailedWriteTheJournalGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	mark := func(offset int64) Mark { return Mark{Event: MarkWake, Source: "log", Offset: offset, Watermark: 7} }
	if err := j.Append([]Mark{mark(1)}); err != nil {
		t.Fatal(err)
	}
	whole := j.file
	if j.file, err = os.Open(path); err != nil { // one that takes no writes
		t.Fatal(err)
	}
	if err := j.Append([]Mark{mark(2)}); err == nil {
		t.Error("a write that failed is said to be safe")
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	j.file = whole
	if _, err := whole.WriteAt([]byte(`{"event":"wake","source":"l`), j.size()); err != nil { // as far as a disk took it
		t.Fatal(err)
	}
	if err := j.Append([]Mark{mark(3)}); err != nil {
		t.Fatal(err)
	}
	got, torn, err := ReadJournal(path)
	if err != nil || torn != "" || !slices.Equal(got, []Mark{mark(1), mark(3)}) {
		t.Errorf("%v, %q, %v, want marks 1 and 3", got, torn, err)
	}
}

// A partition that is idle for days has a line for each second with decisions.
func TestAJournalThatIsOpenDoesNotGrowWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.tidyFrom, j.tidyAt = 64<<10, 64<<10
	most := int64(0)
	var last Mark
	for round := range 60 {
		var marks []Mark
		for i := range 100 {
			last = Mark{Event: MarkIdle, Source: "log", Partition: int32(i), Offset: 7, Watermark: int64(1_780_000_000 + round)}
			marks = append(marks, last)
		}
		if err := j.Append(marks); err != nil {
			t.Fatal(err)
		}
		most = max(most, j.size())
	}
	if most < 54<<10 || most > 80<<10 {
		t.Errorf("it was at most %d bytes, want about 64 KiB", most)
	}
	got, torn, err := ReadJournal(path)
	if err != nil || torn != "" || len(got) == 0 || got[len(got)-1] != last {
		t.Errorf("%d marks, %q, %v: the last one must be %v", len(got), torn, err, last)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files in its directory, %v", len(entries), err)
	}
}
