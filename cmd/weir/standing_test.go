package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/api"
	"weir/pipeline"
)

// stands asks the run how it stands until what it says holds.
func (s *livedState) stands(t *testing.T, what string, holds func(*api.Status) bool) (last api.Status) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		out, err := weir("status", "--json", "-c", s.config)
		last = api.Status{}
		if err == nil {
			err = json.Unmarshal([]byte(out), &last)
		}
		if err == nil && last.Engine != nil && holds(&last) {
			return last
		}
		if time.Now().After(deadline) {
			t.Errorf("it is never so: %s; %v\n%s", what, err, out)
			return last
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestARunThatGoesOnSaysWhatIsOnDisk(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, nil)
	s.live(func(s *livedState) {
		first := s.stands(t, "it says how it stands", func(*api.Status) bool { return true })
		k := first.Engine.Keeping
		if k.Checkpoint.At.IsZero() || k.Checkpoint.Tick.IsZero() || k.Resumed.IsZero() || len(k.Aside) > 0 {
			t.Errorf("a run that went on from a checkpoint says %+v", k)
		}
		out, err := weir("status", "-c", s.config)
		if err != nil {
			t.Error(err)
		}
		if text := strings.Join(strings.Fields(out), " "); strings.Contains(text, "nothing yet") || strings.Contains(text, "PUT ASIDE") {
			t.Errorf("of what is on disk it says: %s", text)
		}
	})
}

func TestAStoreThatWasPutAsideIsSeenByWhoAsks(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, nil)
	must0(t, os.Remove(filepath.Join(s.dir, storeDir, "MANIFEST")))
	s.live(func(s *livedState) {
		last := s.stands(t, "all was derived again", func(st *api.Status) bool { return st.Engine.Keeping.Rebuild == nil && st.Engine.Events > 0 })
		if a := last.Engine.Keeping.Aside; len(a) != 1 || !a[0].Now || filepath.Base(a[0].Where) != storeBroken+"1" || !strings.Contains(a[0].Why, "MANIFEST") || time.Since(a[0].At) > time.Minute {
			t.Errorf("%+v", a)
		}
		out, err := weir("status", "-c", s.config)
		if err != nil {
			t.Error(err)
		}
		must(t, strings.Join(strings.Fields(out), " "), "PUT ASIDE the state that this run found could not be used", "store.broken-1", "rebuilt all that had been decided before was derived from the log again")
	})
	out, err := weir("status", "-c", s.config)
	if err != nil {
		t.Error(err)
	}
	must(t, strings.Join(strings.Fields(out), " "), "PUT ASIDE store.broken-1")
	s.live(func(s *livedState) { // the next run found nothing damaged
		last := s.stands(t, "it says how it stands", func(*api.Status) bool { return true })
		if a := last.Engine.Keeping.Aside; len(a) != 1 || a[0].Now {
			t.Errorf("%+v", a)
		}
	})
}

func TestSinceWhenSomethingHoldsIsRemembered(t *testing.T) {
	var at time.Time
	now := time.Date(2026, 3, 6, 10, 0, 0, 0, time.UTC)
	for i, holds := range []bool{false, true, true, false, true} {
		since(&at, holds, now.Add(time.Duration(i)*time.Second))
		if want := map[int]time.Time{1: now.Add(time.Second), 2: now.Add(time.Second), 4: now.Add(4 * time.Second)}[i]; at != want {
			t.Errorf("step %d: %v, must be %v", i, at, want)
		}
	}
}

// A pipeline that begins anew, as behind a reload, has made no checkpoint of its
// own yet: what is on disk is that of the one before.
func TestACheckpointOutlivesAReload(t *testing.T) {
	base := t.TempDir()
	l := &liveRun{engine: &engine{cfg: &config{}}, dir: &stateDir{path: base}}
	made := time.Now()
	l.observe(&pipeline.Status{At: made, Checkpoint: pipeline.CheckpointStatus{Last: made, Tick: 50, Took: time.Second}})
	l.observe(&pipeline.Status{At: made.Add(time.Second), Checkpoint: pipeline.CheckpointStatus{Failed: 1, Why: "full"}})
	if c := l.status.Load().Checkpoint; !c.Last.Equal(made) || c.Tick != 50 || c.Failed != 1 || c.Why != "full" {
		t.Errorf("%+v", c)
	}
	if at := l.status.Load().FailingSince; !at.Equal(made.Add(time.Second)) {
		t.Errorf("failing since %v", at)
	}
}

// A reload writes a checkpoint and begins another pipeline: what is on disk is
// that one from then on, and the run still went on from where it began. Its
// answer says from when on the new windows are whole.
func TestBehindAReloadWhatIsOnDiskIsTheReloads(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(4, "a.log")
	s.config["checkpoint"] = "10m"
	l, said, stop := s.start()
	defer stop()
	first := l.meta.Tick
	before := s.decisions()
	s.log("a.log", "203.0.113")
	s.await(before, 4, said)
	if st := l.status.Load(); st != nil && (st.Resumed != first || st.Checkpoint.Tick != first) {
		t.Fatalf("before the reload it went on from %d, and %+v is on disk; both must be of %d", st.Resumed, st.Checkpoint, first)
	}
	s.write("rules/own/tries.yaml", strings.ReplaceAll(fmt.Sprintf(livesRule, 4), `count("10m")`, `count("30m")`))
	asked := time.Now()
	text, err := l.reload(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	at, err := time.Parse(time.RFC3339, textBetween(text, "1 rule decides from ", " on;"))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	// Nobody knows the first of a window that was not kept: it is whole once all of
	// it came behind the reload.
	must(t, text, "changed: own.tries", "what these read is complete later (their counts are too low until then):\n  own.tries from "+at.Add(30*time.Minute).Format(time.RFC3339)+" on")
	for st := l.status.Load(); st == nil || st.At.Before(asked.Add(2*time.Second)) || st.Checkpoint.Tick == first; st = l.status.Load() {
		if time.Since(asked) > time.Minute {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	st := l.status.Load()
	if c := st.Checkpoint; c.Tick != at.Unix() || c.Last.Before(asked.Add(-time.Second)) || c.Took == 0 {
		t.Errorf("behind a reload at %d %+v is on disk", at.Unix(), c)
	}
	if st.Resumed != first {
		t.Errorf("behind a reload the run went on from %d, must be %d", st.Resumed, first)
	}
}

// textBetween returns what stands between two texts.
func textBetween(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	found, _, _ := strings.Cut(rest, to)
	return found
}
