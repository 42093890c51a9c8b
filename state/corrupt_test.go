package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// damage is something that happens to a file.
type damage struct {
	name string
	do   func(b []byte) []byte // nil: the file is gone
}

func flip(at func(n int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		b[at(len(b))] ^= 1 << 3
		return b
	}
}

var damages = []damage{
	{"cut by one byte", func(b []byte) []byte { return b[:max(len(b)-1, 0)] }},
	{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
	{"emptied", func([]byte) []byte { return []byte{} }},
	{"deleted", func([]byte) []byte { return nil }},
	{"a bit at the start", flip(func(int) int { return 0 })},
	{"a bit near the start", flip(func(n int) int { return min(40, n-1) })},
	{"a bit in the middle", flip(func(n int) int { return n / 2 })},
	{"a bit near the end", flip(func(n int) int { return n - min(n, 7) })},
	{"a bit at the end", flip(func(n int) int { return n - 1 })},
	{"a bit of the length at the end", flip(func(n int) int { return n - min(n, 4) })},
	{"zeros in the middle", func(b []byte) []byte { clear(b[len(b)/3 : len(b)/2]); return b }},
	{"a copy of itself behind it", func(b []byte) []byte { return append(b, b...) }},
}

// ruin is a state's directory with a store that was written for a while: one as
// a kill leaves it, with what is in memory only in logs, and one that was closed.
type ruin struct {
	dir   string // of copies
	model *model
}

func newRuins(t *testing.T) (killed, closed, older ruin) {
	t.Helper()
	w := newWorld(t, 1)
	commit := func(changed int) {
		next := w.m.clone()
		c := w.s.Begin(nil)
		ch := changes{}
		for range changed {
			u, id, v := w.rng.IntN(testUnits), uint16(w.rng.IntN(2)), w.value()
			k := randomKey(w.rng, u)
			if v == nil {
				v = []byte{}
			}
			if next.values[u][id] == nil {
				next.values[u][id] = map[Key][]byte{}
			}
			next.values[u][id][k] = v
			ch.set(w.s, u, id, k, v)
		}
		ch.put(t, c)
		blob := bytes.Repeat([]byte{byte(w.serial)}, 5000)
		if err := c.Blob("facts", blob); err != nil {
			t.Fatal(err)
		}
		w.serial++
		next.blobs["facts"], next.ok, next.last = blob, true, Flip{Tick: w.serial, Meta: []byte("positions")}
		if err := c.Commit(t.Context(), next.last); err != nil {
			t.Fatal(err)
		}
		w.m = next
	}
	copied := func(name string) ruin {
		dir := filepath.Join(t.TempDir(), name)
		copyState(t, w.cfg.Dir, dir)
		return ruin{dir, w.m}
	}
	for range 3 { // each closing makes a table
		commit(500)
		w.reopen(nil)
	}
	commit(200)
	older = copied("older")
	commit(200)
	killed = copied("killed")
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	return killed, copied("closed"), older
}

// files returns the files of a state's directory that a store consists of.
func (r ruin) files(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{sidecarFile, "store/*"} {
		found, err := filepath.Glob(filepath.Join(r.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(r.dir, f)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, rel)
		}
	}
	return names
}

// copy makes a directory that may be damaged.
func (r ruin) copy(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	copyState(t, r.dir, dir)
	return dir
}

// copyState copies a store and its sidecar.
func copyState(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(to, storeDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range (ruin{dir: from}).files(t) {
		if err := copySparse(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// damageFile does something to what is in a file: not to the zeros behind it,
// where Badger has room for more. It reports whether that changes anything.
func damageFile(t *testing.T, path string, d damage) bool {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := bytes.TrimRight(before, "\x00")
	after := d.do(bytes.Clone(used))
	switch {
	case after == nil:
		err = os.Remove(path)
	case bytes.Equal(after, used):
		return false
	default:
		if err = os.WriteFile(path, after, 0o600); err == nil && len(after) == len(used) {
			err = os.Truncate(path, int64(len(before)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// opens opens a damaged store and demands that all of it is there or that it
// was put aside, and that it can be used and opened again.
func (r ruin) opens(t *testing.T, dir string) (broken bool) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	report, err := Look(t.Context(), dir, nil)
	if err != nil {
		t.Errorf("it cannot be looked at: %v", err)
	}
	s := mustOpen(t, testConfig(dir))
	want := r.model
	if why := s.Broken(); why != "" {
		broken, want = true, newModel()
		if len(report.Faults) == 0 && !strings.Contains(why, "the process ended") {
			t.Errorf("%q, but looking found nothing wrong", why)
		}
		if entries, err := os.ReadDir(asidePath(dir, 1)); err != nil || len(entries) == 0 || !strings.Contains(why, asidePath(dir, 1)) {
			t.Errorf("%q, but %d files stand aside, error %v", why, len(entries), err)
		}
	}
	want.compare(t, s, rng)
	c := s.Begin(nil)
	ch := changes{}
	next := want.clone()
	k, v := randomKey(rng, 0), []byte("new")
	ch.set(s, 0, 9, k, v)
	next.values[0][9] = map[Key][]byte{k: v}
	ch.put(t, c)
	next.last, next.ok = Flip{Tick: 1000, Meta: []byte("later")}, true
	if err := c.Commit(t.Context(), next.last); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, testConfig(dir))
	if why := s.Broken(); why != "" {
		t.Error("broken again:", why)
	}
	next.compare(t, s, rng)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return broken
}

// apart runs the calling test in a process of its own and reports whether this is
// that process. Badger leaves goroutines behind where it cannot open a store, and
// what it does to a damaged one must not end other tests.
func apart(t *testing.T) (inside bool) {
	t.Helper()
	const mark = "WEIR_STATE_APART"
	if os.Getenv(mark) != "" {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if _, said, ok := strings.Cut(line, "_test.go:"); ok {
			t.Log(strings.TrimSpace(said))
		}
	}
	return false
}

func TestADamagedStoreIsWholeOrPutAside(t *testing.T) {
	if !apart(t) {
		return
	}
	killed, closed, _ := newRuins(t)
	kinds := map[string]int{}
	whole, aside, tables := 0, 0, 0
	for name, r := range map[string]ruin{"killed": killed, "closed": closed} {
		for _, file := range r.files(t) {
			if name == "closed" && filepath.Ext(file) != ".sst" && filepath.Base(file) != "MANIFEST" {
				continue // these are as in the one that was killed
			}
			if filepath.Ext(file) == ".sst" {
				if tables++; tables > 3 {
					continue
				}
			}
			for _, d := range damages {
				t.Run(fmt.Sprintf("%s/%s/%s", name, filepath.Base(file), d.name), func(t *testing.T) {
					dir := r.copy(t)
					if !damageFile(t, filepath.Join(dir, file), d) {
						return // there is nothing in it that could be damaged so
					}
					if r.opens(t, dir) {
						aside++
					} else {
						whole++
					}
					kinds[strings.TrimLeft(filepath.Base(file), "0123456789.")]++
				})
			}
		}
	}
	t.Logf("%d whole, %d put aside; by kind of file: %v", whole, aside, kinds)
	if whole+aside < 80 || aside < 40 || len(kinds) < 7 {
		t.Errorf("%d damages, %d put aside, %d kinds of files: %v", whole+aside, aside, len(kinds), kinds)
	}
}
