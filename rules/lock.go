package rules

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// LockName is the file in a directory of rules that holds what each rule's
// version does.
const LockName = "versions.lock"

// MaxLock is the largest lock file that is read, in bytes.
const MaxLock = 4 << 20

// Lock says for each id which version of the rule does what: its Hash. An id
// whose rule is gone stays in it, for ids are never used again for something
// else.
type Lock map[string]Locked

// Locked is one rule of a lock.
type Locked struct {
	Version int
	Hash    string
}

const lockHead = "# What each version of a rule does. Written by: weir rules check --lock\n"

// ReadLock reads a lock that Append wrote. File is for messages.
func ReadLock(file string, b []byte) (Lock, error) {
	if len(b) > MaxLock {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", file, len(b), MaxLock)
	}
	l := Lock{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		parts := strings.Fields(text)
		if len(parts) == 0 {
			continue
		}
		if len(parts) != 3 || idProblem(parts[0]) != "" {
			return nil, fmt.Errorf("%s:%d: must be an id, a version and a hash", file, n)
		}
		version, err := strconv.Atoi(parts[1])
		sum, e := hex.DecodeString(parts[2])
		if err != nil || e != nil || version < 1 || len(sum) != 16 {
			return nil, fmt.Errorf("%s:%d: %s: version %s and hash %s, must be a number from 1 and 32 hex digits", file, n, parts[0], parts[1], parts[2])
		}
		if _, twice := l[parts[0]]; twice {
			return nil, fmt.Errorf("%s:%d: %s stands in it twice", file, n, parts[0])
		}
		l[parts[0]] = Locked{version, parts[2]}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// Append writes the lock, a rule a line, by id.
func (l Lock) Append(dst []byte) []byte {
	dst = append(dst, lockHead...)
	for _, id := range slices.Sorted(maps.Keys(l)) {
		dst = fmt.Appendf(dst, "%s %d %s\n", id, l[id].Version, l[id].Hash)
	}
	return dst
}

// ErrNotLocked is what a fault wraps that writing the lock anew mends.
var ErrNotLocked = errors.New("write it with weir rules check --lock")

// LockFault is what is wrong with a rule's version.
type LockFault struct {
	Rule *Rule
	err  error
}

// Error names the rule's file and says what to do.
func (f *LockFault) Error() string { return f.Rule.File + ": " + f.err.Error() }

// Unwrap returns what it wraps.
func (f *LockFault) Unwrap() error { return f.err }

// Check holds rules to the lock: what a version does never changes.
func (l Lock) Check(rs []*Rule) (faults []error) {
	fault := func(r *Rule, format string, args ...any) {
		faults = append(faults, &LockFault{r, fmt.Errorf(format, args...)})
	}
	for _, r := range rs {
		was, ok := l[r.ID]
		hash := r.Hash()
		switch {
		case !ok:
			fault(r, "is not in %s; %w", LockName, ErrNotLocked)
		case r.Version < was.Version:
			fault(r, "version %d, must be at least %d, which %s has: versions only rise", r.Version, was.Version, LockName)
		case r.Version == was.Version && hash != was.Hash:
			fault(r, "what it does changed, and its version is %d still; make that %d, then weir rules check --lock", r.Version, r.Version+1)
		case r.Version > was.Version:
			fault(r, "version %d is not in %s, which has %d; %w", r.Version, LockName, was.Version, ErrNotLocked)
		}
	}
	return faults
}

// Update returns the lock with what rules do now, and what speaks against it:
// what Check finds and writing does not mend.
func (l Lock) Update(rs []*Rule) (updated Lock, faults []error) {
	updated = maps.Clone(l)
	if updated == nil {
		updated = Lock{}
	}
	for _, f := range l.Check(rs) {
		if !errors.Is(f, ErrNotLocked) {
			faults = append(faults, f)
		}
	}
	for _, r := range rs {
		updated[r.ID] = Locked{r.Version, r.Hash()}
	}
	return updated, faults
}
