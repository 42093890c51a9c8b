package archive

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
)

// told reads a partition to its end: the offsets of its events, and what it says
// is missing, each gap behind the events that come before it.
func told(t *testing.T, s *Source, p int) (offsets []int64, gaps []ingest.Gap) {
	t.Helper()
	for {
		var b event.Batch
		_, err := s.ReadEvents(t.Context(), p, 7, &b, nil)
		for _, g := range s.Missing(p) {
			if n := len(b.Events); n > 0 && b.Events[n-1].Offset < g.To {
				t.Errorf("%+v is told with the events up to %d, must be with those behind it", g, b.Events[n-1].Offset)
			}
			gaps = append(gaps, g)
		}
		for i := range b.Events {
			offsets = append(offsets, b.Events[i].Offset)
		}
		if errors.Is(err, io.EOF) {
			return offsets, gaps
		}
		if err != nil && !errors.As(err, new(*ingest.ErrSource)) {
			t.Fatal(err)
		}
	}
}

// threeFiles writes an archive of two partitions in three files. Of partition 1
// lines were rejected between the files: there are no such offsets.
func threeFiles(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	for i := range int64(3) {
		at := start + i*2*hour
		must(t, a.Add(t.Context(), Part{"edge", 0}, uint64(i), simple(i*100, at, 100), nil))
		must(t, a.Add(t.Context(), Part{"edge", 1}, uint64(i), simple(i*1000+5, at, 10), nil))
		must(t, a.Finish(t.Context()))
	}
	must(t, a.Close())
	files, err := filepath.Glob(filepath.Join(dir, "edge", "*.parquet"))
	must(t, err)
	if len(files) != 3 {
		t.Fatal(files)
	}
	return dir, files
}

func TestAFileThatIsLostIsMissed(t *testing.T) {
	dir, files := threeFiles(t)
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	for p := range 2 {
		if _, gaps := told(t, sources[0], p); len(gaps) > 0 {
			t.Errorf("nothing is missing of partition %d, and yet: %+v", p, gaps)
		}
	}
	must(t, sources[0].Close())
	for name, lose := range map[string]func() error{
		"deleted": func() error { return os.Rename(files[1], files[1]+".away") },
		"emptied": func() error { return os.WriteFile(files[1], nil, 0o600) },
	} {
		must(t, lose())
		sources, err := OpenFiles([]string{dir}, ReadConfig{})
		must(t, err)
		offsets, gaps := told(t, sources[0], 0)
		want := []ingest.Gap{{
			Partition: 0, From: 100, To: 200, Since: time.Unix(0, start+99*int64(time.Second)).UTC(),
			Why: "the archive's files between 2026-03-06T04-0001.parquet and 2026-03-06T08-0001.parquet are not there, or cannot be read",
		}}
		if !reflect.DeepEqual(gaps, want) || len(offsets) != 200 {
			t.Errorf("%s: %d events and %+v,\nmust be 200 and %+v", name, len(offsets), gaps, want)
		}
		// What the offsets between files alone would say is wrong: 15 to 1004 never were.
		if _, gaps = told(t, sources[0], 1); len(gaps) != 1 || gaps[0].From != 15 || gaps[0].To != 1015 {
			t.Errorf("%s: %+v", name, gaps)
		}
		must(t, sources[0].Close())
	}
}

