package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Found is what stands in an archive's directory.
type Found struct {
	Held   bool     // a process has it open
	Files  int      // finished ones, of all sources
	Bytes  int64    // of them
	Spools int      // what the next run makes files of
	Faults []string // files that are not whole, of each source's newest; and positions that cannot be read
}

// Look says what stands in an archive's directory. It changes nothing. One that
// does not exist is an fs.ErrNotExist.
func Look(dir string) (f Found, err error) {
	if _, err := os.Stat(dir); err != nil {
		return f, err
	}
	if f.Held, err = held(dir); err != nil {
		return f, err
	}
	files, total, err := finishedFiles(dir)
	if err != nil {
		return f, err
	}
	f.Files, f.Bytes = len(files), total
	newest := make(map[string]string)
	for _, file := range files { // the oldest first
		newest[filepath.Dir(file.path)] = file.path
	}
	for _, file := range files {
		if newest[filepath.Dir(file.path)] != file.path {
			continue
		}
		if af, err := openFile(file.path); err != nil {
			f.Faults = append(f.Faults, err.Error())
		} else if err := af.close(); err != nil {
			return f, err
		}
	}
	spools, err := filepath.Glob(filepath.Join(escaped(dir), "*", "*"+spoolSuffix))
	if err != nil {
		return f, err
	}
	f.Spools = len(spools)
	if _, err := readMarks(filepath.Join(dir, marksFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Faults = append(f.Faults, err.Error()+"; it is made anew from the files")
	}
	return f, nil
}

// escaped returns a pattern that only a path itself fits.
func escaped(path string) string {
	var b []byte
	for i := range len(path) {
		if c := path[i]; c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// held reports whether a process has the archive open.
func held(dir string) (bool, error) {
	lock, err := os.Open(filepath.Join(dir, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close() // it is only looked at, and closing gives the lock up
	err = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
