package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// waiting is a source that waits at its end for more, as a live one does.
type waiting struct{ ingest.Source }

func (w waiting) Read(ctx context.Context, p, most int, r *ingest.Records) error {
	if err := w.Source.Read(ctx, p, most, r); err == nil {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// slowly is a source that takes its time.
type slowly struct{ ingest.Source }

func (s slowly) Read(ctx context.Context, p, most int, r *ingest.Records) error {
	time.Sleep(300 * time.Microsecond)
	return s.Source.Read(ctx, p, most, r)
}

func memory(name string, lines ...[]testkit.Pair) *ingest.Memory {
	var log []ingest.MemoryRecord
	for i, pairs := range lines {
		log = append(log, ingest.MemoryRecord{Offset: int64(i), Line: testkit.AppendLine(nil, pairs)})
	}
	return ingest.NewMemory(name, [][]ingest.MemoryRecord{log})
}

func planOf(t *testing.T, rule string) *rules.Plan {
	t.Helper()
	plan, err := rules.NewPlan(parseRules(t, rule), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

const everyEvent = `id: run.every
version: 1
title: Every address
severity: info
key: ip
where: "true"
features: {n: count("10m")}
when: n >= 1
then: {alert: ip, for: 10s}
stage: alert
`

func TestEventsThatASourcePassesByMoveTheClock(t *testing.T) {
	lines := func(country string) (ls [][]testkit.Pair) {
		for i := range 50 {
			ls = append(ls, []testkit.Pair{{Name: "t", Value: fmt.Sprint(base + i)}, {Name: "ip", Value: "198.51.100.7"}, {Name: "country", Value: country}})
		}
		return ls
	}
	only, err := rules.CompileEvent(`country == "DE"`, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	decided := 0
	_, err = pipeline.Run(ctx, pipeline.Config{
		Sources: []pipeline.Source{
			{Source: waiting{memory("edge", lines("FR")...)}, Decode: testkit.Decode, MaxLateness: time.Hour, Only: only},
			{Source: waiting{memory("origin", lines("DE")...)}, Decode: testkit.Decode, MaxLateness: time.Hour},
		},
		Plan: planOf(t, everyEvent), Ceiling: event.Enforce,
		Emit: func(ds []event.Decision) error {
			decided += len(ds)
			cancel()
			return nil
		},
	})
	if !errors.Is(err, context.Canceled) || decided == 0 {
		t.Errorf("%d decisions, %v: a source of which nothing passes holds the other back", decided, err)
	}
}

func TestWhatIsShedDoesNotDependOnHowFastALogIsRead(t *testing.T) {
	plan := planOf(t, `id: run.short
version: 1
title: Short windows
severity: info
key: ip
where: "true"
features: {n: count("10m")}
when: n >= 5
`)
	rng := rand.New(rand.NewPCG(1, 2))
	var lines [][]testkit.Pair
	at := int64(1_780_000_000)
	for range 4000 {
		at += int64(rng.IntN(120))
		lines = append(lines, []testkit.Pair{{Name: "t", Value: fmt.Sprint(at)}, {Name: "ip", Value: fmt.Sprintf("198.18.%d.%d", rng.IntN(256), rng.IntN(256))}})
	}
	run := func(src ingest.Source, batch int, memory int64) pipeline.Summary {
		sum, err := pipeline.Run(context.Background(), pipeline.Config{
			Sources: []pipeline.Source{{Source: src, Decode: testkit.Decode, MaxLateness: time.Hour}},
			Plan:    plan, Ceiling: event.Enforce, Batch: batch, Accounted: memory, Units: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for _, limit := range []int64{3 << 10, 5 << 10} {
		slow := run(slowly{memory("log", lines...)}, 1, limit)
		fast := run(memory("log", lines...), 20_000, limit)
		if slow.Shed != fast.Shed || slow.Keys != fast.Keys || slow.Bytes != fast.Bytes || slow.Shed.Keys == 0 {
			t.Errorf("%d bytes: read slowly %+v, %d keys; fast %+v, %d keys", limit, slow.Shed, slow.Keys, fast.Shed, fast.Keys)
		}
	}
}

func TestAWalkThatTravelsTwiceStillComesToItsMembers(t *testing.T) {
	w := newWorld(t)
	w.rules = parseRules(t, `id: run.twice
version: 1
title: Two entries that are asked at their targets, then members
severity: info
key: [ip, agent]
where: "true"
features: {n: count("10m")}
when: n == 1
then:
  - {alert: ip, if: good >= 1000, for: 10m}
  - {alert: agent, if: good >= 1000, for: 10m}
  - {alert: [ip, agent, session], for: 10m}
stage: enforce
`)
	var records []ingest.MemoryRecord
	for i, at := range []int{3, 25, 45} {
		records = append(records, ingest.MemoryRecord{Offset: int64(i), Line: testkit.AppendLine(nil, []testkit.Pair{
			{Name: "t", Value: fmt.Sprint(base/10*10 + at)}, {Name: "ip", Value: "198.51.100.7"},
			{Name: "session", Value: fmt.Sprint("s", i)}, {Name: "agent", Value: "x"},
		})})
	}
	w.sources = []worldSource{{name: "log", latest: time.Minute, records: [][]ingest.MemoryRecord{records}}}
	got, _ := w.run(t, shape{workers: 1, units: 8, batch: 10})
	if len(got) != 3 {
		t.Errorf("%d decisions, want a member's each time", len(got))
	}
	compare(t, "twice", linesOf(w.oracle().run()), got)
}

func TestARunThatIsCancelledOrFailsReturns(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	parts := make([][]ingest.MemoryRecord, 6)
	for p := range parts {
		at := int64(1_780_000_000 + p*5000)
		for i := range 5000 {
			at += int64(rng.IntN(3))
			parts[p] = append(parts[p], ingest.MemoryRecord{Offset: int64(i), Line: testkit.AppendLine(nil, []testkit.Pair{
				{Name: "t", Value: fmt.Sprint(at)}, {Name: "ip", Value: fmt.Sprintf("198.18.%d.%d", rng.IntN(256), rng.IntN(256))},
				{Name: "outcome", Value: "failure"}, {Name: "credential", Value: fmt.Sprint("u", rng.IntN(300))}, {Name: "path", Value: "/login"},
			})})
		}
	}
	plan, err := rules.NewPlan(rulesOfTheLaws(t), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	early := 0
	for i := range 12 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(60_000))*time.Microsecond)
		emits, failAt := 0, 1<<30
		if i%3 == 0 {
			failAt = rng.IntN(20)
		}
		_, err := pipeline.Run(ctx, pipeline.Config{
			Sources: []pipeline.Source{{Source: newShuffled("log", parts, uint64(i)), Decode: testkit.Decode, MaxLateness: time.Hour, Disorder: time.Second}},
			Plan:    plan, Ceiling: event.Enforce, Workers: 1 + i%4, Batch: 1 + rng.IntN(500), Lookups: lookups,
			Emit: func([]event.Decision) error {
				if emits++; emits > failAt {
					return errors.New("emit failed")
				}
				return nil
			},
		})
		cancel()
		if err != nil {
			early++
		}
	}
	if early == 0 {
		t.Error("every run came to its end, so this test shows nothing")
	}
}

// Many small partitions take turns: what is under way is bounded over all.
func TestManyPartitionsAreReadToTheirEnd(t *testing.T) {
	const partitions, each = 300, 40
	parts := make([][]ingest.MemoryRecord, partitions)
	for p := range parts {
		for i := range each {
			parts[p] = append(parts[p], ingest.MemoryRecord{Offset: int64(i), Line: testkit.AppendLine(nil, []testkit.Pair{
				{Name: "t", Value: fmt.Sprint(base + (i*7+p)%300)}, {Name: "ip", Value: fmt.Sprintf("198.18.%d.%d", p>>8, p&255)},
			})})
		}
	}
	sum, err := pipeline.Run(context.Background(), pipeline.Config{
		Sources: []pipeline.Source{{Source: ingest.NewMemory("log", parts), Decode: testkit.Decode, MaxLateness: time.Hour, Disorder: 10 * time.Minute}},
		Plan:    planOf(t, everyEvent), Ceiling: event.Enforce, Batch: 7,
	})
	if err != nil || sum.Events != partitions*each {
		t.Errorf("%d events of %d, %v", sum.Events, partitions*each, err)
	}
}
