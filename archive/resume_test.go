package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// story is what happens to an archive: partitions whose events go over several
// hours, one of them behind, one with large steps, one that ends early.
func story(r *rand.Rand) map[Part]stream {
	all := make(map[Part]stream)
	add := func(p Part, n int, at, step int64) {
		var st stream
		for i := range n {
			e := simple(int64(i*3), at+int64(i)*step-int64(r.IntN(int(minute))), 1)[0]
			e.Offset, e.ID = int64(i*3), fmt.Sprint(p, i)
			st.events = append(st.events, e)
			st.appended = append(st.appended, e.Time+1)
		}
		all[p] = st
	}
	add(Part{"edge", 0}, 200, start, 20*minute)
	add(Part{"edge", 1}, 200, start-2*hour, 20*minute)
	add(Part{"edge", 7}, 60, start, 70*minute)
	add(Part{"edge", 3}, 20, start, minute)
	add(Part{"cdn", 0}, 150, start+30*minute, 40*minute)
	return all
}

// feeder adds a story's events in batches, from positions on.
type feeder struct {
	story map[Part]stream
	next  map[Part]int // of its events
	seq   map[Part]uint64
}

func feed(story map[Part]stream, positions map[Part]int64) *feeder {
	f := &feeder{story: story, next: make(map[Part]int), seq: make(map[Part]uint64)}
	for p, st := range story {
		for f.next[p] < len(st.events) && st.events[f.next[p]].Offset < positions[p] {
			f.next[p]++
		}
	}
	return f
}

// add adds the next batch, of up to n events, of a partition.
func (f *feeder) add(t testing.TB, a *Archive, p Part, n int) {
	t.Helper()
	st, i := f.story[p], f.next[p]
	j := min(i+n, len(st.events))
	must(t, a.Add(context.Background(), p, f.seq[p], st.events[i:j], st.appended[i:j]))
	f.next[p] = j
	f.seq[p]++
}

// positions returns how far it is.
func (f *feeder) positions() map[Part]int64 {
	all := make(map[Part]int64)
	for p, i := range f.next {
		if st := f.story[p]; i < len(st.events) {
			all[p] = st.events[i].Offset
		} else {
			all[p] = st.events[i-1].Offset + 1
		}
	}
	return all
}

// rest adds all that is left and finishes.
func (f *feeder) rest(t testing.TB, a *Archive) {
	t.Helper()
	for p, st := range f.story {
		for f.next[p] < len(st.events) {
			f.add(t, a, p, 50)
		}
	}
	must(t, a.Sync(context.Background(), f.positions()))
	must(t, a.Finish(context.Background()))
}

// ended opens what a kill left, goes on from positions, and returns whether all
// events of the story are there once.
func ended(t *testing.T, dir string, story map[Part]stream, positions map[Part]int64) {
	t.Helper()
	a, err := Open(config(dir, "edge", "cdn"))
	must(t, err)
	must(t, a.Resume(context.Background(), positions))
	feed(story, positions).rest(t, a)
	if st := a.Stats(); st.Lost != 0 || st.Why != "" {
		t.Errorf("%+v", st)
	}
	must(t, a.Close())
	same(t, readAll(t, 100, dir), story)
	if left := spoolsOf(t, dir); len(left) > 0 {
		t.Errorf("spools are left: %v", left)
	}
}

