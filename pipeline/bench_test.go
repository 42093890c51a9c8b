package pipeline_test

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/rulesets"
)

// BenchmarkShippedRules runs generated logs through the whole pipeline with
// the rules that ship, from memory; an operation is an event.
func BenchmarkShippedRules(b *testing.B) {
	const lines = 1_000_000
	for _, c := range []struct {
		name, format string
		density      float64
		site         bool // the figures of the whole site too
	}{
		{"json/1k", testkit.NginxJSON, 1_000, false},
		{"json/100k", testkit.NginxJSON, 100_000, false},
		{"json/100k/site", testkit.NginxJSON, 100_000, true},
		{"combined/1k", testkit.Combined, 1_000, false},
		{"combined/100k", testkit.Combined, 100_000, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			var log bytes.Buffer
			if _, err := testkit.WriteLog(&log, testkit.LogOptions{Seed: 1, Lines: lines, Density: c.density, Format: c.format}); err != nil {
				b.Fatal(err)
			}
			var records []ingest.MemoryRecord
			for i, line := range bytes.Split(bytes.TrimSuffix(log.Bytes(), []byte{'\n'}), []byte{'\n'}) {
				records = append(records, ingest.MemoryRecord{Line: line, Offset: int64(i)})
			}
			key := event.FixedKey()
			rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
			if err != nil {
				b.Fatal(err)
			}
			plan, err := rules.NewPlan(rs, key, rules.PlanOptions{Site: c.site})
			if err != nil {
				b.Fatal(err)
			}
			tables, err := enrich.New(enrich.Config{Key: key})
			if err != nil {
				b.Fatal(err)
			}
			decode, err := ingest.New(ingest.Config{Format: c.format, Key: key})
			if err != nil {
				b.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			events := 0
			b.ResetTimer()
			for n := 0; n < b.N; n += lines {
				sum, err := pipeline.Run(context.Background(), pipeline.Config{
					Sources: []pipeline.Source{{
						Source: ingest.NewMemory("bench", [][]ingest.MemoryRecord{records}), Decode: decode,
						Disorder: 2 * time.Second, MaxLateness: time.Hour,
					}},
					Enrich: tables, Plan: plan, Ceiling: event.Enforce,
				})
				if err != nil || sum.Events != lines {
					b.Fatalf("%d events of %d, %v", sum.Events, lines, err)
				}
				events += lines
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(events), "allocs/event")
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