func TestTheFirstFilesOfAnArchiveMayBeGone(t *testing.T) {
	_, files := threeFiles(t)
	sources, err := OpenFiles(files[1:], ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	if offsets, gaps := told(t, sources[0], 0); len(gaps) > 0 || len(offsets) != 200 {
		t.Errorf("%d events, %+v: a limit on its size, or who replays, may well leave them out", len(offsets), gaps)
	}
}

// Only the list of positions knows of the last files.
func TestTheLastFileThatIsLostIsMissed(t *testing.T) {
	dir, files := threeFiles(t)
	since := time.Unix(0, start+2*hour+99*int64(time.Second)).UTC()
	want := ingest.Gap{
		Partition: 0, From: 200, To: 300, Since: since,
		Why: "the archive's list of positions says that it had files up to there, and the last are not there, or cannot be read",
	}
	open := func(what string, paths ...string) (offsets []int64, gaps []ingest.Gap) {
		t.Helper()
		sources, err := OpenFiles(paths, ReadConfig{})
		if err != nil || len(sources) != 1 {
			t.Fatalf("%s: %v, %d sources", what, err, len(sources))
		}
		defer func() { must(t, sources[0].Close()) }()
		return told(t, sources[0], 0)
	}
	// Who leaves the last ones out, or reads them elsewhere, misses nothing.
	if offsets, gaps := open("the first ones", files[:2]...); len(gaps) > 0 || len(offsets) != 200 {
		t.Errorf("%d events of the first two files, %+v", len(offsets), gaps)
	}
	elsewhere := t.TempDir()
	copyDir(t, filepath.Join(dir, "edge"), filepath.Join(elsewhere, "edge"))
	must(t, os.Remove(filepath.Join(elsewhere, "edge", filepath.Base(files[2]))))
	if _, gaps := open("a copy without positions", elsewhere); len(gaps) > 0 {
		t.Errorf("nobody knows what a copy had: %+v", gaps)
	}
	for name, lose := range map[string]func() error{
		"deleted": func() error { return os.Rename(files[2], files[2]+".away") },
		"emptied": func() error { return os.WriteFile(files[2], nil, 0o600) },
	} {
		must(t, lose())
		for _, paths := range [][]string{{dir}, files[:2]} {
			if name == "emptied" && len(paths) == 2 {
				continue // it is there, and was not asked for
			}
			if offsets, gaps := open(name, paths...); len(gaps) != 1 || gaps[0] != want || len(offsets) != 200 {
				t.Errorf("%s: %d events and %+v,\nmust be 200 and %+v", name, len(offsets), gaps, want)
			}
		}
	}
}

// What an older weir wrote does not say what it follows.
func TestFilesThatDoNotSayWhatTheyFollowAreNamed(t *testing.T) {
	dir, _ := threeFiles(t)
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	s := sources[0]
	defer s.Close()
	if files := s.Unchained(); len(files) > 0 {
		t.Errorf("all say what they follow, and yet: %v", files)
	}
	older := s.parts[1].files[2]
	for i := range older.about.Partitions { // of partition 0 it goes on where the one before ends
		older.about.Partitions[i].Follows = 0
	}
	if files := s.Unchained(); len(files) != 1 || files[0] != older.path {
		t.Errorf("%v, must be %s", files, older.path)
	}
}

func TestWhatAFileCannotGiveIsMissed(t *testing.T) {
	dir, files := threeFiles(t)
	b, err := os.ReadFile(files[1])
	must(t, err)
	for i := range 600 { // its first row group, not what it says of itself
		b[4+i] ^= 0x55
	}
	must(t, os.WriteFile(files[1], b, 0o600))
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	offsets, gaps := told(t, sources[0], 0)
	if len(gaps) != 1 || gaps[0].From > 200 || gaps[0].To != 200 || !strings.Contains(string(gaps[0].Why), filepath.Base(files[1])+" cannot be read") {
		t.Errorf("%+v", gaps)
	}
	if slices.ContainsFunc(offsets, func(o int64) bool { return o >= gaps[0].From && o < gaps[0].To }) {
		t.Errorf("%v holds some of %+v", offsets, gaps)
	}
}

// From when on events are missing is what all of those before say, not the last one:
// that may have been late.
func TestWhatIsMissingBeginsBehindTheLatestTime(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	first := simple(0, start, 100)
	first[99].Time = start - hour/2
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, first, nil))
	must(t, a.Finish(t.Context()))
	must(t, a.Add(t.Context(), Part{"edge", 0}, 1, simple(100, start+2*hour, 100), nil))
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	files, err := filepath.Glob(filepath.Join(dir, "edge", "*.parquet"))
	must(t, err)
	b, err := os.ReadFile(files[1])
	must(t, err)
	for i := range 600 {
		b[4+i] ^= 0x55
	}
	must(t, os.WriteFile(files[1], b, 0o600))
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	_, gaps := told(t, sources[0], 0)
	if want := time.Unix(0, start+98*int64(time.Second)).UTC(); len(gaps) != 1 || gaps[0].Since != want {
		t.Errorf("%+v, must be missing from %v on", gaps, want)
	}
}

