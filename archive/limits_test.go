package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"weir/event"
)

func TestTheOldestFilesGoWhenThereAreTooMany(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "edge", "cdn")
	a := opened(t, cfg, nil)
	for i := range uint64(6) {
		for _, s := range []string{"edge", "cdn"} {
			must(t, a.Add(t.Context(), Part{s, 0}, i, simple(int64(i)*10, start+int64(i)*24*hour, 10), nil))
		}
	}
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	all, total, err := finishedFiles(dir)
	must(t, err)
	if len(all) != 12 {
		t.Fatalf("%d files, must be 12", len(all))
	}
	if got := a.Stats().Bytes; got != total {
		t.Errorf("%d bytes, must be %d", got, total)
	}
	// As large as they are: none goes. A byte less: the oldest one.
	for _, tt := range []struct {
		size int64
		left []finishedFile
	}{{total, all}, {total - 1, all[1:]}, {all[10].size + all[11].size, all[10:]}, {1, nil}} {
		cfg.Size = tt.size
		a := opened(t, cfg, nil)
		left, _, err := finishedFiles(dir)
		must(t, err)
		if len(left) != len(tt.left) || len(left) > 0 && left[0] != tt.left[0] {
			t.Errorf("of %d bytes %d files are left, must be %d", tt.size, len(left), len(tt.left))
		}
		if got := a.Stats().Deleted; tt.size == 1 && got != 2 {
			t.Errorf("%d files deleted, must be 2", got)
		}
		must(t, a.Close())
	}
	// What was deleted is not written again either.
	a = opened(t, cfg, nil)
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context()))
	if st := a.Stats(); st.PassedOver != 10 || st.Files != 0 {
		t.Errorf("%+v", st)
	}
}

// A disk on which less than twice the reserve is free: the oldest files go, no
// more of them than that takes.
func TestTheOldestFilesGoWhereTheDiskIsNearlyFull(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "edge")
	a := opened(t, cfg, nil)
	for i := range uint64(6) {
		must(t, a.Add(t.Context(), Part{"edge", 0}, i, simple(int64(i)*10, start+int64(i)*24*hour, 10), nil))
	}
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	all, total, err := finishedFiles(dir)
	must(t, err)
	cfg.Reserve = 1 << 20
	for _, tt := range []struct {
		others int64 // more than leaves twice the reserve free
		left   []finishedFile
	}{{0, all}, {1, all[1:]}, {all[0].size + 1, all[2:]}} {
		cfg.free = func(dir string) (int64, error) {
			_, now, err := finishedFiles(dir)
			return 2<<20 + total - now - tt.others, err
		}
		a := opened(t, cfg, nil)
		left, _, err := finishedFiles(dir)
		must(t, err)
		if len(left) != len(tt.left) || len(left) > 0 && left[0] != tt.left[0] {
			t.Errorf("with %d bytes too few %d files are left, must be %d", tt.others, len(left), len(tt.left))
		}
		must(t, a.Close())
	}
	// While it runs, too: the finisher looks every half minute.
	var free atomic.Int64
	cfg.free = func(string) (int64, error) { return free.Load(), nil }
	free.Store(2 << 20)
	a = opened(t, cfg, nil)
	free.Store(2<<20 - 1)
	a.makeRoom()
	if left, _, err := finishedFiles(dir); err != nil || len(left) != 3 || a.Stats().Deleted != 1 {
		t.Errorf("%d files are left, %v, and %d were deleted; must be 3 and 1", len(left), err, a.Stats().Deleted)
	}
	// And for a file that is larger than the reserve.
	free.Store(2<<20 + 1)
	if err := a.admitFile(&spool{size: 1<<20 + 2}); !errors.Is(err, ErrFull) {
		t.Errorf("%v, must be that the disk is full", err)
	}
	if left, _, err := finishedFiles(dir); err != nil || len(left) != 2 {
		t.Errorf("%d files are left, %v; must be 2", len(left), err)
	}
}

