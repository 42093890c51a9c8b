package pipeline_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/archive"
	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// archived writes an archive of three files, an hour of a partition each, and
// returns them.
func archived(t *testing.T) (files []string) {
	t.Helper()
	dir := t.TempDir()
	a, err := archive.Open(archive.Config{Dir: dir, Sources: []archive.SourceInfo{{Name: "log", MaxLateness: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	const seconds = 3600
	err = a.Resume(t.Context(), nil)
	for i := range int64(3) {
		events := make([]event.Event, seconds)
		for k := range events {
			e := &events[k]
			e.Reset()
			at := i*seconds + int64(k)
			e.Offset, e.Time, e.IP = at, (base+at)*int64(time.Second), netip.MustParseAddr("192.0.2.7")
			e.Method, e.Path, e.Endpoint, e.Status = "GET", "/", "GET /", 200
		}
		if err == nil {
			err = a.Add(t.Context(), archive.Part{Source: "log"}, uint64(i), events, nil)
		}
		if err == nil {
			err = a.Finish(t.Context())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files, err = filepath.Glob(filepath.Join(dir, "log", "*.parquet"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	return files
}

// A replay of an archive from which a file was lost names what is missing, and
// marks the decisions whose windows reach back behind it, and no others.
func TestAReplayOfAnArchiveMissesALostFile(t *testing.T) {
	files := archived(t)
	decide := func() (lines []string, sum pipeline.Summary) {
		sources, err := archive.OpenFiles([]string{filepath.Dir(files[0])}, archive.ReadConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer sources[0].Close()
		const hourly = "id: own.hourly\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures:\n  n: count(\"10m\")\nwhen: n >= 1\nthen: {block: ip, for: 1m}\nstage: enforce\n"
		plan, err := rules.NewPlan(parseRules(t, hourly), event.FixedKey(), rules.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sum, err = pipeline.Run(ctx, pipeline.Config{
			Plan: plan, Ceiling: event.Enforce, Workers: 2, Units: 4, SourceNames: []string{"log"},
			Sources: []pipeline.Source{{Source: sources[0], Decode: testkit.Decode, MaxLateness: time.Hour}},
			Emit: func(ds []event.Decision) error {
				for i := range ds {
					lines = append(lines, string(ds[i].AppendJSON(nil)))
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines, sum
	}
	whole, sum := decide()
	if text := strings.Join(whole, ""); len(whole) < 100 || strings.Contains(text, `"incomplete"`) || len(sum.Broken) > 0 {
		t.Fatalf("of the whole archive: %d lines, %v", len(whole), sum.Broken)
	}
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	holed, sum := decide()
	if want := fmt.Sprintf("source log, partition 0: its events from offset 3600 up to 7200 are missing, from %s on: the archive's files between %s and %s",
		time.Unix(base+3599, 0).UTC().Format(time.RFC3339), filepath.Base(files[0]), filepath.Base(files[2])); len(sum.Broken) != 1 || !strings.Contains(sum.Broken[0].Error(), want) {
		t.Errorf("%v,\nmust say %s", sum.Broken, want)
	}
	incomplete := 0
	for _, line := range holed {
		var at time.Time
		if _, rest, ok := strings.Cut(line, `"time":"`); ok {
			var err error
			if at, err = time.Parse(time.RFC3339, rest[:20]); err != nil {
				t.Fatal(err)
			}
		}
		marked, behind := strings.Contains(line, `"incomplete"`), at.Unix()-(base+7200)
		if marked {
			incomplete++
		}
		if marked != (behind > 0 && behind < 600) && !strings.Contains(line, `"event":"end"`) && (behind < 580 || behind > 660) {
			t.Errorf("%d s behind what is missing, incomplete: %v: %s", behind, marked, line)
		}
	}
	if incomplete == 0 {
		t.Error("no decision is marked incomplete")
	}
}
