package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"
)

const (
	configsDir = "configs" // beside the journal
	// reachFile says how the sources of a copy were reached. It is no part of what
	// the hash is of.
	reachFile  = "reach.yaml"
	unfinished = ".new"
	// maxCopy bounds what is read of a copy.
	maxCopy = 128 << 20
)

// errNoCopy says that what decided in an era is not there, or not as it was.
var errNoCopy = errors.New("no copy of the rules")

// readCopy reads the copy in a directory, which must be what its hash is of.
func readCopy(dir, hash string) (*taken, []reachedBy, error) {
	lack := func(why string) error {
		return fmt.Errorf("%w of configuration %s: %s %s", errNoCopy, hash, dir, why)
	}
	t := &taken{files: map[string][]byte{}}
	var reach []byte
	size := int64(0)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if size += int64(len(b)); size > maxCopy {
			return fmt.Errorf("more than %d bytes", int64(maxCopy))
		}
		switch name {
		case reachFile:
			reach = b
		case reachFile + unfinished: // a crash left it
		default:
			t.files[name] = b
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, lack("is not there")
	case err != nil:
		return nil, nil, lack("cannot be read: " + err.Error())
	}
	said := t.files[decideFile]
	// An older one held only the rules, and nothing that says whether it is whole.
	if err := yaml.UnmarshalWithOptions(said, &t.said, yaml.Strict()); err == nil && len(said) > 0 && t.said.Format == 0 {
		return nil, nil, lack("is of an older version of weir, which kept less than decides")
	} else if err == nil && t.said.Format > takenFormat {
		return nil, nil, lack(fmt.Sprintf("is of format %d, this version of weir reads up to %d", t.said.Format, takenFormat))
	} else if err != nil || t.hash() != hash {
		return nil, nil, lack("is not as it was written")
	}
	var reached []reachedBy
	if err := yaml.Unmarshal(reach, &reached); err != nil {
		reached = nil // only a source that is not configured any more misses it, and says so
	}
	return t, reached, nil
}

// keep writes a copy to a directory: whole or not at all, and outlasting a power
// failure. One that is there and not as it was written is written anew.
func (t *taken) keep(dir string, reached []reachedBy) (err error) {
	reach, err := yaml.Marshal(reached)
	if err != nil {
		return err
	}
	if _, _, err := readCopy(dir, filepath.Base(dir)); err == nil {
		return renew(filepath.Join(dir, reachFile), reach)
	}
	all := filepath.Dir(dir)
	if _, err := os.Stat(all); errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(all, 0o700), syncDir(filepath.Dir(all))); err != nil {
			return err
		}
	}
	made, err := os.MkdirTemp(all, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	dirs := []string{made}
	write := func(name string, b []byte) error {
		file := filepath.Join(made, filepath.FromSlash(name))
		for d := filepath.Dir(file); !slices.Contains(dirs, d); d = filepath.Dir(d) {
			dirs = append(dirs, d)
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		return writeSynced(file, b)
	}
	for name, b := range t.files {
		if err := write(name, b); err != nil {
			return err
		}
	}
	if err := write(reachFile, reach); err != nil {
		return err
	}
	// Before its name is there, all that stands below it must be.
	for _, d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil { // what is not as it was written
		return err
	}
	if err := os.Rename(made, dir); err != nil {
		return err
	}
	return syncDir(all)
}

// renew has a file say something, if it does not.
func renew(name string, b []byte) error {
	if was, err := os.ReadFile(name); err == nil && bytes.Equal(was, b) {
		return nil
	}
	if err := os.RemoveAll(name + unfinished); err != nil {
		return err
	}
	if err := writeSynced(name+unfinished, b); err != nil {
		return err
	}
	if err := os.Rename(name+unfinished, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