// Below the reserve no file is written; what comes goes on into spools, and is in
// a file when there is room.
func TestAFileWaitsForRoomOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "edge")
	var free atomic.Int64
	cfg.Reserve, cfg.free = 1<<20, func(string) (int64, error) { return free.Load(), nil }
	free.Store(1<<20 - 1)
	a := opened(t, cfg, nil)
	part := Part{"edge", 0}
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	if err := a.Finish(t.Context()); !errors.Is(err, ErrFull) {
		t.Fatalf("%v, must be that the disk is full", err)
	}
	must(t, a.Add(t.Context(), part, 1, simple(10, start+24*hour, 10), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 20}))
	first := a.done.pending()[0]
	free.Store(1<<20 + first.size - 1) // a byte too few
	if err := a.Finish(t.Context()); !errors.Is(err, ErrFull) {
		t.Fatalf("%v, must be that the disk is full", err)
	}
	if files, _, err := finishedFiles(dir); err != nil || len(files) != 0 || a.Stats().Pending != 2 {
		t.Fatalf("%d files, %v, %d wait; must be none and 2", len(files), err, a.Stats().Pending)
	}
	free.Store(4 << 20)
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 100, dir), map[Part]stream{part: {events: append(simple(0, start, 10), simple(10, start+24*hour, 10)...)}})
}

// Where hours that wait to become files are all that is left on a full disk, the
// oldest goes, as a file would; a replay says what is missing.
func TestAnHourThatHasNoRoomGivesWay(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "edge")
	var free atomic.Int64
	cfg.Reserve, cfg.free = 1<<20, func(string) (int64, error) { return free.Load(), nil }
	free.Store(4 << 20)
	a := opened(t, cfg, nil)
	part := Part{"edge", 0}
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context())) // a file
	free.Store(1<<20 + 1)          // hours wait, and nothing has to go
	for i := range int64(2) {
		must(t, a.Add(t.Context(), part, uint64(1+i), simple(10+10*i, start+(1+i)*24*hour, 10), nil))
		if err := a.Finish(t.Context()); !errors.Is(err, ErrFull) {
			t.Fatalf("%v, must be that the disk is full", err)
		}
	}
	if a.done.giveWay(); a.Stats().Pending != 2 {
		t.Fatalf("with the reserve free %d hours wait, must be 2", a.Stats().Pending)
	}
	free.Store(1<<20 - 1)
	a.makeRoom()
	deleted := a.Stats().Deleted
	a.done.giveWay()
	if st := a.Stats(); st.Pending != 1 || st.Deleted != deleted+1 {
		t.Errorf("%d hours wait, %d went; must be 1 and 1", st.Pending, st.Deleted-deleted)
	}
	a.done.mu.Lock()
	a.done.rush++
	a.done.mu.Unlock()
	if a.done.giveWay(); a.Stats().Pending != 1 {
		t.Error("an hour went that somebody waited for")
	}
	a.done.mu.Lock()
	a.done.rush--
	a.done.mu.Unlock()
	free.Store(4 << 20)
	must(t, a.Finish(t.Context()))
	// What is left says behind which offset it follows.
	must(t, a.Add(t.Context(), part, 3, simple(30, start+96*hour, 10), nil))
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 100, dir), map[Part]stream{part: {events: append(simple(20, start+48*hour, 10), simple(30, start+96*hour, 10)...)}})
	must(t, a.Close())
	// It is not asked for again, as it would be if it were only gone.
	a = opened(t, cfg, map[Part]int64{part: 40})
	if st := a.Stats(); st.Lost != 0 || st.Pending != 0 {
		t.Errorf("opened again: %+v", st)
	}
}

