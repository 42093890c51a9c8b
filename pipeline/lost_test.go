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

// archived writes an archive of three files of each source, an hour of a partition
// each, and returns those of the first.
func archived(t *testing.T, names ...string) (files []string) {
	t.Helper()
	dir := t.TempDir()
	var infos []archive.SourceInfo
	for _, name := range names {
		infos = append(infos, archive.SourceInfo{Name: name, MaxLateness: time.Hour})
	}
	a, err := archive.Open(archive.Config{Dir: dir, Sources: infos})
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
		for _, name := range names {
			if err == nil {
				err = a.Add(t.Context(), archive.Part{Source: name}, uint64(i), events, nil)
			}
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
	files, err = filepath.Glob(filepath.Join(dir, names[0], "*.parquet"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	return files
}

// decideArchived decides what an archive's files of some sources hold.
func decideArchived(t *testing.T, dir string, names ...string) (lines []string, sum pipeline.Summary) {
	t.Helper()
	var sources []pipeline.Source
	for _, name := range names {
		found, err := archive.OpenFiles([]string{filepath.Join(dir, name)}, archive.ReadConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer found[0].Close()
		sources = append(sources, pipeline.Source{Source: found[0], Decode: testkit.Decode, MaxLateness: time.Hour})
	}
	const hourly = "id: own.hourly\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures:\n  n: count(\"10m\")\nwhen: n >= 1\nthen: {block: ip, for: 1m}\nstage: enforce\n"
	plan, err := rules.NewPlan(parseRules(t, hourly), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sum, err = pipeline.Run(ctx, pipeline.Config{
		Plan: plan, Ceiling: event.Enforce, Workers: 2, Units: 4, SourceNames: names, Sources: sources,
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

// decidedAt returns of which second a line is.
func decidedAt(t *testing.T, line string) int64 {
	t.Helper()
	_, rest, _ := strings.Cut(line, `"time":"`)
	at, err := time.Parse(time.RFC3339, rest[:20])
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}

// Where the last file of a source is lost, what others' events are decided by is
// not whole from there on: all that is decided says so, and nothing before.
func TestAReplayOfAnArchiveMissesALastFileOfOneOfItsSources(t *testing.T) {
	files := archived(t, "log", "other")
	dir := filepath.Dir(filepath.Dir(files[0]))
	whole, sum := decideArchived(t, dir, "log", "other")
	if text := strings.Join(whole, ""); len(whole) < 100 || strings.Contains(text, `"incomplete"`) || len(sum.Broken) > 0 {
		t.Fatalf("of the whole archive: %d lines, %v", len(whole), sum.Broken)
	}
	if err := os.Remove(files[2]); err != nil {
		t.Fatal(err)
	}
	holed, sum := decideArchived(t, dir, "log", "other")
	if len(sum.Broken) != 1 {
		t.Errorf("%v, must be what is missing", sum.Broken)
	}
	before, behind := 0, 0
	for _, line := range holed {
		at := decidedAt(t, line) - (base + 7200)
		switch marked := strings.Contains(line, `"incomplete"`); {
		case strings.Contains(line, `"event":"end"`):
		case at <= 0 && marked, at > 10 && !marked:
			t.Errorf("%d s behind what is missing, incomplete: %v: %s", at, marked, line)
		case marked:
			behind++
		default:
			before++
		}
	}
	if before < 30 || behind < 30 {
		t.Errorf("%d decisions before and %d behind: the log is not what this was made for", before, behind)
	}
}

// A replay of an archive from which a file was lost names what is missing, and
// marks the decisions whose windows reach back behind it, and no others.
func TestAReplayOfAnArchiveMissesALostFile(t *testing.T) {
	files := archived(t, "log")
	decide := func() ([]string, pipeline.Summary) {
		return decideArchived(t, filepath.Dir(filepath.Dir(files[0])), "log")
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
		marked, behind := strings.Contains(line, `"incomplete"`), decidedAt(t, line)-(base+7200)
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