func TestAKillAtAnyMomentLosesAndDoublesNothing(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 1))
		story := story(r)
		dir := t.TempDir()
		a, err := Open(config(dir, "edge", "cdn"))
		must(t, err)
		var kills []func()
		n := 0
		inForce := map[Part]int64{}
		kill := func() { // as the directory is now, by the checkpoint in force
			at, positions := filepath.Join(t.TempDir(), fmt.Sprint(n)), inForce
			n++
			copyDir(t, dir, at)
			kills = append(kills, func() { ended(t, at, story, positions) })
		}
		steps := 0
		a.hit = func(step string) {
			if steps++; steps%3 == int(seed%3) {
				kill()
			}
		}
		must(t, a.Resume(t.Context(), nil))
		f := feed(story, nil)
		parts := []Part{{"edge", 0}, {"edge", 1}, {"edge", 7}, {"edge", 3}, {"cdn", 0}}
		for range 40 {
			for _, p := range parts {
				f.add(t, a, p, r.IntN(12))
			}
			if r.IntN(4) == 0 {
				positions := f.positions()
				must(t, a.Sync(t.Context(), positions))
				kill()
				before := inForce
				inForce = positions
				must(t, a.Passed(t.Context(), positions))
				must(t, a.done.wait(t.Context()))
				if r.IntN(8) == 0 { // the same process begins again, from an older one too
					if r.IntN(2) == 0 && a.Stats().Files == 0 {
						positions, inForce = before, before
					}
					must(t, a.Resume(t.Context(), positions))
					f = feed(story, positions)
				}
			}
		}
		f.rest(t, a)
		must(t, a.Close())
		same(t, readAll(t, 100, dir), story)
		for _, again := range kills {
			again()
		}
		t.Logf("seed %d: %d kills, %d files", seed, len(kills), len(parquets(t, dir)))
	}
}

func TestASpoolIsCutAtAnyOffset(t *testing.T) {
	story := story(rand.New(rand.NewPCG(9, 9)))
	delete(story, Part{"cdn", 0})
	dir := t.TempDir()
	a, err := Open(config(dir, "edge", "cdn"))
	must(t, err)
	must(t, a.Resume(t.Context(), nil))
	f := feed(story, nil)
	f.story = story
	for range 4 {
		for p := range story {
			f.add(t, a, p, 7)
		}
	}
	must(t, a.Sync(t.Context(), f.positions()))
	must(t, a.Close())
	for at := int64(0); at <= 28*3; at += 4 {
		dir2 := filepath.Join(t.TempDir(), "a")
		copyDir(t, dir, dir2)
		positions := map[Part]int64{{"edge", 0}: at, {"edge", 1}: 28*3 - at, {"edge", 7}: 9}
		ended(t, dir2, story, positions)
	}
}

