package ingest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// globEvery is how often globs are matched again.
const globEvery = time.Second

// resolve sorts the configured paths into those of logs and globs, all
// absolute.
func (f *Follow) resolve() (named, globs []string, err error) {
	for _, path := range f.cfg.Paths {
		abs, e := filepath.Abs(path)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", path, e))
			continue
		}
		info, e := os.Stat(abs)
		switch {
		case e != nil && strings.ContainsAny(path, `*?[`):
			if _, e := filepath.Match(abs, ""); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: not a valid glob: %w", path, e))
			}
			globs = append(globs, abs)
			continue
		case e == nil && info.IsDir():
			err = errors.Join(err, fmt.Errorf("%s: a directory; name its files, such as %s", path, filepath.Join(path, "*.log")))
		case e == nil && !info.Mode().IsRegular():
			err = errors.Join(err, fmt.Errorf("%s: not a regular file, cannot be followed", path))
		}
		if !slices.Contains(named, abs) {
			named = append(named, abs)
		}
	}
	// A rotation named beside its log is no log of its own.
	named = slices.DeleteFunc(named, func(path string) bool {
		log := logOf(path)
		return log != path && slices.Contains(named, log)
	})
	return named, globs, err
}

// logOf returns the path of the log that a file belongs to by its name.
func logOf(path string) string {
	return filepath.Join(filepath.Dir(path), parseRotation(filepath.Base(path)).stem)
}

// unreadNames are the endings of compressed files that are not read. A glob
// passes them by.
var unreadNames = []string{".xz", ".bz2", ".lz4", ".zip", ".lzma", ".Z"}

// match returns the logs whose files the globs match, in the order of their
// names.
func (f *Follow) match(globs []string) []string {
	var logs []string
	seen := make(map[string]bool)
	for _, glob := range globs {
		names, err := filepath.Glob(glob)
		if err != nil { // resolve has tried it
			f.complain(glob, fmt.Errorf("%s: %w", glob, err))
		}
		for _, name := range names {
			log := logOf(name)
			if seen[log] || slices.Contains(unreadNames, filepath.Ext(name)) {
				continue
			}
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
				seen[log] = true
				logs = append(logs, log)
			}
		}
	}
	slices.Sort(logs)
	return logs
}

// recall gives logs their partitions: those of an earlier life keep theirs,
// the others get the free numbers in their order. A partition whose log is not
// named any more stays, and is not read.
func (f *Follow) recall(logs []string) {
	marks := slices.Concat(f.cfg.Starts, f.cfg.Files)
	for _, m := range marks {
		for int(m.Partition) >= len(f.logs) {
			f.logs = append(f.logs, nil)
		}
		if m.Log != "" && f.logs[m.Partition] == nil && f.byPath[m.Log] == nil {
			l := f.newLog(int(m.Partition), m.Log)
			l.retired = !slices.Contains(logs, m.Log)
			f.logs[m.Partition], f.byPath[m.Log] = l, l
		}
	}
	for _, path := range logs {
		if f.byPath[path] == nil {
			f.add(path)
		}
	}
	for p := range f.logs {
		if f.logs[p] == nil {
			f.logs[p] = f.newLog(p, "")
			f.logs[p].retired = true
		}
	}
}

// add gives a log the first free partition.
func (f *Follow) add(path string) *followLog {
	p := slices.Index(f.logs, nil)
	if p < 0 {
		if p = len(f.logs); p >= maxLogs {
			if !f.refused[path] && len(f.refused) < maxRefused {
				f.refused[path] = true
				if len(f.refused) == 1 {
					f.cfg.Log.Error("more logs than can be followed", "source", f.cfg.Name, "limit", maxLogs, "not_read", path)
				}
			}
			return nil
		}
		f.logs = append(f.logs, nil)
	}
	l := f.newLog(p, path)
	f.logs[p], f.byPath[path] = l, l
	return l
}

func (f *Follow) newLog(p int, path string) *followLog {
	l := &followLog{f: f, number: int32(p), key: path}
	l.nowhere.Store(true)
	l.dir, l.stem = filepath.Split(path)
	return l
}

// watch looks for new logs until the source is closed.
func (f *Follow) watch(globs []string) {
	tick := time.NewTicker(max(globEvery, f.cfg.Poll))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.closed:
			return
		}
		for _, path := range f.match(globs) {
			f.mu.Lock()
			if f.byPath[path] == nil {
				if l := f.add(path); l != nil {
					f.cfg.Log.Info("a new log", "source", f.cfg.Name, "partition", l.number, "log", path)
				}
			}
			f.mu.Unlock()
		}
	}
}
