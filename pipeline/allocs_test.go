package pipeline_test

import (
	"bytes"
	"testing"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/rules"
	"weir/rulesets"
	"weir/windows"
)

// In the mapper (decode, enrich, map) an event costs no allocation once the
// caches know the agents: fewer than one in twenty events.
func TestTheMapperHardlyAllocates(t *testing.T) {
	const lines, perBatch = 40_000, 1000
	key := event.FixedKey()
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := rules.NewPlan(rs, key, rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{testkit.NginxJSON, testkit.Combined} {
		var log bytes.Buffer
		if _, err := testkit.WriteLog(&log, testkit.LogOptions{Seed: 3, Lines: lines, Density: 1000, Format: format}); err != nil {
			t.Fatal(err)
		}
		all := bytes.Split(bytes.TrimSuffix(log.Bytes(), []byte{'\n'}), []byte{'\n'})
		decode, err := ingest.New(ingest.Config{Format: format, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		tables, err := enrich.New(enrich.Config{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		worker := tables.Worker(enrich.Source{})
		mapper := rules.NewMapper(plan, 64, nil)
		var batch event.Batch
		var deltas windows.Deltas
		standing := rules.NewStanding(true, func(*event.Event, event.Field) (uint64, bool) { return 1, true })
		rows := 0
		pass := func() {
			for from := 0; from < len(all); from += perBatch {
				batch.Reset()
				deltas.Events, deltas.Obs, deltas.Values, deltas.Rows = deltas.Events[:0], deltas.Obs[:0], deltas.Values[:0], deltas.Rows[:0]
				for _, line := range all[from:min(from+perBatch, len(all))] {
					ev := batch.Next()
					if err := decode(line, ev, &batch.Arena); err != nil {
						t.Fatalf("%v: %s", err, line)
					}
				}
				worker.Enrich(&batch)
				mapper.Map(batch.Events, 0, standing, &deltas)
				rows += len(deltas.Rows)
			}
		}
		pass() // agents, routes and buffers
		allocs := testing.AllocsPerRun(2, pass) / lines
		t.Logf("%s: %.4f allocations an event, %.1f rows", format, allocs, float64(rows)/(4*lines))
		if allocs >= 0.05 {
			t.Errorf("%s: %.4f allocations an event, must be below 0.05", format, allocs)
		}
		if rows == 0 {
			t.Errorf("%s: nothing was mapped", format)
		}
	}
}