func TestAFileThatIsMadeOnceMoreHasNoFileBeforeItLost(t *testing.T) {
	dir := t.TempDir()
	part := Part{"edge", 0}
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), part, 0, simple(10, start, 100), nil))
	a.syncing.Lock()
	a.marks.finished(part, 109, start) // as when its first file was lost behind that
	a.syncing.Unlock()
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	files, err := filepath.Glob(filepath.Join(dir, "edge", "*.parquet"))
	must(t, err)
	f, err := openFile(files[0])
	must(t, err)
	defer f.close()
	if at := f.about.Partitions[0].Follows; at != 0 {
		t.Errorf("it follows %d, must follow nothing that is known", at)
	}
}

func TestHolesAreToldUpToALimit(t *testing.T) {
	r := &reader{}
	for i := range int64(maxHoles + 5) {
		r.miss(hole{from: 10 * i, to: 10*i + 1})
	}
	if n := len(r.holes); n != maxHoles || r.holes[n-1].to != 10*(maxHoles+4)+1 {
		t.Errorf("%d holes up to %d", n, r.holes[len(r.holes)-1].to)
	}
}

// What a run had read beyond its position is cut off when the next one begins, as
// the log gives it again. Where it is gone from there, a replay is told; what no
// run had read is in the journal.
func TestWhatIsToBeReadAgainAndIsGoneIsMissed(t *testing.T) {
	dir, part := t.TempDir(), Part{"edge", 0}
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 100), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 40}))
	must(t, a.Close())
	for range 2 { // it is not forgotten while there is no event behind it
		a, err := Open(config(dir, "edge"))
		must(t, err)
		if at := a.Reached("edge")[0]; at != 100 {
			t.Errorf("reached %d, must be 100", at)
		}
		must(t, a.Resume(t.Context(), map[Part]int64{part: 40}))
		must(t, a.Finish(t.Context()))
		must(t, a.Close())
	}
	a = opened(t, config(dir, "edge"), map[Part]int64{part: 40})
	must(t, a.AddBehind(t.Context(), part, 0, []ingest.Gap{{From: 40, To: 100}}, nil, nil))
	must(t, a.Add(t.Context(), part, 1, simple(100, start+hour, 10), nil))
	must(t, a.AddBehind(t.Context(), part, 2, []ingest.Gap{{From: 110, To: 200}}, simple(200, start+2*hour, 10), nil))
	must(t, a.Finish(t.Context()))
	if at := a.Reached("edge")[0]; at != 210 || a.Stats().Lost != 1 {
		t.Errorf("reached %d, must be 210: %+v", at, a.Stats())
	}
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	events, gaps := told(t, sources[0], 0)
	if len(gaps) != 1 || gaps[0].From != 40 || gaps[0].To != 100 || !strings.Contains(string(gaps[0].Why), "was to be read from the log again") {
		t.Errorf("%+v, must be what is missing", gaps)
	}
	if len(events) != 60 {
		t.Errorf("%d events, must be 60", len(events))
	}
}

// What files have is not missing, though the log cannot give it again.
func TestWhatFilesHaveIsNotMissedWhereTheLogIsGone(t *testing.T) {
	dir, part := t.TempDir(), Part{"edge", 0}
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 100), nil))
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	a = opened(t, config(dir, "edge"), map[Part]int64{part: 40})
	if at := a.Reached("edge")[0]; at != 100 {
		t.Errorf("reached %d, must be 100", at)
	}
	must(t, a.AddBehind(t.Context(), part, 0, []ingest.Gap{{From: 40, To: 100}}, simple(100, start+hour, 10), nil))
	must(t, a.Finish(t.Context()))
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	if events, gaps := told(t, sources[0], 0); len(gaps) != 0 || len(events) != 110 {
		t.Errorf("%d events and %+v, must be 110 and nothing missing", len(events), gaps)
	}
}
