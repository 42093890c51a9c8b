package emit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempAge is how old a temporary file must be to be one that a crash left.
const tempAge = time.Hour

// replaceFile replaces the file at path whole: whoever opens it sees the old
// content or the new one, also after a power cut. The directory must exist. A
// symbolic link is refused: the rename would replace the link and not what it
// leads to, and what it leads to may be somebody else's. None of its errors is
// permanent, since an operator mends them without anybody changing the list.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	if err := replaceable(path); err != nil {
		return err
	}
	temp, err := writeTemp(path, content, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(fmt.Errorf("%s cannot be replaced: %w", path, err), os.Remove(temp))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%s was replaced, but perhaps not for good: %w", path, err)
	}
	return nil
}

// writeTemp writes a synced file beside path and returns its name.
func writeTemp(path string, content []byte, mode fs.FileMode) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix(path)+"*")
	if err != nil {
		return "", notWritable(path, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode) // as asked for, whatever the umask
	}
	if err == nil {
		err = syncFile(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("%s cannot be replaced: %w", path, err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// replaceable says why the file at path must not be replaced. A file that does
// not exist may be made.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: its directory does not exist; make it with: install -d -o %d %s", path, os.Geteuid(), dir)
		}
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which is not followed; name the file that it leads to", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file (%s)", path, info.Mode().Type())
	}
	return nil
}

// tryReplace finds out whether replaceFile would work, without changing the file.
func tryReplace(path string) error {
	if err := replaceable(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix(path)+"*")
	if err != nil {
		return notWritable(path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func notWritable(path string, err error) error {
	return fmt.Errorf("%s cannot be replaced, since uid %d cannot make a file in its directory: %w", path, os.Geteuid(), err)
}

// sweepTemps removes temporary files beside path that a crash left. Whoever
// writes path calls it once, when it begins.
func sweepTemps(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix(path)) {
			continue
		}
		full := filepath.Join(dir.Name(), name)
		info, statErr := os.Lstat(full)
		if statErr == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > tempAge {
			err = errors.Join(err, os.Remove(full))
		}
	}
	return err
}

func tempPrefix(path string) string { return "." + filepath.Base(path) + ".weir-" }

// syncFile makes sure that what was written to a file outlasts a power failure;
// tests see through it what is safe, and when.
var syncFile = (*os.File).Sync

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(d), d.Close())
}
