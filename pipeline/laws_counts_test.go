package pipeline_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
)

// countRule decides for every key that is touched and shows what its windows hold.
func countRule(id, key string, features []string) string {
	return fmt.Sprintf(`id: %s
version: 1
title: What the windows of a key hold
severity: info
key: %s
where: "true"
features:
  %s
when: n >= 0
then: {alert: %s, for: 10s}
stage: enforce
`, id, key, strings.Join(append([]string{`n: count("10s")`}, features...), "\n  "), key)
}

var countFeatures = [][]string{
	{
		`c30s: count("30s")`, `c1m: count("1m", outcome == "failure")`, `c5m: count("5m")`, `c10m: count("10m")`,
		`c30m: count("30m", kind != "login")`, `c1h: count("1h")`, `c6h: count("6h")`, `c24h: count("24h")`,
		`c2d: count("2d")`, `c7d: count("7d", outcome == "success")`, `all7d: count("7d")`,
	}, {
		`s1m: sum("1m", bytes)`, `s24h: sum("24h", bytes, status == 200)`, `least: min("7d", bytes)`, `most: max("1h", duration)`,
		`d1m: distinct("1m", ip)`, `d1h: distinct("1h", credential)`, `d24h: distinct("24h", item)`, `d7d: distinct("7d", session)`,
	}, {
		`t1h: top("1h", country)`, `e7d: entropy("7d", country)`, `k1h: cadence("1h")`, `k2d: cadence("2d", kind == "login")`,
		`f24h: first("24h", outcome == "success")`, `l7d: last("7d", outcome == "success")`, `r10m: rate("10m")`,
		`p5m: ratio("5m", outcome == "failure")`, `w1h: ratio_low("1h", outcome == "failure")`, `o1h: ratio("6h", outcome == "failure", kind == "login")`,
	},
}

// Every event counts once for each of its keys, and every window of every key
// is what the oracle finds by scanning: at the end of the stream each key is
// touched once more, and its rule then shows what is in its windows.
func TestEveryWindowOfEveryKeyHoldsWhatTheOracleCounts(t *testing.T) {
	keys := []string{"ip", "net", "endpoint", "[endpoint, fingerprint]", "[asn, kind]", "credential", "session", "actor", "[ip, agent]", "[item, method]"}
	var sources []string
	for i, key := range keys {
		for j, features := range countFeatures {
			sources = append(sources, countRule(fmt.Sprintf("counts.k%d_%d", i, j), key, features))
		}
	}
	rs := parseRules(t, sources...)
	for seed := range uint64(seeds(4)) {
		records := testkit.Stream(500+seed, testkit.StreamOptions{
			Events: 800, Partitions: []int{1, 5, 12, 3}[seed%4], Jitter: 5 * time.Second, Late: 0.03, Dropped: 0.02, Future: 0.005,
			Garbage: 0.01, Refused: true,
		})
		w := newWorld(t, worldSource{name: "log", records: records, disorder: 2 * time.Second, latest: time.Hour})
		w.rules = rs
		at := w.callAll()
		o := w.oracle()
		decided := o.run()
		shown := 0
		for _, d := range decided {
			if d.Step == event.New && d.Time.Unix() == at+1 {
				shown++
			}
		}
		all := 0
		for _, r := range rs {
			all += len(o.byRule[r].byFields(r.Key))
		}
		if shown != all || shown < 500 {
			t.Fatalf("seed %d: the windows of %d keys are shown, there are %d, and there must be at least 500", seed, shown, all)
		}
		want := linesOf(decided)
		for _, s := range shapes(seed) {
			got, _ := w.run(t, s)
			if !compare(t, fmt.Sprintf("seed %d, %v", seed, s), want, got) {
				return
			}
		}
	}
}

// callAll adds, behind everything else, one event in the same second for each
// that there was, so that every key is touched; it returns the second.
func (w *world) callAll() int64 {
	s := &w.sources[0]
	last := int64(0)
	for _, records := range s.records {
		for _, rec := range records {
			var ev event.Event
			if testkit.Decode(rec.Line, &ev, &event.Arena{}) == nil && ev.Time < time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() {
				last = max(last, ev.Time/1e9)
			}
		}
	}
	at := last + 3605
	prefix := "t=" + testkit.FormatTime(at*1e9) + " "
	called := map[string]bool{}
	for p, records := range s.records {
		offset := int64(1 << 30)
		call := func(rest string) {
			s.records[p] = append(s.records[p], ingest.MemoryRecord{Line: []byte(prefix + rest), Offset: offset})
			offset++
		}
		// Two that have no key, so that none of the others is ahead of its time.
		call("method=HEAD")
		call("method=HEAD")
		for _, rec := range records {
			_, rest, _ := strings.Cut(string(rec.Line), " ")
			if called[rest] || strings.Contains(rest, "refused=") || testkit.Decode([]byte(prefix+rest), &event.Event{}, &event.Arena{}) != nil {
				continue
			}
			called[rest] = true
			call(rest)
		}
	}
	return at
}
