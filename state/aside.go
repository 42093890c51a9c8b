package state

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	brokenPrefix    = storeDir + ".broken-"
	brokenKept      = 2
	temporaryPrefix = storeDir + ".temporary-"
	attemptFile     = storeDir + ".opening"
)

// aside returns the numbers of what stands aside in a directory, lowest first.
func aside(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), brokenPrefix)); err == nil && strings.HasPrefix(e.Name(), brokenPrefix) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func asidePath(dir string, n int) string {
	return filepath.Join(dir, brokenPrefix+strconv.Itoa(n))
}

// putAside moves a damaged store and its sidecar out of the way, with a file
// that says why, and deletes those before the newest two.
func putAside(dir string, why error) (path string, err error) {
	numbers, err := aside(dir)
	if err != nil {
		return "", err
	}
	n := 1
	if len(numbers) > 0 {
		n = numbers[len(numbers)-1] + 1
	}
	path = asidePath(dir, n)
	err = os.Rename(filepath.Join(dir, storeDir), path)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(path, 0o700)
	}
	if err != nil {
		return "", err
	}
	err = os.Rename(filepath.Join(dir, sidecarFile), filepath.Join(path, sidecarFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(path, "why"), []byte(why.Error()+"\n"), 0o600); err != nil {
		return "", err
	}
	if err := (attempt(filepath.Join(dir, attemptFile))).end(); err != nil {
		return "", err
	}
	for len(numbers) > brokenKept-1 {
		if err := os.RemoveAll(asidePath(dir, numbers[0])); err != nil {
			return "", err
		}
		numbers = numbers[1:]
	}
	return path, syncFile(dir)
}

// attempt is the file that counts the attempts to open a store that did not end.
type attempt string

// attemptsMax is how many times opening a store may end the process before it
// is put aside: a fault that cannot be caught must not do so for ever.
const attemptsMax = 3

// beginAttempt counts an attempt; it is an error that wraps ErrCorrupt when too
// many before did not end.
func beginAttempt(dir string) (attempt, error) {
	path := filepath.Join(dir, attemptFile)
	n := 0
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		n, err = strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			n = 1 // it was cut short while it was written: there was one
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if n >= attemptsMax {
		return "", fmt.Errorf("%w: the process ended %d times while it was opened", ErrCorrupt, n)
	}
	return attempt(path), os.WriteFile(path, []byte(strconv.Itoa(n+1)+"\n"), 0o600)
}

// end says that the store was opened.
func (a attempt) end() error {
	if err := os.Remove(string(a)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeStale removes temporary stores whose process is gone.
func removeStale(dir string, log *slog.Logger) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), temporaryPrefix) || time.Since(info.ModTime()) < time.Minute {
			continue // one that is being made is not locked yet
		}
		path := filepath.Join(dir, e.Name())
		if _, err := inUse(path); err != nil {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			log.Warn("a temporary store that nobody uses could not be removed", "dir", path, "error", err)
		}
	}
}
