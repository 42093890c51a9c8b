package e2e

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/internal/broker"
	"weir/internal/kafkatest"
	"weir/internal/testkit"
	"weir/pipeline"
)

// A live run reads a topic while the broker is killed again and again, and while
// a partition falls silent and wakes with old records. All that the broker
// acknowledged must count once, and a replay of the topic with the journal must
// decide the same, line for line.
func TestNothingIsLostWhenTheBrokerIsKilledUnderLoad(t *testing.T) {
	const rate = 6000
	cluster := kafkatest.Start(t, kafkatest.Options{})
	cluster.Create("access", partitions)
	client := options(t, broker.Config{Brokers: cluster.Addr()})
	e := newEngine(t)
	l := e.start(t, client, "access")
	producer := newLoad(t, cluster.Addr(), "access", rate, true)
	stop := producer.run(t)
	e.await(t, l, 1)
	seed := rand.Uint64()
	t.Logf("the broker is killed at the moments of seed %d", seed)
	broken := &faults{engine: e, live: l, cluster: cluster, moments: rand.New(rand.NewPCG(seed, 0))}
	producer.fate.Store(diverted)
	broken.kill(t, producer)
	silent := until(t, l, "an idle partition", l.idle.Load)
	broken.kill(t, producer)
	broken.wake(t, producer)
	broken.outage(t, producer)
	broken.kill(t, producer)
	stop()
	asked := producer.requests.some(3000)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	at, err := producer.last(ctx, asked)
	if err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(producer.start)

	// When all partitions are idle the clock runs on to the whole ten seconds
	// behind the last event, as it does at the end of a replay.
	idle := until(t, l, "the last tick", func() bool { return l.tick.Load() >= at.Unix()+10-at.Unix()%10 })
	l.stop()
	if l.err != nil {
		t.Fatal(l.err)
	}
	marks, by := l.marks(t)

	if broken.loaded != 3 || broken.kills != 4 {
		t.Errorf("the broker was killed %d times, %d of them under load, want 4 and 3", broken.kills, broken.loaded)
	}
	total, requests := truth(t, cluster.Addr(), "access")
	if acknowledged := producer.acknowledged.Load(); acknowledged > total || total < rate*int64(span.Seconds()) {
		t.Errorf("%d records were acknowledged, the topic holds %d", acknowledged, total)
	}
	if l.sum.Events != total || l.sum.Dropped+l.sum.Clamped != 0 || len(l.sum.Rejected) > 0 {
		t.Errorf("of %d records %d were counted, %d dropped, %d clamped, %v rejected",
			total, l.sum.Events, l.sum.Dropped, l.sum.Clamped, l.sum.Rejected)
	}
	if n := l.counted("e2e.site")["shop.example"]; int64(n) != total {
		t.Errorf("the windows hold %v events of the site, want %d", n, total)
	}
	byAddress := l.counted("e2e.ip")
	if len(byAddress) != len(asked) {
		t.Errorf("%d addresses were counted, want %d", len(byAddress), len(asked))
	}
	wrong := 0
	for _, a := range asked {
		if int(byAddress[a]) != requests[a] {
			if wrong++; wrong <= 5 {
				t.Errorf("the windows hold %v events of %s, want %d", byAddress[a], a, requests[a])
			}
		}
	}
	for _, rule := range []string{"ato.stuffing_source", "ato.low_and_slow", "scraping.source"} {
		if s := l.sum.Decisions[rule]; s == nil || s.New == 0 {
			t.Errorf("rule %s decided nothing", rule)
		}
	}

	begin := time.Now()
	again, sum := e.replay(t, client, marks)
	replayed := time.Since(begin)
	compare(t, again.all, l.all)
	if sum.Events != l.sum.Events || sum.Late != l.sum.Late || sum.LastTick != l.sum.LastTick {
		t.Errorf("the replay counts %d events, %d late, up to tick %d, the live run %d, %d late, up to %d",
			sum.Events, sum.Late, sum.LastTick, l.sum.Events, l.sum.Late, l.sum.LastTick)
	}
	if by[pipeline.MarkStart] != partitions || l.sum.Late == 0 {
		t.Errorf("the journal has %v and %d events were late, want a start for each partition, and some", by, l.sum.Late)
	}
	if _, without := e.replay(t, client, nil); without.Late != 0 {
		t.Errorf("a replay without the journal has %d late events, want none: then the journal did not matter", without.Late)
	}
	testkit.Figure(t, "%d records (%d acknowledged) in %.1f s over %d kills, %d of them under load: %d counted, %d of them late, %d of %d addresses exact; "+
		"%d decisions equal in the replay, which took %.1f s; journal %v; a silent partition idle after %.1f s, the last tick %.1f s after the last event",
		total, producer.acknowledged.Load(), loaded.Seconds(), broken.kills, broken.loaded, l.sum.Events, l.sum.Late, len(asked)-wrong, len(asked),
		len(l.all), replayed.Seconds(), by, silent.Seconds(), idle.Seconds())
}

