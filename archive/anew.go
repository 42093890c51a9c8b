package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// beforePrefix begins the names of the directories, in a source's, with the files
// of logs that the source was read from before. While files are moved there it is
// number 0.
const beforePrefix = "before-"

// ReadsFrom says which log the offsets of a source are of by now, by what tells it
// from any other; empty: nobody can tell, and anew says whether it is another one
// than before. A log that was begun anew has offsets that the archive has events
// of already: what it has of the earlier log becomes files, which are put into a
// directory of their own, and the source begins anew. It returns that directory,
// or nothing. It comes before Resume.
func (a *Archive) ReadsFrom(ctx context.Context, name, log string, anew bool) (aside string, err error) {
	s := a.sources[name]
	if s == nil {
		return "", nil
	}
	a.syncing.Lock()
	known := a.marks.logs[name]
	another := anew
	if known != "" && log != "" {
		another = known != log
	}
	if !another {
		defer a.syncing.Unlock()
		s.again = anew // a run that ended before its first checkpoint has begun it
		return "", a.knowLog(name, log)
	}
	err = a.do(ctx, func() error { return a.sealAll(s) })
	a.syncing.Unlock()
	if err == nil {
		err = a.done.wait(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("archive: source %s is read from another log than before, and what is left of the earlier one cannot become files: %w", name, err)
	}
	a.syncing.Lock()
	defer a.syncing.Unlock()
	err = a.do(ctx, func() error {
		aside, err = s.putAside()
		if err != nil {
			return err
		}
		a.forgetSource(s)
		return a.knowLog(name, log)
	})
	if err != nil {
		return "", fmt.Errorf("archive: putting aside what there is of the log that source %s was read from before: %w", name, err)
	}
	if aside != "" {
		a.log.Warn("a source is read from another log than before, whose offsets mean something else: what the archive has of the earlier one is kept beside it", "source", name, "before", aside)
	}
	return aside, nil
}

// knowLog notes which log the offsets of a source are of.
func (a *Archive) knowLog(name, log string) error {
	if log == "" || a.marks.logs[name] == log {
		return nil
	}
	a.marks.logs[name] = log
	return a.saveMarks()
}

// sealAll has all that spools hold of a source become files, also what lies behind
// the positions: no log will give it again. It is the writer's.
func (a *Archive) sealAll(s *source) error {
	if err := a.drain(); err != nil {
		return err
	}
	if err := a.flush(); err != nil {
		return err
	}
	a.noteReached()
	all := make(map[Part]int64)
	for part := range a.marks.reached {
		all[part] = math.MaxInt64
	}
	for _, sp := range s.inOrder() {
		if err := a.cut(sp, all); err != nil {
			return fmt.Errorf("%v: %w", sp, err)
		}
		if sp.events == 0 {
			if err := s.forget(sp); err != nil {
				return err
			}
			continue
		}
		if err := s.seal(sp); err != nil {
			return err
		}
		a.done.add(sp)
	}
	return nil
}

// putAside moves a source's files into a directory of their own; it returns
// nothing where there are none. A crash leaves what the next try goes on with.
func (s *source) putAside() (dir string, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return "", err
	}
	last, moving := 0, filepath.Join(s.dir, beforePrefix+"0")
	var files []string
	for _, e := range entries {
		if _, ok := parseName(e.Name(), fileSuffix); ok {
			files = append(files, e.Name())
		} else if n, ok := beforeNumber(e); ok {
			last = max(last, n)
		}
	}
	if len(files) > 0 {
		if err := os.Mkdir(moving, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(s.dir, f), filepath.Join(moving, f)); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(moving); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := syncDir(moving); err != nil {
		return "", err
	}
	dir = filepath.Join(s.dir, beforePrefix+strconv.Itoa(last+1))
	if err := os.Rename(moving, dir); err != nil {
		return "", err
	}
	return dir, syncDir(s.dir)
}

// beforeNumber returns the number of a directory with files of an earlier log.
func beforeNumber(e fs.DirEntry) (n int, ok bool) {
	digits, ok := strings.CutPrefix(e.Name(), beforePrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && e.IsDir()
}

// forgetSource has a source be one of which nothing was ever written.
func (a *Archive) forgetSource(s *source) {
	of := func(p Part) bool { return p.Source == s.Name }
	maps.DeleteFunc(a.marks.parts, func(p Part, _ mark) bool { return of(p) })
	maps.DeleteFunc(a.marks.reached, func(p Part, _ int64) bool { return of(p) })
	maps.DeleteFunc(a.marks.spools, func(n spoolName, _ int64) bool { return n.source == s.Name })
	delete(a.marks.logs, s.Name)
	a.mu.Lock()
	defer a.mu.Unlock()
	for part, l := range a.lanes {
		if of(part) {
			for _, b := range l.waiting {
				a.waiting -= b.bytes
			}
			delete(a.lanes, part)
		}
	}
	s.spools, s.closed, s.begins, s.nums = make(map[int64]*spool), nil, nil, make(map[int64]int)
	s.hour, s.latest, s.rebuilt, s.damaged = math.MinInt64, math.MinInt64, false, false
}

// ofTheseLogs returns the positions that are of the logs that sources are read from
// now. Those of another one have none, so all that comes again is cut off.
func (a *Archive) ofTheseLogs(positions map[Part]int64) map[Part]int64 {
	positions = maps.Clone(positions)
	for _, s := range a.sources {
		if s.again {
			maps.DeleteFunc(positions, func(p Part, _ int64) bool { return p.Source == s.Name })
			s.again = false
		}
	}
	return positions
}

// directories returns those with files of a source: its own, and those of logs
// that it was read from before.
func directories(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all = []string{dir}
	for _, e := range entries {
		if _, ok := beforeNumber(e); ok {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return slices.Clip(all), nil
}

// Before returns the directories beside the source's files that hold those of logs
// that it was read from before: none of them is read with these.
func (s *Source) Before() (dirs []string) {
	seen := make(map[string]bool)
	for _, r := range s.parts {
		for _, f := range r.files {
			dir := filepath.Dir(f.path)
			if seen[dir] {
				continue
			}
			seen[dir] = true
			if all, err := directories(dir); err == nil { // else its files cannot be read either, which is told
				dirs = append(dirs, all[1:]...)
			}
		}
	}
	slices.Sort(dirs)
	return dirs
}
