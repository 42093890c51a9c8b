package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"weir/event"
	"weir/pipeline"
	"weir/state"
)

// storeFacts is what the file beside a store says of it: all that a start looks
// at before it opens the store.
type storeFacts struct {
	Format     int    `json:"format"`
	Units      int    `json:"units"`
	KeyID      string `json:"key"`
	Generation uint64 `json:"generation"`
	Tick       int64  `json:"tick"`
}

// readStoreFacts reads a state's store.json; nil where there is none. One that
// is damaged is a state.ErrCorrupt.
func readStoreFacts(dir string) (*storeFacts, error) {
	b, err := os.ReadFile(filepath.Join(dir, storeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	var sealed struct {
		Store json.RawMessage `json:"store"`
		Sum   string          `json:"sum"`
	}
	var f storeFacts
	err = json.Unmarshal(b, &sealed)
	if err == nil {
		err = json.Unmarshal(sealed.Store, &f)
	}
	sum := fmt.Sprintf("%08x", crc32.Checksum(sealed.Store, crc32.MakeTable(crc32.Castagnoli)))
	if err == nil && sum != sealed.Sum {
		err = fmt.Errorf("checksum %q, must be %q", sealed.Sum, sum)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", storeFile, state.ErrCorrupt, err)
	}
	return &f, nil
}

// storeKeyID tells key files apart without saying anything of them.
func storeKeyID(key *event.Key) string { return hex.EncodeToString(key.MAC("store", nil))[:16] }

// refusal is why a sound store cannot be used, and what to do about it. A start
// and all commands that look at a state say it in the same words.
type refusal struct{ why, do string }

func (r *refusal) Error() string { return r.why + ": " + r.do }

// refused returns why a store cannot be used with this weir and this key; nil: it
// can be. Without a key it is not asked whose it is.
func (f *storeFacts) refused(key *event.Key) *refusal {
	const anew = "move " + storeDir + " and " + storeFile + " away: all is decided again from the log, as far as that reaches back"
	switch {
	case f == nil:
	case f.Format > state.Format:
		return &refusal{fmt.Sprintf("the store is of format %d, and this version of weir reads format %d", f.Format, state.Format),
			"start the newer weir that wrote it, or " + anew}
	case f.Format < state.Format:
		return &refusal{fmt.Sprintf("the store is of format %d, an older one, and this version of weir reads format %d", f.Format, state.Format),
			"go on with the weir that wrote it, or " + anew}
	case f.Units != stateUnits:
		return &refusal{fmt.Sprintf("the store has %d units, and this weir keeps %d", f.Units, stateUnits),
			"start the weir that made it, or " + anew}
	}
	return f.ofOtherKey(key)
}

// ofOtherKey returns why a state cannot be read with this key; nil: it can be, as
// far as is known.
func (f *storeFacts) ofOtherKey(key *event.Key) *refusal {
	if f != nil && key != nil && f.KeyID != storeKeyID(key) {
		return &refusal{fmt.Sprintf("the store was made with another key file (its mark is %s, this one's %s)", f.KeyID, storeKeyID(key)),
			"name the key file that it was made with (key_file:), for its ledger and all pseudonyms are of that one, too; where it is lost begin a new state (state: dir:)"}
	}
	return nil
}

// usable refuses a state's directory that a run could not use, in words that say
// what to do, before anything is opened in it. What is damaged is no reason: a
// start puts it aside.
func (g *engine) usable(dir string) error {
	f, err := readStoreFacts(dir)
	if err != nil && !errors.Is(err, state.ErrCorrupt) {
		return err
	}
	if r := f.refused(g.key); r != nil {
		return usagef("state: %s: %w", dir, r)
	}
	return g.cfg.roomFor(dir)
}

// roomFor refuses a reserve that the disk could never have, for which a start
// would wait for ever.
func (c *config) roomFor(dir string) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("state: dir: %s: %w", dir, err)
	}
	total := int64(disk.Blocks) * disk.Bsize
	reserve := c.reserve()
	if reserve == 0 {
		reserve = state.DefaultReserve(total)
	}
	if least := reserve + reserve/2; least >= total { // the ballast is taken from what is free, too
		return usagef("state: reserve: %s is to stay free, and the disk of %s has %s in all: weir would wait for ever; take a larger disk or a smaller reserve (at least %s)",
			bytesText(reserve), dir, bytesText(total), sizeText(minReserve))
	}
	return nil
}

