package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"weir/event"
	"weir/rules"
	"weir/state"
)

// Only what the last checkpoint that succeeded cost says when the next one comes,
// and over what time it is spread; so when there is less to do it is as before.
func TestTheTimeBetweenCheckpointsFollowsWhatTheLastOneCost(t *testing.T) {
	const every = 10 * time.Second
	r := runOverStore(t, every)
	defer r.giveUp()
	processors := time.Duration(runtime.GOMAXPROCS(0))
	for i, s := range []struct {
		name string
		work time.Duration // that was seen of it
		err  error
		next time.Duration
	}{
		{"little", 0, nil, every},
		{"a sixteenth of the time", every * processors / 16, nil, 2 * every},
		{"nothing, and it failed", 0, errors.New("the disk is full"), 2 * every},
		{"more than there is", every * processors * 4, nil, 4 * every},
		{"little again", 0, nil, every},
	} {
		before := r.keeping.every
		r.current = int64(1_700_000_000 + i)
		if err := r.beginCut(); err != nil {
			t.Fatal(err)
		}
		c := r.keeping.cut
		if c.spread.over != before/spreadShare {
			t.Errorf("%s: spread over %v, must be half of %v", s.name, c.spread.over, before)
		}
		for !c.encoded {
			r.encodeSlice(c, maxSlice, 1<<40)
		}
		if err := <-c.result; err != nil {
			t.Fatal(err)
		}
		c.work, c.err = s.work-c.checkpoint.Worked(), s.err
		c.settling = r.settling(c)
		r.slice(c.settling, time.Hour)
		r.settled(c)
		if r.keeping.every != s.next {
			t.Errorf("%s: the next one begins in %v, must be %v", s.name, r.keeping.every, s.next)
		}
	}
}

// A run that goes on from more than it may have in memory has to read before keys can
// leave: what it waits for is the tick that only input brings.
func TestInputDoesNotWaitForRoomBeforeTheFirstTick(t *testing.T) {
	r := runOverStore(t, time.Hour)
	r.keeping.limit.resident, r.keeping.limit.hard = -200, -100 // whatever there is, it is too much
	if busy, err := r.keep(); err != nil || busy || r.keeping.held.Load() {
		t.Fatalf("before the first tick: busy %v, input waits %v, %v", busy, r.keeping.held.Load(), err)
	}
	r.current = 1_700_000_000
	if busy, err := r.keep(); err != nil || !busy {
		t.Fatalf("behind it keys do not leave: busy %v, %v", busy, err)
	}
}

// runOverStore makes a run of two units that keeps its state and has no source.
func runOverStore(t *testing.T, checkpoint time.Duration) *run {
	t.Helper()
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 2, KeyID: "test", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	plan, err := rules.NewPlan(nil, event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	r := newRun(ctx, cancel, Config{Plan: plan, Units: 2, Workers: 1, Store: store, Checkpoint: checkpoint, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(r.stopReducers)
	return r
}
