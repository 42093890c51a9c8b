package state

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// failpoints are the places where a crash hurts most.
var failpoints = []string{
	"state.records.written", "state.records.synced", "state.flip.before", "state.flip.after", "state.flip.synced",
	"state.sidecar.written", "state.open.before", "state.drop.before", "state.drop.after",
}

// childKeys is how many keys a child writes to.
const childKeys = 5000

// childChanges calls fn with what the checkpoint at a tick changes; value is nil
// where a key goes. All follows from the tick.
func childChanges(tick int64, fn func(unit int, table uint16, k Key, value []byte)) {
	rng := rand.New(rand.NewPCG(uint64(tick), 42))
	for range 800 {
		n := rng.Uint64N(childKeys)
		keys := rand.New(rand.NewPCG(n, 1))
		unit, table := int(n%testUnits), uint16(n/testUnits%2)
		k := randomKey(keys, unit)
		var value []byte
		if rng.IntN(6) > 0 {
			value = bytes.Repeat(binary.LittleEndian.AppendUint64(nil, rng.Uint64()), rng.IntN(80))
			if value == nil {
				value = []byte{}
			}
		}
		fn(unit, table, k, value)
	}
}

func childFlip(tick int64) Flip {
	return Flip{Tick: tick, Meta: fmt.Appendf(nil, "positions at %d", tick)}
}

func childBlob(tick int64) []byte { return bytes.Repeat([]byte{byte(tick)}, int(tick%7)*60_000) }

// child writes checkpoints until it is killed, and says of each that it is in
// force.
func child(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		s, err := Open(context.Background(), testConfig(dir))
		if err != nil {
			fail(err)
		}
		if why := s.Broken(); why != "" {
			fail(errors.New(why))
		}
		last, _ := s.Last()
		for i := range int64(12) {
			tick := last.Tick + 1
			if i%5 == 4 { // one that is given up leaves nothing behind
				c := s.Begin(nil)
				childPut(s, c, -tick)
				c.Abort()
			}
			c := s.Begin(keepTest)
			childPut(s, c, tick)
			if err := c.Blob("facts", childBlob(tick)); err != nil {
				fail(err)
			}
			if err := c.Commit(context.Background(), childFlip(tick)); err != nil {
				fail(err)
			}
			last.Tick = tick
			fmt.Println(tick)
		}
		if err := s.Close(); err != nil {
			fail(err)
		}
	}
}

// childDrops reports whether a checkpoint writes table 1 whole, without what it had.
func childDrops(tick int64) bool { return tick%5 == 0 }

func childPut(s *Store, c *Checkpoint, tick int64) {
	ch := changes{}
	whole := childWhole(s, tick)
	childChanges(tick, func(unit int, table uint16, k Key, value []byte) {
		keys := whole[place{unit: unit, table: table}]
		switch {
		case keys == nil:
			ch.set(s, unit, table, k, value)
		case value == nil:
			delete(keys, k)
		default:
			keys[k] = value
		}
	})
	for at, keys := range whole {
		pages := 1 + len(keys)/20
		if err := c.Whole(at.unit, at.table, pages); err != nil {
			return // Commit has it
		}
		for k, v := range keys {
			at.page = PageAmong(k, pages)
			ch[at] = AppendChange(ch[at], k, v)
		}
	}
	for at, b := range ch {
		if err := c.Put(at.unit, at.table, at.page, b); err != nil {
			return // Commit has it
		}
	}
}

// childWhole returns the tables that a checkpoint writes whole, by the first page's
// place, with what is kept of them.
func childWhole(s *Store, tick int64) map[place]map[Key][]byte {
	whole := map[place]map[Key][]byte{}
	for unit := range testUnits {
		if childDrops(tick) {
			whole[place{unit: unit, table: 1}] = map[Key][]byte{}
		}
		if tick*tick%3 == 0 {
			continue
		}
		keys := map[Key][]byte{}
		if err := s.Unit(unit).Scan(0, func(k Key, v []byte) error { keys[k] = bytes.Clone(v); return nil }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		whole[place{unit: unit}] = keys
	}
	return whole
}

// advance makes of a model at one tick that of a later one.
func (m *model) advance(to int64) {
	for tick := m.last.Tick + 1; tick <= to; tick++ {
		for u := range m.values {
			if childDrops(tick) {
				delete(m.values[u], 1)
			}
		}
		childChanges(tick, func(unit int, table uint16, k Key, value []byte) {
			if m.values[unit][table] == nil {
				m.values[unit][table] = map[Key][]byte{}
			}
			if value == nil {
				delete(m.values[unit][table], k)
			} else {
				m.values[unit][table][k] = value
			}
		})
		m.ok, m.last = true, childFlip(tick)
		m.blobs["facts"] = childBlob(tick)
		if len(m.blobs["facts"]) == 0 {
			m.blobs["facts"] = nil
		}
	}
}

func TestAStoreIsWholeAfterEveryKill(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "child")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "failpoints", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the child: %v\n%s", err, out)
	}
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("WEIR_TORTURE")); err == nil {
		kills = max(n, kills)
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(kills), 5))
	m := newModel()
	deaths := map[string]int{}
	for i := range kills {
		env, after := "", time.Duration(1+rng.IntN(700))*time.Millisecond
		if i%2 == 0 || i < len(failpoints) { // half of them there, each at least once
			env = failpoints[(i+i/len(failpoints))%len(failpoints)]
			deaths[env]++
			env += ":" + strconv.Itoa(1+rng.IntN(4))
			after = time.Minute
		} else {
			deaths["anywhere"]++
		}
		acked := runChild(t, exe, dir, env, after)
		s := mustOpen(t, testConfig(dir))
		if why := s.Broken(); why != "" {
			t.Fatalf("kill %d (%s): %s", i, env, why)
		}
		last, _ := s.Last()
		if acked > 0 && last.Tick != acked && last.Tick != acked+1 || last.Tick < m.last.Tick {
			t.Fatalf("kill %d (%s): the last checkpoint is at tick %d, and %d was in force", i, env, last.Tick, max(acked, m.last.Tick))
		}
		m.advance(last.Tick)
		m.compare(t, s, rng)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if m.last.Tick < int64(kills) {
		t.Errorf("%d kills, and the children came to tick %d", kills, m.last.Tick)
	}
	t.Logf("%d kills up to tick %d, 0 wrong: %v", kills, m.last.Tick, deaths)
}

// runChild runs a child until it dies at its failpoint or is killed; it returns
// the last tick that the child said was in force.
func runChild(t *testing.T, exe, dir, failpoint string, after time.Duration) (acked int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), exe)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	cmd.Env = append(os.Environ(), "WEIR_STATE_CHILD="+dir, "WEIR_FAILPOINT="+failpoint)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acked, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v\n%s", err, &complaints)
	}
	if failpoint != "" && !timer.Stop() {
		t.Fatalf("the child never came by %s", failpoint)
	}
	return acked
}