// An hour whose end cannot be written down is not given up, nor taken for one that
// was: the file that it becomes says what it follows.
func TestAnHourIsGivenUpOnlyWhereThatCanBeWrittenDown(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "edge")
	var free atomic.Int64
	cfg.Reserve, cfg.free = 1<<20, func(string) (int64, error) { return free.Load(), nil }
	free.Store(4 << 20)
	a := opened(t, cfg, nil)
	part := Part{"edge", 0}
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context()))
	all, _, err := finishedFiles(dir)
	must(t, err)
	must(t, os.Remove(all[0].path)) // as a limit on their size would
	free.Store(1<<20 - 1)
	must(t, a.Add(t.Context(), part, 1, simple(15, start+24*hour, 10), nil))
	if err = a.Finish(t.Context()); !errors.Is(err, ErrFull) {
		t.Fatalf("%v, must be that the disk is full", err)
	}
	inTheWay := filepath.Join(dir, marksFile+tempSuffix)
	must(t, os.Mkdir(inTheWay, 0o700))
	a.done.giveWay()
	if st := a.Stats(); st.Pending != 1 || st.Deleted != 0 {
		t.Fatalf("%d hours wait, %d were given up; must be 1 and none", st.Pending, st.Deleted)
	}
	must(t, os.Remove(inTheWay))
	free.Store(4 << 20)
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 100, dir), map[Part]stream{part: {events: simple(15, start+24*hour, 10)}})
	all, _, err = finishedFiles(dir)
	must(t, err)
	f, err := openFile(all[0].path)
	must(t, err)
	defer f.close()
	if p := f.about.partition(0); p.First != 15 || p.Follows != 10 {
		t.Errorf("the file begins at %d and follows %d, must be 15 and 10", p.First, p.Follows)
	}
}

func TestADiskThatTakesNothingIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	part := Part{"edge", 0}
	must(t, os.Remove(filepath.Join(dir, "edge")))
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	err := a.Sync(t.Context(), map[Part]int64{part: 10})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v, must say that it cannot be written", err)
	}
	if st := a.Stats(); st.Why == "" || st.Queue == 0 {
		t.Errorf("%+v, must say why", st)
	}
	must(t, os.Mkdir(filepath.Join(dir, "edge"), 0o700))
	must(t, a.Add(t.Context(), part, 1, simple(10, start, 10), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 20}))
	if st := a.Stats(); st.Why != "" || st.Queue != 0 || st.Lag != 0 {
		t.Errorf("%+v, must be well again", st)
	}
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 100, dir), map[Part]stream{part: {events: append(simple(0, start, 10), simple(10, start, 10)...)}})
}

func TestAFileThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, simple(0, start, 10), nil))
	in := filepath.Join(dir, "edge", "2026-03-06T04-0001.parquet.tmp")
	must(t, os.Mkdir(in, 0o700))
	if err := a.Finish(t.Context()); err == nil {
		t.Error("no error")
	}
	must(t, os.Remove(in))
	must(t, a.Finish(t.Context()))
	if n := len(readAll(t, 100, dir)[Part{"edge", 0}].events); n != 10 {
		t.Errorf("%d events, must be 10", n)
	}
}

func TestPartitionsInManyHoursTakeFewDescriptors(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	want := make(map[Part]stream)
	add := func(p int32, day int64) {
		part := Part{"edge", p}
		events := simple(int64(len(want[part].events)), start+day*24*hour, 5)
		must(t, a.Add(t.Context(), part, uint64(len(want[part].events)/5), events, nil))
		want[part] = stream{events: append(want[part].events, events...)}
	}
	positions := map[Part]int64{{"edge", 0}: 1 << 60}
	for day := range int64(100) { // a file for each day
		add(0, day)
		if day%50 == 49 {
			must(t, a.Sync(t.Context(), positions))
			must(t, a.Passed(t.Context(), positions))
		}
	}
	for range 2 { // and partitions that are behind, in each of the days
		for p := range int32(99) {
			add(p+1, int64(p))
		}
	}
	must(t, a.do(t.Context(), func() error {
		must(t, a.drain())
		open := 0
		for _, sp := range a.sources["edge"].spools {
			if sp.f != nil {
				open++
			}
		}
		if all := len(a.sources["edge"].spools); open > maxOpen || all < 99 {
			t.Errorf("%d of %d spools are open, at most %d may be", open, all, maxOpen)
		}
		return nil
	}))
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 100, dir), want)
}

