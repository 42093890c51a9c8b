package pipeline_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// realRules work on what real decoders and enrich make of a log.
var realRules = []string{`id: real.stuffing
version: 1
title: One source tries many accounts
severity: high
key: ip
where: kind == "login"
features:
  tries: count("1m")
  failed: ratio("5m", outcome == "failure")
when: tries >= 3 and failed >= 0.7
then: {block: ip, for: [1m, 5m, 1h]}
stage: enforce
`, `id: real.population
version: 1
title: Many sources with one client
severity: high
key: [endpoint, fingerprint]
where: kind == "login"
features:
  tries: count("24h")
  failed: ratio("24h", outcome == "failure")
when: tries >= 20 and failed > 0.8
then:
  - {challenge: [endpoint, fingerprint], if: clean, for: 10m}
  - {alert: [ip, endpoint], if: good == 0, for: 1m}
stage: enforce
`, `id: real.scraper
version: 1
title: One session reads one product after the other
severity: medium
key: [ip, agent]
where: kind == "product"
features:
  pages: distinct("5m", item)
  all: count("1h")
  pace: cadence("1h")
when: pages >= 12
then: {challenge: [ip, agent], for: 2m}
stage: enforce
`}

// realWorld is a log as a file has it, with its decoder and tables.
type realWorld struct {
	rules  []*rules.Rule
	decode ingest.Decoder
	tables *enrich.Tables
}

func newRealWorld(t testing.TB, format string, sources ...string) *realWorld {
	t.Helper()
	decode, err := ingest.New(ingest.Config{Format: format, Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	tables, err := enrich.New(enrich.Config{Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	return &realWorld{rules: parseRules(t, sources...), decode: decode, tables: tables}
}

// decide reads a source to its end.
func (w *realWorld) decide(t testing.TB, src ingest.Source, s shape) ([]event.Decision, pipeline.Summary) {
	t.Helper()
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var decisions []event.Decision
	sum, err := pipeline.Run(context.Background(), pipeline.Config{
		Plan: plan, Enrich: w.tables, Ceiling: event.Enforce, Workers: s.workers, Units: s.units, Batch: s.batch,
		Sources: []pipeline.Source{{Source: src, Decode: w.decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}},
		Emit: func(ds []event.Decision) error {
			decisions = append(decisions, ds...)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return decisions, sum
}

// oracle lets the oracle decide about the same records.
func (w *realWorld) oracle(name string, records []ingest.MemoryRecord) *oracle {
	worker := w.tables.Worker(enrich.Source{})
	return newOracle(w.rules, event.Enforce, nil, []*oraclePartition{{
		source: name, records: records, disorder: 2 * time.Second, maxLateness: time.Hour,
		decode: func(line []byte, ev *event.Event) error {
			var b event.Batch
			one := b.Next()
			if err := w.decode(line, one, &b.Arena); err != nil {
				return err
			}
			worker.Enrich(&b)
			*ev = *one
			return nil
		},
	}})
}

// recordsIn cuts a file into records with the offsets that a file source gives.
func recordsIn(file []byte) []ingest.MemoryRecord {
	var records []ingest.MemoryRecord
	for offset := 0; offset < len(file); {
		line, _, _ := bytes.Cut(file[offset:], []byte("\n"))
		records = append(records, ingest.MemoryRecord{Line: line, Offset: int64(offset)})
		offset += len(line) + 1
	}
	return records
}

// Each attack has fewer than 90 requests, so that nothing is counted by sketch.
func realLog(t testing.TB, format string, seed uint64) []byte {
	t.Helper()
	var log bytes.Buffer
	if _, err := testkit.WriteLog(&log, testkit.LogOptions{
		Seed: seed, Lines: 2600, Density: 2, Format: format, Attacks: testkit.Attacks,
	}); err != nil {
		t.Fatal(err)
	}
	return log.Bytes()
}

func TestThePipelineDecidesWhatTheOracleDecidesOnRealFormats(t *testing.T) {
	for _, format := range []string{testkit.NginxJSON, testkit.Combined} {
		for seed := range uint64(2) {
			w := newRealWorld(t, format, realRules...)
			records := recordsIn(realLog(t, format, seed))
			o := w.oracle("log", records)
			decided := o.run()
			found := map[string]int{}
			for _, d := range decided {
				found[d.Rule]++
			}
			if found["real.stuffing"] == 0 || found["real.scraper"] == 0 || format == testkit.NginxJSON && found["real.population"] == 0 {
				t.Errorf("%s, seed %d: decisions by rule are %v, want some of each", format, seed, found)
			}
			want := linesOf(decided)
			for _, s := range shapes(seed) {
				got, sum := w.decide(t, newShuffled("log", [][]ingest.MemoryRecord{records}, s.seed), s)
				if !compare(t, fmt.Sprintf("%s, seed %d, %v", format, seed, s), want, linesOf(got)) {
					return
				}
				if int(sum.Events) != o.tally.Counted || sum.Events < 2500 {
					t.Errorf("%s, seed %d: %d events counted, the oracle counts %d", format, seed, sum.Events, o.tally.Counted)
				}
			}
		}
	}
}

// Law 8: what stands in files, packed or not, is decided like the same records
// from anywhere else.
func TestFilesAreDecidedLikeTheSameRecordsInMemory(t *testing.T) {
	w := newRealWorld(t, testkit.Combined, realRules...)
	log := realLog(t, testkit.Combined, 5)
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "access.log"), filepath.Join(dir, "packed.log.gz")
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	if _, err := zw.Write(log); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{plain: log, packed: z.Bytes()} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	decisions, _ := w.decide(t, ingest.NewMemory("log", [][]ingest.MemoryRecord{recordsIn(log)}), shape{workers: 1, units: 8, batch: 100})
	want := linesOf(decisions)
	if len(want) < 15 {
		t.Fatalf("%d decisions, want at least 15", len(want))
	}
	for _, path := range []string{plain, packed} {
		src, err := ingest.OpenFiles("log", []string{path})
		if err != nil {
			t.Fatal(err)
		}
		decisions, _ := w.decide(t, src, shape{workers: 4, units: 64, batch: 1000})
		if err := src.Close(); err != nil {
			t.Fatal(err)
		}
		compare(t, filepath.Base(path), want, linesOf(decisions))
	}
}

// What no rule looks at need not be made: nothing comes out differently.
func TestFieldsThatNobodyReadsChangeNothing(t *testing.T) {
	w := newRealWorld(t, testkit.Combined, realRules...)
	log := realLog(t, testkit.Combined, 5)
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Reads(event.FieldReferer) || plan.Reads(event.FieldAgentKind) || !plan.Reads(event.FieldAgent) || !plan.Reads(event.FieldOutcome) {
		t.Fatal("the plan does not know what its rules read")
	}
	run := func(reads func(event.Field) bool) (lines []string) {
		_, err := pipeline.Run(context.Background(), pipeline.Config{
			Sources: []pipeline.Source{{
				Source: ingest.NewMemory("log", [][]ingest.MemoryRecord{recordsIn(log)}), Decode: w.decode,
				Enrich: enrich.Source{Reads: reads}, Disorder: 2 * time.Second, MaxLateness: time.Hour,
			}},
			Enrich: w.tables, Plan: plan, Ceiling: event.Enforce,
			Emit: func(ds []event.Decision) error {
				lines = append(lines, linesOf(ds)...)
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	all := run(nil)
	if len(all) == 0 {
		t.Fatal("nothing was decided")
	}
	compare(t, "read fields only", all, run(plan.Reads))
}
