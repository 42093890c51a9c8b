package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// randomWorld returns one of the worlds in which oracle and pipeline must agree.
func randomWorld(t testing.TB, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 77))
	opt := testkit.StreamOptions{
		Events:     700 + rng.IntN(900),
		Partitions: []int{1, 5, 12}[seed%3],
		Jitter:     []time.Duration{0, time.Second, 5 * time.Second, 90 * time.Second}[rng.IntN(4)],
		Refused:    rng.IntN(3) > 0,
		Appended:   rng.IntN(4) == 0,
		Calm:       rng.IntN(4) == 0,
	}
	if rng.IntN(3) > 0 {
		opt.Late, opt.Dropped, opt.Future, opt.Garbage = 0.02, 0.01, 0.005, 0.01
	}
	disorder := []time.Duration{0, 2 * time.Second, 5 * time.Second, time.Minute}[rng.IntN(4)]
	latest := []time.Duration{time.Minute, time.Hour}[rng.IntN(2)]
	records := testkit.Stream(seed, opt)
	if seed%4 != 3 || len(records) == 1 {
		return newWorld(t, worldSource{name: "log", records: records, disorder: disorder, latest: latest}).idle(rng)
	}
	only, err := rules.CompileEvent(`country in ["DE", "FR"]`, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t,
		worldSource{name: "edge", records: records[:2], disorder: disorder, latest: latest, only: only},
		worldSource{name: "origin", records: records[2:], disorder: 2 * disorder, latest: latest}).idle(rng)
}

// idle lets some partitions sleep and wake, as the journal says.
func (w *world) idle(rng *rand.Rand) *world {
	if rng.IntN(2) == 0 {
		return w
	}
	for range 1 + rng.IntN(6) {
		s := w.sources[rng.IntN(len(w.sources))]
		p := rng.IntN(len(s.records))
		if len(s.records[p]) == 0 {
			continue
		}
		rec := s.records[p][rng.IntN(len(s.records[p]))]
		var ev event.Event
		if testkit.Decode(rec.Line, &ev, &event.Arena{}) != nil || ev.Time > 1<<61 {
			continue
		}
		w.journal = append(w.journal, pipeline.Mark{
			Source: s.name, Partition: int32(p), Offset: rec.Offset, Watermark: ev.Time/1e9 + int64(rng.IntN(40)) - 10,
		})
	}
	return w
}

// shapes are some of the ways to run that must not matter.
func shapes(seed uint64) []shape {
	return []shape{
		{workers: 4, units: 8, batch: 100, seed: seed},
		{workers: 1, units: 1, batch: 5000, seed: seed + 1},
		{workers: 8, units: 64, batch: 7, seed: seed + 2, recode: true},
	}
}

func TestThePipelineDecidesWhatTheOracleDecides(t *testing.T) {
	fired := map[string]int{}
	steps := map[string]int{}
	for seed := range uint64(seeds(24)) {
		w := randomWorld(t, seed)
		o := w.oracle()
		decided := o.run()
		want := linesOf(decided)
		for _, d := range decided {
			steps[d.Step.String()]++
			if d.Step == event.New {
				fired[fmt.Sprintf("%s %s %s %s", d.Rule, d.Would, shapeOf(d.Target), d.Except)]++
			}
		}
		for _, s := range shapes(seed) {
			got, sum := w.run(t, s)
			if !compare(t, fmt.Sprintf("seed %d, %v", seed, s), want, got) {
				break
			}
			if got := tallyOf(sum); got != o.tally {
				t.Errorf("seed %d, %v: %+v, the oracle counts %+v", seed, s, got, o.tally)
			}
		}
	}
	for _, step := range []string{"new", "renew", "end"} {
		if steps[step] < 200 {
			t.Errorf("%d lines of %s, want at least 200 for the comparison to mean something", steps[step], step)
		}
	}
	for _, r := range rulesOfTheLaws(t) {
		for i := range r.Then {
			c := &r.Then[i]
			except := ""
			if c.Except != event.NoField {
				except = "known(" + c.Except.String() + ")"
			}
			name := fmt.Sprintf("%s %s %s %s", r.ID, c.Action, fieldNames(c.Dims), except)
			if fired[name] == 0 {
				t.Errorf("no stream brings %s", name)
			}
		}
	}
}

// tallyOf returns what a summary says became of the records.
func tallyOf(sum pipeline.Summary) oracleTally {
	t := oracleTally{
		Late: int(sum.Late), Dropped: int(sum.Dropped), Future: int(sum.Future), Clamped: int(sum.Clamped),
		Filtered: int(sum.Filtered), Counted: int(sum.Events - sum.Filtered),
	}
	for _, n := range sum.Rejected {
		t.Rejected += int(n)
	}
	return t
}

func shapeOf(target event.Target) string {
	s := ""
	for _, v := range target {
		s += v.Field + ","
	}
	return s
}

func TestNeitherWorkersNorUnitsNorBatchesNorInterleavingsMatter(t *testing.T) {
	for _, wide := range []bool{false, true} {
		w := newWorld(t, worldSource{
			name: "log", disorder: 2 * time.Second, latest: time.Hour,
			records: testkit.Stream(4242, testkit.StreamOptions{
				Events: 1500, Partitions: 5, Jitter: 4 * time.Second, Late: 0.02, Dropped: 0.01, Future: 0.005, Garbage: 0.01,
				Refused: true, Wide: wide,
			}),
		})
		want, _ := w.run(t, shape{workers: 1, units: 1, batch: 5000, seed: 1})
		if len(want) < 100 {
			t.Errorf("wide %v: %d decisions, want at least 100", wide, len(want))
		}
		n := uint64(0)
		for _, workers := range []int{1, 4, 8} {
			for _, units := range []int{1, 8, 64} {
				for _, batch := range []int{1, 7, 100, 5000} {
					n++
					s := shape{workers: workers, units: units, batch: batch, seed: n, recode: n%3 == 0}
					got, _ := w.run(t, s)
					if !compare(t, fmt.Sprintf("wide %v, %v", wide, s), want, got) {
						return
					}
				}
			}
		}
	}
}

func TestPartitionsDoNotMatterWhileNothingIsLate(t *testing.T) {
	for seed := range uint64(seeds(4)) {
		var want []string
		for _, partitions := range []int{1, 5, 12} {
			w := newWorld(t, worldSource{
				name: "log", disorder: 3 * time.Second, latest: time.Hour,
				records: testkit.Stream(9000+seed, testkit.StreamOptions{
					Events: 1500, Partitions: partitions, Jitter: 2 * time.Second, Refused: true, Calm: true, Wide: seed%2 == 1,
				}),
			})
			got, sum := w.run(t, shape{workers: 4, units: 8, batch: 100, seed: seed})
			if sum.Late+sum.Dropped+sum.Future > 0 {
				t.Fatalf("seed %d: %d events late, %d dropped, %d future, want none", seed, sum.Late, sum.Dropped, sum.Future)
			}
			got = withoutSources(got)
			if partitions == 1 {
				want = got
				if len(want) < 50 || !strings.Contains(want[0], `"evidence"`) && !strings.Contains(want[0], `"end"`) {
					t.Fatalf("seed %d: %d decisions, want at least 50", seed, len(want))
				}
				continue
			}
			if !compare(t, fmt.Sprintf("seed %d, %d partitions", seed, partitions), want, got) {
				return
			}
		}
	}
}
