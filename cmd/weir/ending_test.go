package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/emit"
	"weir/event"
)

// stuckPoint is a point that hangs until it is told that its time is over, or,
// with until, until then whatever it is told.
type stuckPoint struct {
	name  string
	until chan struct{}
}

func (s *stuckPoint) hang(ctx context.Context) error {
	if s.until != nil {
		<-s.until
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuckPoint) Name() string { return s.name }
func (s *stuckPoint) Capabilities() emit.Capabilities {
	return emit.Capabilities{Actions: []event.Action{event.Block}}
}
func (s *stuckPoint) Read(ctx context.Context) (emit.List, error)     { return emit.List{}, s.hang(ctx) }
func (s *stuckPoint) Apply(ctx context.Context, _, _ emit.List) error { return s.hang(ctx) }
func (s *stuckPoint) Try(ctx context.Context) error                   { return s.hang(ctx) }
func (s *stuckPoint) Setup() string                                   { return "" }
func (s *stuckPoint) Close() error                                    { return nil }

// Whatever hangs, a run that was told to stop is through with its parts in nine
// seconds: what stops it kills it after ten.
func TestARunThatIsToldToStopIsThroughInNineSeconds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what       string
		checkpoint time.Duration // for how long the last checkpoint took
		took       time.Duration // all together, until the lists are given up
	}{
		{"a quick checkpoint", 0, lastLists + heeding},
		{"one that took all that it may", lastCheckpointBy, lastListsBy + heeding},
		{"a pipeline that was stuck", 10 * time.Second, 10 * time.Second},
	} {
		t.Run(tt.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := slog.New(slog.DiscardHandler)
				ledger, err := emit.OpenLedger(emit.LedgerConfig{Key: event.FixedKey(), Guards: &emit.Guards{}, Now: time.Now})
				if err != nil {
					t.Fatal(err)
				}
				l := &liveRun{env: &environment{log: log}}
				let := make(chan struct{})
				for _, p := range []*stuckPoint{{name: "slow"}, {name: "deaf", until: let}} {
					l.points = append(l.points, p)
					l.keepers = append(l.keepers, emit.NewReconciler(ledger, p, &emit.Guards{}, log))
				}
				told, tell := context.WithCancel(t.Context())
				if by := l.leaveBy(told); !by.IsZero() {
					t.Errorf("nobody has told it to stop, and the checkpoint has until %v", by)
				}
				tell()
				began := time.Now()
				if by := l.leaveBy(told); !by.Equal(began.Add(lastCheckpointBy)) {
					t.Errorf("the last checkpoint has %v", by.Sub(began))
				}
				time.Sleep(tt.checkpoint)
				err = l.lastLists()
				if err == nil || !strings.Contains(err.Error(), "point slow: its last list: ") || !strings.Contains(err.Error(), "point deaf: its last list: it does not answer") {
					t.Errorf("%v", err)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("the lists were given up after %v, must be %v", took, tt.took)
				}
				if left := l.ending.by(lastFilesBy, lastFiles).Sub(began); left > lastFilesBy {
					t.Errorf("the last files have until %v", left)
				}
				close(let)
				synctest.Wait()
				if err := ledger.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
