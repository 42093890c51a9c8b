package archive

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A log that was deleted and created anew has offsets that the archive has events
// of. They are of another log: what was archived of the earlier one stays, in a
// directory of its own, and the new one is archived from its beginning.
func TestALogThatBeginsAnewIsArchivedFromItsBeginning(t *testing.T) {
	for name, c := range map[string]struct {
		was, log string
		anew     bool // as the source says
		aside    bool
	}{
		"another topic":                     {"a", "b", false, true},
		"another, as the source says":       {"a", "b", true, true},
		"the same, read again by a new run": {"a", "a", true, false}, // before a checkpoint said so
		"nobody knows which":                {"", "", true, true},
		"the same":                          {"a", "a", false, false},
		"one that is known by now":          {"", "b", false, false},
		"of brokers that do not say":        {"a", "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := config(dir, "edge", "cdn")
			part, other := Part{"edge", 0}, Part{"cdn", 0}
			a, err := Open(cfg)
			must(t, err)
			if aside, err := a.ReadsFrom(t.Context(), "edge", c.was, false); err != nil || aside != "" {
				t.Fatalf("put aside as %q, %v", aside, err)
			}
			must(t, a.Resume(t.Context(), nil))
			must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
			must(t, a.Finish(t.Context()))
			// Another hour is open when the process is killed; of it a part is decided.
			must(t, a.Add(t.Context(), part, 1, simple(10, start+24*hour, 10), nil))
			must(t, a.Add(t.Context(), other, 0, simple(0, start, 10), nil))
			must(t, a.Sync(t.Context(), map[Part]int64{part: 15, other: 10}))
			must(t, a.Close())

			positions := map[Part]int64{part: 15, other: 10} // of the earlier log
			a, err = Open(cfg)
			must(t, err)
			t.Cleanup(func() { must(t, a.Close()) })
			aside, err := a.ReadsFrom(t.Context(), "edge", c.log, c.anew)
			must(t, err)
			must(t, a.Resume(t.Context(), positions))
			if st := a.Stats(); st.Lost != 0 {
				t.Errorf("%d events or hours are lost", st.Lost)
			}
			again := simple(0, start+25*hour, 18)
			want := append(simple(0, start, 10), again[10:]...) // of the same log what files have is passed over
			if !c.aside && !c.anew {
				want = append(append(simple(0, start, 10), simple(10, start+24*hour, 5)...), again[15:]...)
				again = again[15:]
			}
			must(t, a.Add(t.Context(), part, 0, again, nil))
			must(t, a.Add(t.Context(), other, 0, simple(10, start+hour, 5), nil))
			must(t, a.Sync(t.Context(), map[Part]int64{part: 18, other: 15}))
			must(t, a.Finish(t.Context()))
			cdn := map[Part]stream{other: {events: append(simple(0, start, 10), simple(10, start+hour, 5)...)}}
			same(t, readAll(t, 100, filepath.Join(dir, "cdn")), cdn)
			earlier := append(simple(0, start, 10), simple(10, start+24*hour, 10)...)
			if !c.aside {
				if aside != "" {
					t.Fatalf("put aside as %s", aside)
				}
				same(t, readAll(t, 100, filepath.Join(dir, "edge")), map[Part]stream{part: {events: want}})
				return
			}
			if aside != filepath.Join(dir, "edge", "before-1") {
				t.Fatalf("put aside as %q", aside)
			}
			same(t, readAll(t, 100, aside), map[Part]stream{part: {events: earlier}})
			same(t, readAll(t, 100, filepath.Join(dir, "edge")), map[Part]stream{part: {events: again}})
			if files, _, err := finishedFiles(dir); err != nil || len(files) != 4 {
				t.Errorf("%d files count for the limit on their size, %v; must be 4", len(files), err)
			}
			// The next run is of the new log.
			must(t, a.Close())
			a, err = Open(cfg)
			must(t, err)
			if aside, err := a.ReadsFrom(t.Context(), "edge", c.log, false); err != nil || aside != "" {
				t.Errorf("put aside again as %q, %v", aside, err)
			}
			if got := a.Reached("edge"); got[0] != 18 {
				t.Errorf("the new log was read up to %d, must be 18", got[0])
			}
		})
	}
}

// ofLogA opens an archive of a source that is read from a log called a.
func ofLogA(t *testing.T) (Config, Part, *Archive) {
	t.Helper()
	cfg := config(t.TempDir(), "edge")
	a := opened(t, cfg, nil)
	_, err := a.ReadsFrom(t.Context(), "edge", "a", false)
	must(t, err)
	return cfg, Part{"edge", 0}, a
}

// A crash while files are put aside leaves what the next start goes on with.
func TestFilesThatWereBeingPutAsideStayTogether(t *testing.T) {
	cfg, part, a := ofLogA(t)
	var all stream
	for i := range int64(3) {
		more := simple(10*i, start+i*24*hour, 10)
		all.events = append(all.events, more...)
		must(t, a.Add(t.Context(), part, uint64(i), more, nil))
	}
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	files, _, err := finishedFiles(cfg.Dir)
	must(t, err)
	moving := filepath.Join(cfg.Dir, "edge", "before-0")
	must(t, os.Mkdir(moving, 0o700))
	must(t, os.Rename(files[0].path, filepath.Join(moving, filepath.Base(files[0].path))))
	a, err = Open(cfg)
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	aside, err := a.ReadsFrom(t.Context(), "edge", "b", false)
	must(t, err)
	same(t, readAll(t, 100, aside), map[Part]stream{part: all})
	if left, _, err := finishedFiles(cfg.Dir); err != nil || len(left) != len(files) {
		t.Errorf("%d files, must be %d: %v", len(left), len(files), err)
	}
}

// What is left of the earlier log is never dropped: where it cannot become a file
// the run does not begin.
func TestNothingOfAnEarlierLogIsDroppedForWantOfRoom(t *testing.T) {
	cfg, part, a := ofLogA(t)
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 10}))
	must(t, a.Close())
	full := cfg
	full.Reserve, full.free = 1<<20, func(string) (int64, error) { return 1<<20 - 1, nil }
	a, err := Open(full)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if aside, err := a.ReadsFrom(ctx, "edge", "b", false); err == nil {
		t.Errorf("put aside as %q without room", aside)
	}
	must(t, a.Close())
	a, err = Open(cfg)
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	aside, err := a.ReadsFrom(t.Context(), "edge", "b", false)
	must(t, err)
	same(t, readAll(t, 100, aside), map[Part]stream{part: {events: simple(0, start, 10)}})
}