func TestATornEndIsCutAtAnyByte(t *testing.T) {
	story := map[Part]stream{{"edge", 0}: story(rand.New(rand.NewPCG(9, 9)))[Part{"edge", 0}]}
	dir := t.TempDir()
	a, err := Open(config(dir, "edge", "cdn"))
	must(t, err)
	must(t, a.Resume(t.Context(), nil))
	f := feed(story, nil)
	f.add(t, a, Part{"edge", 0}, 10)
	positions := f.positions()
	must(t, a.Sync(t.Context(), positions))
	synced := size(t, spoolsOf(t, dir)[0])
	f.add(t, a, Part{"edge", 0}, 10)
	must(t, a.Close())
	whole := size(t, spoolsOf(t, dir)[0])
	if whole <= synced {
		t.Fatalf("%d bytes, must be more than %d", whole, synced)
	}
	for at := synced; at <= whole; at += 17 {
		for _, garbage := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x01\xff\xff\xff"} {
			dir2 := filepath.Join(t.TempDir(), "a")
			copyDir(t, dir, dir2)
			spool := spoolsOf(t, dir2)[0]
			b, err := os.ReadFile(spool)
			must(t, err)
			must(t, os.WriteFile(spool, append(b[:at:at], garbage...), 0o600))
			a, err := Open(config(dir2, "edge", "cdn"))
			must(t, err)
			must(t, a.Resume(t.Context(), positions))
			if st := a.Stats(); st.Lost != 0 {
				t.Fatalf("cut at %d: %+v", at, st)
			}
			f := feed(story, positions)
			f.add(t, a, Part{"edge", 0}, 10)
			must(t, a.Finish(t.Context()))
			must(t, a.Close())
			same(t, readAll(t, 100, dir2), map[Part]stream{{"edge", 0}: {events: story[Part{"edge", 0}].events[:20], appended: story[Part{"edge", 0}].appended[:20]}})
		}
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func TestWhatFilesHaveIsNotWrittenAgain(t *testing.T) {
	// The state is made again from the log's beginning: the archive is not.
	story := story(rand.New(rand.NewPCG(5, 5)))
	for _, lose := range []string{"", marksFile} {
		dir := t.TempDir()
		a, err := Open(config(dir, "edge", "cdn"))
		must(t, err)
		must(t, a.Resume(t.Context(), nil))
		f := feed(story, nil)
		for range 12 {
			for p := range story {
				f.add(t, a, p, 15)
			}
		}
		must(t, a.Sync(t.Context(), f.positions()))
		must(t, a.Passed(t.Context(), f.positions()))
		must(t, a.done.wait(t.Context()))
		if a.Stats().Files < 3 || len(spoolsOf(t, dir)) == 0 {
			t.Fatalf("%+v, there must be files and spools", a.Stats())
		}
		must(t, a.Close())
		if lose != "" {
			must(t, os.Remove(filepath.Join(dir, lose)))
		}
		a, err = Open(config(dir, "edge", "cdn"))
		must(t, err)
		must(t, a.Resume(t.Context(), nil))
		f = feed(story, nil)
		f.rest(t, a)
		if a.Stats().PassedOver == 0 {
			t.Error("nothing was passed over")
		}
		must(t, a.Close())
		same(t, readAll(t, 100, dir), story)
	}
}

func TestAGapIsSaid(t *testing.T) {
	// The archive was off while 300 offsets passed.
	dir := t.TempDir()
	part := Part{"edge", 0}
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 100), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 100}))
	must(t, a.Close())
	for range 2 { // it is not forgotten while there is no event behind it
		a = opened(t, config(dir, "edge"), map[Part]int64{part: 400})
		if a.Stats().Lost != 1 {
			t.Errorf("%+v", a.Stats())
		}
		must(t, a.Sync(t.Context(), map[Part]int64{part: 400}))
		must(t, a.Close())
	}
	a = opened(t, config(dir, "edge"), map[Part]int64{part: 400})
	must(t, a.Add(t.Context(), part, 0, simple(400, start+hour, 10), nil))
	if a.Stats().Lost != 1 {
		t.Errorf("%+v", a.Stats())
	}
	must(t, a.Finish(t.Context()))
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	events, gaps := told(t, sources[0], 0)
	if len(gaps) != 1 || gaps[0].From != 100 || gaps[0].To != 400 || !strings.Contains(string(gaps[0].Why), "the archive was off meanwhile") {
		t.Errorf("%+v, must be what is missing", gaps)
	}
	if len(events) != 110 {
		t.Errorf("%d events, must be 110", len(events))
	}
}

// frameAt returns where frame i of a spool has its head and its body.
func frameAt(b []byte, i int) (head, body int) {
	for at := 0; ; i-- {
		h, rest, err := readHead(b[at:])
		if err != nil {
			panic(err)
		}
		if body = len(b) - len(rest); i == 0 {
			return at, body
		}
		at = body + h.Body
	}
}

