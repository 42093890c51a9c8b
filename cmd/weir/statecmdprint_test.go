package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestKeysAreNamedAsRulesWriteThem(t *testing.T) {
	for name, want := range map[string]string{
		"": "the whole site", "ip": "ip", "endpoint fingerprint": "endpoint, fingerprint",
		"ip endpoint fingerprint of endpoint fingerprint": "ip, endpoint, fingerprint (members of endpoint, fingerprint)",
	} {
		if got := keyWords(name); got != want {
			t.Errorf("%q: %q, must be %q", name, got, want)
		}
	}
}

func TestAStateIsDescribedOnAPage(t *testing.T) {
	now := time.Date(2026, 3, 6, 4, 49, 12, 0, time.UTC)
	full := &stateInfo{
		Dir:        "/var/lib/weir",
		Checkpoint: &stateAt{Tick: now.Add(-7 * time.Second), Written: now.Add(-4 * time.Second)},
		Keys:       1_240_013, Bytes: 412 << 20, Garbage: 130 << 20,
		Tables: []stateTable{{"endpoint, fingerprint", 800_000, 300 << 20}, {"ip", 440_012, 112 << 20}, {"table 9, which no rule reads any more", 1, 300}},
		Positions: []statePosition{
			{Source: "access", Partition: 0, Offset: 81_234_111, Watermark: now.Add(-7 * time.Second), Newest: now.Add(-5 * time.Second)}, {Source: "edge", Offset: 12},
		},
		Files: []stateFile{{"store", 31, 630 << 20, ""}, {"journal", 1, 12 << 10, ""}, {"store.broken-2", 12, 500 << 20, "it has generation 7, and store.json has generation 9 of it"}},
	}
	many := &stateInfo{Dir: "state", Checkpoint: &stateAt{Tick: now.Add(-50 * time.Hour), Written: now.Add(-49 * time.Hour)}}
	for i := range maxShownTables + 2 {
		many.Tables = append(many.Tables, stateTable{fmt.Sprintf("field%d", i), 1, 100})
	}
	for i := range maxShownPositions + 3 {
		many.Positions = append(many.Positions, statePosition{Source: "access", Partition: int32(i)})
	}
	hostile := "a\x1b[2J\nb"
	for _, in := range []*stateInfo{
		full, many, {Dir: "state", Files: []stateFile{{"other", 1, 4096, ""}}},
		{Dir: hostile, Damage: []string{"000001.sst: corrupt record: checksum 1fc0a2b3, must be 7e55e0aa " + hostile, "x"}},
	} {
		var b bytes.Buffer
		p := &page{w: &b}
		printState(p, in, now)
		p.line("\n----")
		if p.err != nil {
			t.Fatal(p.err)
		}
		if n := strings.Count(b.String(), "\n"); n > 70 || strings.ContainsAny(b.String(), "\x1b") {
			t.Errorf("%d lines: %q", n, b.String())
		}
		narrow(t, b.String())
		if in == full {
			golden(t, "operator/state.golden", b.String())
		}
		if in == many {
			must(t, b.String(), "and 2 kinds more", "and 3 partitions more")
			if strings.Contains(b.String(), "field30") {
				t.Error("more tables than the limit")
			}
		}
		if len(in.Damage) > 0 {
			must(t, b.String(), "DAMAGED", "and 1 fault more", "weir state verify says what to do")
		}
	}
}
