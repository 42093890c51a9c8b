package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

const newcomers = `id: published.newcomers
version: 1
title: An address that nobody saw
key: ip
where: "true"
features:
  new: count("1m", not seen(ip))
when: new >= 1
then: {alert: ip, for: 1h}
`

// What is published by the hour takes a quarter of the memory at most; that
// something was left out is counted and said.
func TestWhatIsPublishedHasItsPartOfTheMemory(t *testing.T) {
	const (
		addresses = 4000
		room      = addresses * 4 * 40 // a quarter of it, at ten bytes in each of four hours
	)
	var log []ingest.MemoryRecord
	add := func(at int64, ip string) {
		line := testkit.AppendLine(nil, []testkit.Pair{{Name: "t", Value: testkit.FormatTime(at * 1e9)}, {Name: "ip", Value: ip}, {Name: "path", Value: "/"}})
		log = append(log, ingest.MemoryRecord{Line: line, Offset: int64(len(log))})
	}
	const begin = 1_780_000_000 / 3600 * 3600
	for i := range addresses {
		add(int64(begin+i/10), fmt.Sprintf("198.18.%d.%d", i>>8, i&255))
	}
	add(begin+30*3600, "198.19.0.1") // nobody saw it
	add(begin+30*3600+60, "198.18.0.1")
	plan, err := rules.NewPlan(parseRules(t, newcomers), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		memory int64
		fits   bool
	}{{room, true}, {room - 4*40, false}, {0, true}} {
		var said bytes.Buffer
		decided := 0
		sum, err := pipeline.Run(context.Background(), pipeline.Config{
			Sources: []pipeline.Source{{Source: ingest.NewMemory("log", [][]ingest.MemoryRecord{log}), Decode: testkit.Decode, MaxLateness: time.Hour}},
			Plan:    plan, Ceiling: event.Enforce, Memory: c.memory, Log: slog.New(slog.NewTextHandler(&said, nil)),
			Emit: func(ds []event.Decision) error {
				for _, d := range ds {
					if d.Step == event.New {
						decided++
					}
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if fits := sum.Shed.Facts == 0; fits != c.fits || strings.Contains(said.String(), "seen(ip)") == c.fits {
			t.Errorf("%d bytes of memory: %d facts were left out, and it says %q", c.memory, sum.Shed.Facts, said.String())
		}
		if want := map[bool]int{true: 1}[c.fits]; decided != want {
			t.Errorf("%d bytes of memory: %d decisions, want %d", c.memory, decided, want)
		}
	}
}