func TestADamagedSpoolIsSaidAndTheRestIsKept(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(b []byte) []byte
		want   int
	}{
		"cut":              {func(b []byte) []byte { _, at := frameAt(b, 10); return b[:at] }, 110},
		"a flipped body":   {func(b []byte) []byte { _, at := frameAt(b, 9); b[at+20] ^= 1; return b }, 200},
		"a flipped length": {func(b []byte) []byte { at, _ := frameAt(b, 9); b[at+3] ^= 1; return b }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			part := Part{"edge", 0}
			a := opened(t, config(dir, "edge"), nil)
			for i := range 20 {
				must(t, a.Add(t.Context(), part, uint64(i), simple(int64(i)*10, start+int64(i)*minute, 10), nil))
			}
			must(t, a.Sync(t.Context(), map[Part]int64{part: 200}))
			must(t, a.Close())
			spool := spoolsOf(t, dir)[0]
			b, err := os.ReadFile(spool)
			must(t, err)
			must(t, os.WriteFile(spool, tt.damage(b), 0o600))
			a = opened(t, config(dir, "edge"), map[Part]int64{part: 200})
			must(t, a.Add(t.Context(), part, 0, simple(200, start+hour, 10), nil))
			must(t, a.Finish(t.Context()))
			if a.Stats().Lost != 1 {
				t.Errorf("%+v, one loss must be said", a.Stats())
			}
			sources, err := OpenFiles([]string{dir}, ReadConfig{})
			must(t, err)
			defer sources[0].Close()
			events, gaps := told(t, sources[0], 0)
			if len(gaps) != 1 || len(events) != tt.want || events[len(events)-1] != 209 {
				t.Fatalf("%+v and %d events, must be one gap and %d", gaps, len(events), tt.want)
			}
			if i := slices.IndexFunc(events, func(o int64) bool { return o >= gaps[0].From && o < gaps[0].To }); i >= 0 {
				t.Errorf("%+v holds event %d", gaps[0], events[i])
			}
		})
	}
}

func TestAnHourThatNobodyAddsToIsFinished(t *testing.T) {
	// One partition ends for good; the others must not wait for it with their files.
	dir := t.TempDir()
	cfg := config(dir, "edge")
	a := opened(t, cfg, nil)
	gone, goes := Part{"edge", 0}, Part{"edge", 1}
	must(t, a.Add(t.Context(), gone, 0, simple(0, start, 10), nil))
	positions := map[Part]int64{gone: 10}
	for i := range uint64(50) {
		must(t, a.Add(t.Context(), goes, i, simple(int64(i)*10, start+int64(i)*hour, 10), nil))
		positions[goes] = int64(i)*10 + 10
		must(t, a.Sync(t.Context(), positions))
		must(t, a.Passed(t.Context(), positions))
		must(t, a.done.wait(t.Context()))
		if files := a.Stats().Files; i < 24 && files > 0 || i >= 24 && files == 0 {
			t.Fatalf("hour %d: %d files", i, files)
		}
	}
	// It comes back, in its hour.
	must(t, a.Add(t.Context(), gone, 1, simple(10, start+30*minute, 10), nil))
	must(t, a.Finish(t.Context()))
	got := readAll(t, 100, dir)
	if len(got[gone].events) != 20 || len(got[goes].events) != 500 {
		t.Errorf("%d and %d events, must be 20 and 500", len(got[gone].events), len(got[goes].events))
	}
}

func TestBeginningAgainKeepsWhatWaitsToBeAFile(t *testing.T) {
	// A reload, or an older checkpoint, while a sealed spool is not a file yet.
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	part, other := Part{"edge", 0}, Part{"edge", 1}
	in := filepath.Join(dir, "edge", "2026-03-06T04-0001.parquet.tmp")
	must(t, os.Mkdir(in, 0o700)) // nothing can be written there
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	must(t, a.Add(t.Context(), other, 0, simple(0, start+30*hour, 10), nil))
	positions := map[Part]int64{part: 10, other: 10}
	must(t, a.Sync(t.Context(), positions))
	must(t, a.Passed(t.Context(), positions))
	if n := a.Stats().Pending; n != 1 {
		t.Fatalf("%d files wait, must be 1", n)
	}
	must(t, a.Resume(t.Context(), map[Part]int64{part: 5, other: 10}))
	must(t, a.Add(t.Context(), part, 0, simple(5, start, 5), nil))
	must(t, a.Add(t.Context(), part, 1, append(simple(10, start-hour, 10), simple(20, start+31*hour, 10)...), nil))
	must(t, os.Remove(in))
	must(t, a.Finish(t.Context()))
	got := readAll(t, 100, dir)
	if len(got[part].events) != 30 || len(got[other].events) != 10 {
		t.Errorf("%d and %d events, must be 30 and 10", len(got[part].events), len(got[other].events))
	}
}