// faults is what befalls a live run.
type faults struct {
	*engine
	live    *live
	cluster *kafkatest.Cluster
	moments *rand.Rand
	kills   int
	loaded  int // of the kills, while requests came
}

// wake has the last partition wake with records that the others have overtaken.
func (f *faults) wake(t *testing.T, producer *load) {
	t.Helper()
	producer.fate.Store(delayed)
	oldest := producer.now().Unix() + 1
	until(t, f.live, "ticks without the last partition", func() bool { return f.live.tick.Load() > oldest })
	producer.fate.Store(sent)
	until(t, f.live, "the last partition", func() bool { return !f.live.idle.Load() })
}

// kill kills the broker at a random moment, while requests come, and starts it
// again. They go on meanwhile, and wait with who sends them.
func (f *faults) kill(t *testing.T, producer *load) {
	t.Helper()
	time.Sleep(time.Second/2 + time.Duration(f.moments.Int64N(int64(2*time.Second))))
	acknowledged := producer.acknowledged.Load()
	until(t, f.live, "a record that is acknowledged", func() bool { return producer.acknowledged.Load() > acknowledged })
	f.cluster.Kill(1)
	down, made := time.Now(), producer.made.Load()
	before := f.settled(t, f.live)
	f.cluster.Restart(1)
	ready := time.Now()
	f.resumed(t, before, down, ready)
	if waiting := producer.made.Load() - made; float64(waiting) > producer.rate/2*ready.Sub(down).Seconds() {
		f.loaded++
	} else {
		t.Errorf("%d requests were made while the broker was down, too few to be a load", waiting)
	}
}

// outage takes the broker away for longer than a partition is silent before it
// is idle. Who writes to the topic comes back later than the broker, with all
// that has gathered meanwhile: that was no silence, and must not count late.
func (f *faults) outage(t *testing.T, producer *load) {
	t.Helper()
	producer.stopped.Store(true)
	if err := producer.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, marked := f.live.marks(t)
	before := f.settled(t, f.live)
	f.cluster.Kill(1)
	down := time.Now()
	time.Sleep(10 * time.Second)
	f.cluster.Restart(1)
	ready := time.Now()
	time.Sleep(3 * time.Second) // weir knows by then that there is nothing
	producer.stopped.Store(false)
	f.resumed(t, before, down, ready)
	f.await(t, f.live, before+2000*partitions) // of each partition some of what has gathered
	if _, now := f.live.marks(t); !maps.Equal(now, marked) {
		t.Errorf("over an outage the journal went from %v to %v: it was taken for silence", marked, now)
	}
}

// resumed waits for the next event and says how long that took.
func (f *faults) resumed(t *testing.T, before int64, down, ready time.Time) {
	t.Helper()
	const most = 10 * time.Second
	f.await(t, f.live, before+1)
	took := time.Since(ready)
	f.kills++
	testkit.Figure(t, "kill %d with %d events read: down for %.1f s, the next event %.2f s after the broker was ready",
		f.kills, before, ready.Sub(down).Seconds(), took.Seconds())
	if took > most {
		t.Errorf("the next event came %v after the broker was ready, want at most %v", took, most)
	}
}

// compare reports the first difference between the decisions of a replay and of
// the live run.
func compare(t *testing.T, replayed, live []string) {
	t.Helper()
	if slices.Equal(replayed, live) {
		return
	}
	i := 0
	for i < min(len(replayed), len(live)) && replayed[i] == live[i] {
		i++
	}
	of := func(lines []string) string {
		if i < len(lines) {
			return lines[i]
		}
		return "nothing"
	}
	t.Errorf("the replay decides %d lines, the live run %d; they differ from line %d on:\nreplay %s\nlive   %s", len(replayed), len(live), i+1, of(replayed), of(live))
}

// patience is how long anything may take that has no limit of its own.
const patience = 2 * time.Minute

// until waits for something and returns how long it took.
func until(t *testing.T, l *live, what string, there func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !there() {
		l.running(t)
		if time.Since(begin) > patience {
			t.Fatalf("%s did not come within %v; the last tick is %d", what, patience, l.tick.Load())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}

// await waits until n lines have been read in all.
func (e *engine) await(t *testing.T, l *live, n int64) {
	t.Helper()
	until(t, l, "the next event", func() bool { return e.decoded.Load() >= n })
}

// settled waits until what had been fetched has been read, and returns how many
// lines that were.
func (e *engine) settled(t *testing.T, l *live) int64 {
	t.Helper()
	for {
		before := e.decoded.Load()
		time.Sleep(300 * time.Millisecond)
		l.running(t)
		if e.decoded.Load() == before {
			return before
		}
	}
}
