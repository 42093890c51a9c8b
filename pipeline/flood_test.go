package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// guesser is a rule that a flood of new keys must not make forget.
const guesser = `id: flood.guesser
version: 1
title: One source fails again and again
severity: high
key: ip
where: "true"
features:
  failures: count("10m", outcome == "failure")
  all: count("24h")
when: failures >= 100
then: {block: ip, for: 1h}
stage: enforce
`

func TestAFloodOfNewAddressesIsShedAndTheGuesserInItIsFound(t *testing.T) {
	const (
		seconds   = 240
		perSecond = 1500
		limit     = 4 << 20 // a quarter of what all these keys take
	)
	var log []ingest.MemoryRecord
	// Addresses are taken in turn from the 131,072 of 198.18.0.0/15.
	add := func(second, n int, outcome string, address int) {
		at := int64(1_780_000_000+second)*1e9 + int64(n)
		line := testkit.AppendLine(nil, []testkit.Pair{
			{Name: "t", Value: testkit.FormatTime(at)}, {Name: "ip", Value: fmt.Sprintf("198.%d.%d.%d", 18+address>>16, address>>8&255, address&255)},
			{Name: "outcome", Value: outcome}, {Name: "path", Value: "/"},
		})
		log = append(log, ingest.MemoryRecord{Line: line, Offset: int64(len(log))})
	}
	for s := range seconds {
		for i := range perSecond {
			add(s, i, "success", (s*perSecond+i)%(1<<17))
		}
		add(s, perSecond, "failure", 7)
	}
	rs := parseRules(t, guesser)
	plan, err := rules.NewPlan(rs, event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run := func(workers, batch int, limit int64) ([]string, pipeline.Summary) {
		var lines []string
		sum, err := pipeline.Run(context.Background(), pipeline.Config{
			Sources: []pipeline.Source{{Source: ingest.NewMemory("log", [][]ingest.MemoryRecord{log}), Decode: testkit.Decode, MaxLateness: time.Hour}},
			Plan:    plan, Ceiling: event.Enforce, Workers: workers, Batch: batch, Accounted: limit,
			Emit: func(ds []event.Decision) error {
				lines = append(lines, linesOf(ds)...)
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines, sum
	}
	lines, sum := run(1, 1000, limit)
	if sum.Shed.Keys == 0 {
		t.Error("nothing was shed, so this test shows nothing")
	}
	// Between ticks a unit may pass its limit by a twentieth and what one
	// tick adds to keys that it has.
	if sum.Bytes > limit*11/10 {
		t.Errorf("the units hold %d bytes, may hold %d", sum.Bytes, limit)
	}
	if len(lines) != 1 {
		t.Errorf("%d decisions, want the guesser's alone: %v", len(lines), lines)
	}
	again, sum2 := run(4, 77, limit)
	if !slices.Equal(lines, again) || sum.Shed != sum2.Shed {
		t.Errorf("shed %+v and %+v, decided %v and %v: shedding depends on workers or batches", sum.Shed, sum2.Shed, lines, again)
	}
	if _, all := run(2, 1000, 0); all.Bytes < 3*limit {
		t.Errorf("without a limit %d bytes, so the limit is no limit", all.Bytes)
	}
}
