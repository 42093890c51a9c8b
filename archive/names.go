package archive

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	fileSuffix  = ".parquet"
	spoolSuffix = ".spool"
	tempSuffix  = ".tmp"
	marksFile   = "positions"
	hourLayout  = "2006-01-02T15"
)

// name is what files are called by: the hour with which one begins, in Unix
// nanoseconds, and its number among those of the hour.
type name struct {
	begin int64
	num   int
}

// String returns the name without a suffix.
func (n name) String() string {
	return fmt.Sprintf("%s-%04d", time.Unix(0, n.begin).UTC().Format(hourLayout), n.num)
}

// compare orders names as a partition's offsets rise.
func (n name) compare(o name) int {
	switch {
	case n.begin != o.begin:
		if n.begin < o.begin {
			return -1
		}
		return 1
	case n.num != o.num:
		return n.num - o.num
	}
	return 0
}

// parseName reads the name of a file with a suffix; ok is false for any other.
func parseName(file, suffix string) (n name, ok bool) {
	base, ok := strings.CutSuffix(file, suffix)
	i := strings.LastIndexByte(base, '-')
	if !ok || i < 0 {
		return n, false
	}
	at, err := time.Parse(hourLayout, base[:i])
	num, numErr := strconv.Atoi(base[i+1:])
	if err != nil || numErr != nil || num < 1 {
		return n, false
	}
	n = name{begin: at.UnixNano(), num: num}
	return n, n.String() == base
}

// dirName returns a directory's name for any source's.
func dirName(source string) string {
	if strings.Trim(source, ".") == "" {
		return strings.ReplaceAll(source, ".", "%2E")
	}
	return url.PathEscape(source)
}

// floorHour returns the hour in which a time lies, in Unix nanoseconds.
func floorHour(t int64) int64 {
	h := t / hour * hour
	if h > t {
		h -= hour
	}
	return h
}

// syncDir makes what was made, renamed or removed in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// replaceFile writes a file anew, whole or not at all.
func replaceFile(path string, b []byte) error {
	f, err := os.OpenFile(path+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+tempSuffix, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
