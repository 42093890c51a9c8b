package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/emit"
	"weir/event"
	"weir/internal/kafkatest"
	"weir/internal/testkit"
)

// flow writes the log of now, a second each second, until stop is called, which
// returns when the broker has all of it. What it cannot take waits.
func (w *liveWorld) flow() (stop func()) {
	w.at = time.Now().UTC().Truncate(time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	var failed atomic.Pointer[error]
	var flows sync.WaitGroup
	flows.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(w.at.Add(time.Second))): // none is ahead of its time
			}
			for _, r := range w.requests(1, 0, all()...) {
				w.client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
					if err != nil {
						failed.Store(&err)
					}
				})
			}
		}
	})
	end := sync.OnceFunc(func() {
		cancel()
		flows.Wait()
	})
	w.t.Cleanup(end)
	return func() {
		w.t.Helper()
		end()
		patience, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		if err := w.client.Flush(patience); err != nil {
			w.t.Fatal(err)
		}
		if err := failed.Load(); err != nil {
			w.t.Fatal(*err)
		}
	}
}

// listedNow returns the addresses of the plain list, sorted.
func (w *liveWorld) listedNow() (held []string) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "block.txt"))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line[0] != '#' {
			held = append(held, strings.TrimSpace(line))
		}
	}
	slices.Sort(held)
	return held
}

// The whole of a live run on a real Kafka that is killed twice under load: all
// is counted once, a replay decides the same, and the list is as it should be.
func TestALiveRunOutlivesItsBroker(t *testing.T) {
	t.Parallel()
	const most = 10 * time.Second // from the broker's readiness to the next event
	cluster := kafkatest.Start(t, kafkatest.Options{})
	cluster.Create("access", livePartitions)
	w := newLiveWorld(t, cluster.Addr())
	w.rate, w.nets = 1000, 250
	w.at = time.Now().UTC().Truncate(time.Second).Add(-2 * time.Hour)
	w.send(20, 0, all()...) // whose blocks are over
	l, stop := w.run()
	w.tools.Add(1)
	end := w.flow()
	time.Sleep(1500 * time.Millisecond)
	for i := range 2 {
		cluster.Kill(1)
		w.tools.Add(1)              // new ones, who are not known when it is back
		time.Sleep(2 * time.Second) // as old as a status may be
		before := l.status.Load().Summary.Events
		cluster.Restart(1)
		ready := time.Now()
		for l.status.Load().Summary.Events <= before {
			if time.Since(ready) > time.Minute {
				t.Fatalf("nothing was read for a minute after the broker was ready, behind %d events", before)
			}
			time.Sleep(20 * time.Millisecond)
		}
		took := time.Since(ready)
		testkit.Figure(t, "kill %d with %d events read: the next one %.1f s after the broker was ready, as the status says (each second)", i+1, before, took.Seconds())
		if took > most {
			t.Errorf("the next event came %v after the broker was ready, must be at most %v", took, most)
		}
	}
	time.Sleep(time.Second)
	end()
	w.quiet(l)
	if s := l.status.Load().Summary; s.Events != w.sent || s.Dropped+s.Clamped != 0 || len(s.Rejected) != 0 {
		t.Errorf("of %d requests %d were counted, %d dropped, %d clamped, %v rejected", w.sent, s.Events, s.Dropped, s.Clamped, s.Rejected)
	}
	stop()

	live, _ := w.replayed()
	var want []string
	for i := range 2 * 4 {
		address := fmt.Sprintf("203.0.113.%d", i)
		if !bytes.Contains(live, []byte(`"`+address+`"`)) {
			t.Errorf("nothing was decided about %s", address)
		}
		if i >= 2 { // the first two were blocked for an hour, two hours ago
			want = append(want, address)
		}
	}
	if held := w.listedNow(); !slices.Equal(held, want) {
		t.Errorf("the list holds %v, must hold %v", held, want)
	}
	key, err := event.LoadKey(filepath.Join(w.dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := emit.VerifyLedger(filepath.Join(w.dir, "state"), key)
	if err != nil {
		t.Error(err)
	}
	if !t.Failed() {
		testkit.Figure(t, "%d requests through a real Kafka that was killed twice: all counted, %d lines of decisions equal in the replay, %d lines of the ledger, %d addresses listed",
			w.sent, bytes.Count(live, []byte("\n")), lines, len(want))
	}
}
