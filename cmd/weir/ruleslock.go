package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"weir/rules"
)

// locks holds the chosen rules to the locks of their directories, or writes
// these. The rules that ship have one; others may.
func (s *chosenRules) locks(write bool) (written []string, faults []error) {
	for _, d := range s.dirs {
		if d.rest {
			continue
		}
		var own, all []*rules.Rule
		for _, r := range s.rules {
			if !d.has(r) {
				continue
			}
			all = append(all, r)
			if d.asks(r.File) {
				own = append(own, r)
			}
		}
		name := path.Join(d.name, rules.LockName)
		b, err := fs.ReadFile(d.fs, name)
		if errors.Is(err, fs.ErrNotExist) && d.root != "" {
			if !write {
				continue // whoever wants none has none
			}
			err = nil
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
			continue
		}
		lock, err := rules.ReadLock(name, b)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if !write {
			faults = append(faults, lock.Check(own)...)
			continue
		}
		if d.root == "" {
			faults = append(faults, usagef("the rules that ship are part of weir: name a directory whose lock is to be written"))
			continue
		}
		updated, bad := lock.Update(all)
		if faults = append(faults, bad...); len(bad) > 0 {
			continue
		}
		to := filepath.Join(d.root, rules.LockName)
		if err := replaceFile(to, updated.Append(nil)); err != nil {
			faults = append(faults, err)
			continue
		}
		written = append(written, name)
	}
	return written, faults
}

// replaceFile puts a file in the place of another one, whole or not at all, and
// keeps its mode and its owner.
func replaceFile(name string, b []byte) error {
	mode, uid, gid := fs.FileMode(0o644), -1, -1
	if info, err := os.Lstat(name); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a plain file: it is not written over", name)
		}
		mode = info.Mode().Perm()
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(stat.Uid), int(stat.Gid)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".weir-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if uid >= 0 && (uid != os.Geteuid() || gid != os.Getegid()) { // whoever reads it must still be able to
		err = errors.Join(err, f.Chown(uid, gid))
	}
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