// holderOf returns the pid of the process that holds a state's directory; empty:
// nobody does. Nothing is changed by asking.
func holderOf(dir string) (pid string, err error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("state: dir: %w", err)
	}
	defer f.Close() // closing gives the lock up
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return holder(f), nil
	}
	if err != nil {
		return "", fmt.Errorf("state: dir: %s: %w", dir, err)
	}
	return "", nil
}

// asideNumber returns the number of a store that was put aside; -1: it is none.
func asideNumber(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, storeBroken))
	if err != nil || !strings.HasPrefix(name, storeBroken) {
		return -1
	}
	return n
}

// newestAside returns the highest number in a state's directory; 0: there is none.
func newestAside(dir string) int {
	if all := storesAside(dir, nobodysRun); len(all) > 0 {
		return asideNumber(filepath.Base(all[0].Where))
	}
	return 0
}

// nobodysRun is what who is no run knows.
const nobodysRun = math.MaxInt

// maxAside is how many stores that were put aside are looked at.
const maxAside = 16

// storesAside returns the stores in a state's directory that were put aside, the
// newest first. Those behind the number that a run knew when it began were by
// that run.
func storesAside(dir string, known int) (all []pipeline.AsideStatus) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // who holds the directory says so elsewhere
	}
	number := asideNumber
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return number(e.Name()) < 0
	})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return number(b.Name()) - number(a.Name()) })
	for _, e := range entries[:min(len(entries), maxAside)] {
		a := pipeline.AsideStatus{Where: filepath.Join(dir, e.Name())}
		a.Why = whyAside(a.Where)
		if info, err := os.Stat(filepath.Join(a.Where, "why")); err == nil {
			a.At = info.ModTime().UTC()
		} else if info, err := e.Info(); err == nil {
			a.At = info.ModTime().UTC()
		}
		a.Now = number(e.Name()) > known
		all = append(all, a)
	}
	return all
}

// damageWords are what the store's own errors mean to who has to act on them.
var damageWords = []struct{ has, means string }{
	{"badger panicked", "its files cannot be read"},
	{"checksum mismatch", "a checksum does not fit"},
	{"corrupt record: checksum", "a checksum does not fit"},
	{"manifest has bad magic", "its list of files is damaged"},
	{"bad checksum", "a checksum does not fit"},
	{"unexpected EOF", "a file was cut short"},
	{"unexpected end of JSON input", "it was cut short"},
	{"invalid character", "it is not what weir wrote"},
	{"file does not exist for table", "a file that it needs is gone"},
	{"Value Threshold", "its files contradict each other"},
}

// plainDamage says what is wrong with a store as a person may read it: its own
// library says it for those who write that.
func plainDamage(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	for _, w := range damageWords {
		i := strings.Index(text, w.has)
		if i < 0 {
			continue
		}
		where := strings.TrimSuffix(strings.TrimSpace(text[:i]), ":")
		where = strings.TrimSuffix(strings.TrimSpace(where), state.ErrCorrupt.Error())
		if where = strings.TrimSuffix(strings.TrimSpace(where), ":"); where == "" || strings.Contains(where, "corrupt record") {
			_, where, _ = strings.Cut(where, state.ErrCorrupt.Error()+": ")
		}
		if where == "" {
			return w.means
		}
		return where + ": " + w.means
	}
	return strings.TrimPrefix(text, state.ErrCorrupt.Error()+": ")
}
