package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// openSource looks at what a source's directory holds and puts right what a
// crash left. Spools are read by Resume. With rebuild the marks are lost.
func (a *Archive) openSource(info SourceInfo, rebuild bool) (*source, error) {
	s := &source{
		SourceInfo: info, dir: filepath.Join(a.cfg.Dir, dirName(info.Name)),
		spools: make(map[int64]*spool), nums: make(map[int64]int), hour: math.MinInt64, latest: math.MinInt64,
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	files, spools, err := s.list()
	if err != nil {
		return nil, err
	}
	known := slices.ContainsFunc(slices.Collect(maps.Keys(a.marks.parts)), func(p Part) bool { return p.Source == info.Name })
	if s.rebuilt = rebuild || !known; s.rebuilt {
		for _, n := range files {
			if err := a.learn(s, n); err != nil {
				a.log.Error("a file of the archive cannot be read; what it holds may be written twice", "error", err)
			}
		}
	}
	for _, n := range spools {
		if _, done := slices.BinarySearchFunc(files, n, name.compare); done {
			if err := a.finishLate(s, n); err != nil {
				return nil, err
			}
			continue
		}
		s.closed = append(s.closed, &spool{name: n, source: s, path: filepath.Join(s.dir, n.String()+spoolSuffix), parts: make(map[int32]*run)})
	}
	for p, m := range a.marks.parts {
		if p.Source == s.Name && m.done > 0 {
			s.latest = max(s.latest, m.max)
			s.hour = max(s.hour, floorHour(m.max))
		}
	}
	return s, nil
}

// list reads the directory, takes away what was begun and not ended, and notes
// the names that are taken.
func (s *source) list() (files, spools []name, err error) {
	found, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range found {
		if filepath.Ext(e.Name()) == tempSuffix {
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return nil, nil, err
			}
			continue
		}
		n, ok := parseName(e.Name(), fileSuffix)
		if ok {
			files = append(files, n)
		} else if n, ok = parseName(e.Name(), spoolSuffix); ok {
			spools = append(spools, n)
		} else {
			continue // not the archive's
		}
		s.nums[n.begin] = max(s.nums[n.begin], n.num)
		if i, found := slices.BinarySearch(s.begins, n.begin); !found {
			s.begins = slices.Insert(s.begins, i, n.begin)
		}
	}
	slices.SortFunc(files, name.compare)
	slices.SortFunc(spools, name.compare)
	return files, spools, nil
}

// learn notes up to where a finished file has its partitions.
func (a *Archive) learn(s *source, n name) error {
	f, err := openFile(filepath.Join(s.dir, n.String()+fileSuffix))
	if err != nil {
		return err
	}
	defer f.close()
	for _, p := range f.about.Partitions {
		a.marks.finished(Part{s.Name, p.Partition}, p.Last, p.Latest)
	}
	return nil
}

// finishLate ends what a crash interrupted between a file and the end of its
// spool. A file that cannot be read is put aside: the spool has all of it.
func (a *Archive) finishLate(s *source, n name) error {
	path := filepath.Join(s.dir, n.String())
	if err := a.learn(s, n); err != nil {
		a.log.Error("a file of the archive cannot be read; it is made again", "error", err)
		if err := os.Rename(path+fileSuffix, path+fileSuffix+".broken"); err != nil {
			return err
		}
		s.closed = append(s.closed, &spool{name: n, source: s, path: path + spoolSuffix, parts: make(map[int32]*run)})
		return syncDir(s.dir)
	}
	return a.dropSpool(s, n)
}

// dropSpool ends a spool whose file is there: first what is known of the
// partitions, then the spool.
func (a *Archive) dropSpool(s *source, n name) error {
	delete(a.marks.spools, spoolName{s.Name, n})
	if err := a.saveMarks(); err != nil {
		return err
	}
	a.hit("archive.marked")
	return s.removeSpool(n)
}

// removeSpool removes the file of a spool that nothing asks for any more.
func (s *source) removeSpool(n name) error {
	if err := os.Remove(filepath.Join(s.dir, n.String()+spoolSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(s.dir)
}

// saveMarks writes the marks down.
func (a *Archive) saveMarks() error {
	if err := replaceFile(filepath.Join(a.cfg.Dir, marksFile), a.marks.encode()); err != nil {
		return fmt.Errorf("positions: %w", err)
	}
	return nil
}

// lockDir takes the directory for this process, as long as the file is open.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("archive: %s is in use by another process: %w", dir, err), f.Close())
	}
	return f, nil
}

// orphans says which spools belong to sources that are not configured: they
// stay as they are until theirs is again.
func (a *Archive) orphans() {
	spools, err := filepath.Glob(filepath.Join(a.cfg.Dir, "*", "*"+spoolSuffix))
	if err != nil {
		return // the directory's name is a pattern
	}
	for _, path := range spools {
		mine := false
		for _, s := range a.sources {
			mine = mine || s.dir == filepath.Dir(path)
		}
		if !mine {
			a.log.Warn("a spool of the archive is of a source that is not configured; its events are not in a file", "spool", path)
		}
	}
}
