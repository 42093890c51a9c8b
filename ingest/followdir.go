package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// maxRotations is how many files of one log are looked at, the newest ones.
const maxRotations = 4096

// stale is how old a directory's last change must be before a listing of it is
// used again: file systems date changes by the tick of a coarse clock.
const stale = 50 * time.Millisecond

// errMoving says that a directory changed while it was listed.
var errMoving = errors.New("its directory changes all the time")

// directories remembers listings, so that thousands of logs in one directory
// cost one listing and not thousands.
type directories struct {
	mu   sync.Mutex
	seen map[string]*directory
}

// directory is a listing.
type directory struct {
	changed time.Time
	settled bool                // nothing can have changed since without changing the date
	names   map[string][]string // by the stem of the log that they are rotations of, and by themselves
}

// list returns the names in dir that are name or rotations of it. A directory
// that is not there has none.
func (d *directories) list(dir, name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, plainFileError(dir, err)
	}
	if l := d.seen[dir]; l != nil && l.settled && l.changed.Equal(info.ModTime()) {
		return l.names[name], nil
	}
	// While files are renamed a listing may show one twice, or not at all.
	for range 5 {
		before := info.ModTime()
		began := time.Now()
		names, err := readNames(dir)
		if err != nil {
			return nil, err
		}
		again := names
		settled := began.Sub(before) > stale
		if !settled {
			if again, err = readNames(dir); err != nil {
				return nil, err
			}
		}
		if info, err = os.Stat(dir); err != nil {
			return nil, plainFileError(dir, err)
		}
		if !slices.Equal(names, again) || !info.ModTime().Equal(before) {
			continue
		}
		l := &directory{changed: before, settled: settled, names: make(map[string][]string)}
		for _, n := range names {
			stem := parseRotation(n).stem
			l.names[stem] = append(l.names[stem], n)
			if stem != n {
				l.names[n] = append(l.names[n], n)
			}
		}
		if d.seen == nil {
			d.seen = make(map[string]*directory)
		}
		d.seen[dir] = l
		if len(d.seen) > maxLogs {
			clear(d.seen)
		}
		return l.names[name], nil
	}
	return nil, fmt.Errorf("%s: %w", dir, errMoving)
}

func readNames(dir string) ([]string, error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, plainFileError(dir, err)
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	if err != nil {
		return nil, plainFileError(dir, err)
	}
	slices.Sort(names)
	return names, nil
}

// listed is a file of a log as a listing shows it.
type listed struct {
	rotation
	path  string
	info  fs.FileInfo
	first string // once it was looked at
}

// files returns what there is of a log, oldest first. Where its path is a link
// the files beside what it points to count too.
func (l *followLog) files() ([]listed, error) {
	if l.retired {
		return nil, nil
	}
	files, err := l.filesIn(l.dir, l.stem)
	if err != nil {
		return nil, err
	}
	l.linked = false
	if link, err := os.Lstat(l.key); err == nil && link.Mode()&fs.ModeSymlink != 0 {
		l.linked = true
		if files, err = l.withTarget(files); err != nil {
			return nil, err
		}
	}
	if n := len(files) - maxRotations; n > 0 {
		files = files[n:]
	}
	return files, nil
}

// withTarget adds the older files beside the one that the log's link points to.
func (l *followLog) withTarget(files []listed) ([]listed, error) {
	target, err := filepath.EvalSymlinks(l.key)
	if err != nil {
		return files, nil // it points to nothing, for now
	}
	dir, name := filepath.Split(target)
	beside, err := l.filesIn(dir, parseRotation(name).stem)
	if err != nil {
		return nil, err
	}
	age := parseRotation(name)
	older := beside[:0]
	for _, b := range beside {
		twice := slices.ContainsFunc(files, func(a listed) bool { return os.SameFile(a.info, b.info) })
		if !twice && compareAge(b.rotation, age) < 0 {
			older = append(older, b)
		}
	}
	return append(older, files...), nil
}

func (l *followLog) filesIn(dir, stem string) ([]listed, error) {
	names, err := l.f.dirs.list(dir, stem)
	if err != nil {
		return nil, err
	}
	var files []listed
	for _, name := range names {
		a := listed{rotation: parseRotation(name), path: filepath.Join(dir, name)}
		if name == stem {
			a.rotation = rotation{stem: stem}
		}
		a.info, err = os.Stat(a.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, plainFileError(a.path, err)
		}
		if a.info.Mode().IsRegular() {
			files = append(files, a)
		}
	}
	slices.SortStableFunc(files, func(a, b listed) int { return compareAge(a.rotation, b.rotation) })
	// A file beside its own compressed copy: the copy may still be being
	// written. Names come sorted, so the plain one stands first.
	files = slices.CompactFunc(files, func(a, b listed) bool {
		return compareAge(a.rotation, b.rotation) == 0 || os.SameFile(a.info, b.info)
	})
	return files, nil
}