func TestAPartitionsFilesAreInItsOrder(t *testing.T) {
	// An event of an hour that its partition has left is with those before it.
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	var want stream
	for i, at := range []int64{0, 24 * hour, 24*hour - minute, 48 * hour, 3 * hour, 72 * hour} {
		events := simple(int64(i)*10, start+at, 10)
		must(t, a.Add(t.Context(), Part{"edge", 0}, uint64(i), events, nil))
		want.events = append(want.events, events...)
	}
	must(t, a.Finish(t.Context()))
	if n := len(parquets(t, dir)); n != 4 {
		t.Errorf("%d files, must be 4", n)
	}
	same(t, readAll(t, 100, dir), map[Part]stream{{"edge", 0}: want})
}

func TestWhatWasBegunAndNotEndedGoes(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "edge"), 0o700))
	for _, name := range []string{"2026-03-06T04-0001.parquet.tmp", "notes.txt"} {
		must(t, os.WriteFile(filepath.Join(dir, "edge", name), []byte("x"), 0o600))
	}
	opened(t, config(dir, "edge"), nil)
	left, err := os.ReadDir(filepath.Join(dir, "edge"))
	must(t, err)
	if len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("%v are left, must be what is not the archive's", left)
	}
}

func TestTheDiskIsTriedAgainWhateverComes(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	part := Part{"edge", 0}
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 10}))
	var sp *spool
	var good *os.File
	must(t, a.do(t.Context(), func() error {
		sp = a.sources["edge"].spools[start]
		bad, err := os.Open(sp.path) // which cannot be written
		good, sp.f = sp.f, bad
		return err
	}))
	must(t, a.Add(t.Context(), part, 1, simple(10, start, 10), nil))
	if err := a.Sync(t.Context(), map[Part]int64{part: 20}); err == nil || a.Stats().Why == "" {
		t.Errorf("%v, %+v: must say that it cannot be written", err, a.Stats())
	}
	must(t, a.do(t.Context(), func() error {
		must(t, sp.f.Close())
		sp.f = good
		return a.drain()
	}))
	if why := a.Stats().Why; why != "" {
		t.Errorf("%s, must be well again", why)
	}
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 100, dir), map[Part]stream{part: {events: append(simple(0, start, 10), simple(10, start, 10)...)}})
}

func TestMemoryDoesNotGrowWithWhatWasWritten(t *testing.T) {
	a := opened(t, config(t.TempDir(), "edge"), nil)
	var most int64
	for i := range uint64(300) {
		must(t, a.Add(t.Context(), Part{"edge", 0}, i, simple(int64(i)*500, start+int64(i)*10*minute, 500), nil))
		most = max(most, a.Memory())
		if i%20 == 19 {
			positions := map[Part]int64{{"edge", 0}: int64(i+1) * 500}
			must(t, a.Sync(t.Context(), positions))
			must(t, a.Passed(t.Context(), positions))
		}
	}
	if limit := int64(16 << 20); most == 0 || most > limit {
		t.Errorf("%d bytes at most, must be from 1 to %d", most, limit)
	}
}

func TestDirectoriesOfSourcesAreTheirOwn(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{"a", "A", ".", "..", "...", "a/b", "a%2Fb", "a b", "ä", "%2E", "-", "a\x00"} {
		dir := dirName(name)
		if dir == "" || dir == "." || dir == ".." || filepath.Base(dir) != dir || seen[dir] != "" {
			t.Errorf("%q is in %q, as %q is", name, dir, seen[dir])
		}
		seen[dir] = name
	}
}

// Every field of an event must be in a column: a new one would be lost in
// silence.
func TestEveryFieldHasAColumn(t *testing.T) {
	for f := event.FieldTime; int(f) < event.NumFields; f++ {
		found := f == event.FieldNet || f == event.FieldActor || f == event.FieldTime || f == event.FieldRefused // made of others, or always read
		for c := range columns {
			found = found || columns[c].field == f
		}
		if !found {
			t.Errorf("field %v has no column", f)
		}
	}
}

func TestADirectoryInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	if _, err := Open(config(dir, "edge")); err == nil {
		t.Error("opened twice")
	}
	must(t, a.Close())
	b, err := Open(config(dir, "edge"))
	must(t, err)
	must(t, b.Close())
}
