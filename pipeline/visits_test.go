package pipeline_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// Behind one fingerprint a program reads pages; where people load assets
// behind it too, it is not clean, although nothing says what came of a request.
func TestVisitsStandInForSuccesses(t *testing.T) {
	const rule = `id: visits.crowd
version: 1
title: A fingerprint reads pages
severity: low
key: fingerprint
where: kind == "product"
features: {pages: count("10m")}
when: pages >= 200
then: {block: fingerprint, if: clean, for: 1h}
stage: enforce
`
	decide := func(visitors int, unjudged bool) (news int) {
		var log []ingest.MemoryRecord
		add := func(second int, ip, kind string) {
			log = append(log, ingest.MemoryRecord{Offset: int64(len(log)), Line: testkit.AppendLine(nil, []testkit.Pair{
				{Name: "t", Value: testkit.FormatTime(int64(1_780_000_000+second) * 1e9)}, {Name: "ip", Value: ip},
				{Name: "fingerprint", Value: "browser"}, {Name: "kind", Value: kind}, {Name: "path", Value: "/"},
			})})
		}
		for s := range 4 * 3600 {
			if v := s / 20 % max(1, visitors); s%20 == 0 && visitors > 0 {
				add(s, fmt.Sprintf("192.0.2.%d", v), "product")
				add(s, fmt.Sprintf("192.0.2.%d", v), "asset")
			}
			if s > 3*3600 {
				add(s, fmt.Sprintf("198.18.%d.%d", s>>8&255, s&255), "product")
			}
		}
		plan, err := rules.NewPlan(parseRules(t, rule), event.FixedKey(), rules.PlanOptions{Visits: unjudged})
		if err != nil {
			t.Fatal(err)
		}
		_, err = pipeline.Run(context.Background(), pipeline.Config{
			Sources: []pipeline.Source{{
				Source: ingest.NewMemory("log", [][]ingest.MemoryRecord{log}), Decode: testkit.Decode, MaxLateness: time.Hour, Unjudged: unjudged,
			}},
			Plan: plan, Ceiling: event.Enforce,
			Emit: func(ds []event.Decision) error {
				for i := range ds {
					if ds[i].Step == event.New {
						news++
					}
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return news
	}
	for _, c := range []struct {
		visitors int
		unjudged bool
		want     int
	}{
		{0, true, 1},   // nobody but the program
		{50, true, 0},  // people behind it
		{50, false, 1}, // the same, and nobody said that outcomes are missing
	} {
		if got := decide(c.visitors, c.unjudged); got != c.want {
			t.Errorf("%d visitors, unjudged %v: %d decisions, want %d", c.visitors, c.unjudged, got, c.want)
		}
	}
}
