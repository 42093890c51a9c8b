package torture

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// damage is one thing that befalls a file.
type damage struct {
	name string
	do   func(path string) error
}

// damages are all that befalls each file.
var damages = []damage{
	{"cut to half", func(path string) error { return resize(path, func(size int64) int64 { return size / 2 }) }},
	{"cut by a byte", func(path string) error { return resize(path, func(size int64) int64 { return size - 1 }) }},
	{"emptied", func(path string) error { return os.Truncate(path, 0) }},
	{"a bit flipped at the start", func(path string) error { return flip(path, func(int64) int64 { return 0 }) }},
	{"a bit flipped in the middle", func(path string) error { return flip(path, func(size int64) int64 { return size / 2 }) }},
	{"a bit flipped at the end", func(path string) error { return flip(path, func(size int64) int64 { return size - 1 }) }},
	{"deleted", os.Remove},
}

// filled returns how much of a file there is before the zeros at its end: some
// files are made longer than what is in them.
func filled(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return int64(n), nil
}

// resize cuts a file within what is in it.
func resize(path string, to func(size int64) int64) error {
	size, err := filled(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, max(0, to(size)))
}

// flip flips one bit of what is in a file.
func flip(path string, at func(size int64) int64) error {
	size, err := filled(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at(size)); err != nil {
		return err
	}
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at(size))
	return err
}

// wound is a damage to a file of a state's directory, or to the store in it.
type wound struct {
	file string // below the directory
	damage
}

func (w wound) String() string { return w.file + " " + w.name }

// kind is which of the files that are alike a file is one of.
func kind(name string) string {
	dir, ext := filepath.Dir(name), filepath.Ext(name)
	stem := strings.TrimSuffix(filepath.Base(name), ext)
	switch {
	case strings.HasPrefix(name, "configs"): // copies of the rules
		return "configs/*" + ext
	case stem != "" && strings.Trim(stem, "0123456789abcdef-") == "":
		return filepath.Join(dir, "*"+ext)
	}
	return name
}

// wounds returns all damages to the files of a directory that hold something:
// of files that are alike to the largest one. Older is a copy of the directory
// as it was before.
func wounds(t *testing.T, dir, older string) (all []wound, kinds int) {
	t.Helper()
	largest := map[string]string{}
	sizes := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		size, err := filled(path)
		if err != nil || size == 0 {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if k := kind(name); size > sizes[k] {
			largest[k], sizes[k] = name, size
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range largest {
		for _, d := range damages {
			all = append(all, wound{name, d})
		}
	}
	const store, sidecar = "store", "store.json"
	all = append(all,
		wound{store, damage{"deleted", os.RemoveAll}},
		wound{store, damage{"emptied", func(path string) error { return errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700)) }}},
		wound{store, damage{"as it was before", func(path string) error {
			return errors.Join(os.RemoveAll(path), os.CopyFS(path, os.DirFS(filepath.Join(older, store))))
		}}},
		wound{sidecar, damage{"as it was before", func(path string) error {
			b, err := os.ReadFile(filepath.Join(older, sidecar))
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		}}},
	)
	slices.SortFunc(all, func(a, b wound) int { return cmp.Compare(a.String(), b.String()) })
	return all, len(largest)
}

// copyTree copies a directory, with the holes of its files.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	tool(t, "cp", "--archive", "--sparse=always", from, to)
}

// inflict damages a file.
func (w wound) inflict(dir string) error {
	if err := w.do(filepath.Join(dir, w.file)); err != nil {
		return fmt.Errorf("%v: %w", w, err)
	}
	return nil
}
