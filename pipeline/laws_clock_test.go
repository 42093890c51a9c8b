package pipeline_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// base is when the clock tests begin; a whole hour.
const base = 1767600000

// parseRules reads rules that stand in a test.
func parseRules(t testing.TB, sources ...string) []*rules.Rule {
	t.Helper()
	var rs []*rules.Rule
	for _, src := range sources {
		id, _, _ := strings.Cut(strings.TrimPrefix(src, "id: "), "\n")
		r, err := rules.Parse(strings.ReplaceAll(id, ".", "/")+".yaml", []byte(src), lawOptions)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	if err := rules.Check(rs); err != nil {
		t.Fatal(err)
	}
	return rs
}

// probe decides once for each item, at the tick after the second in which the
// item's event counts.
const probe = `id: probe
version: 1
title: In which second an event counts
severity: info
key: item
where: "true"
features: {n: 'count("10s")'}
when: n >= 1
then: {alert: item, for: 10s}
stage: enforce
`

// record is a line of a clock test: its item and its time in seconds from base.
type record struct {
	item     string
	at       float64
	appended float64 // 0: none
}

func recordsOf(rs []record) []ingest.MemoryRecord {
	var out []ingest.MemoryRecord
	for i, r := range rs {
		m := ingest.MemoryRecord{Line: []byte("what is this"), Offset: int64(i)}
		if r.item != "" {
			m.Line = testkit.AppendLine(nil, []testkit.Pair{{Name: "t", Value: testkit.FormatTime(nanos(r.at))}, {Name: "item", Value: r.item}})
		}
		if r.appended != 0 {
			m.Appended = nanos(r.appended)
		}
		out = append(out, m)
	}
	return out
}

func nanos(seconds float64) int64 { return base*1e9 + int64(seconds*1000)*1e6 }

const hours = 3600

func TestTheClockOfAPartition(t *testing.T) {
	// In which second each item counts; what is not there was not counted.
	type seconds map[string]int64
	tests := []struct {
		name     string
		disorder time.Duration
		records  []record
		marks    []pipeline.Mark
		want     seconds
		tally    string // late dropped future clamped rejected
	}{
		{
			name:    "an event no older than the disorder counts in its own second",
			records: []record{{item: "a", at: 10}, {item: "b", at: 8.5}, {item: "c", at: 8}},
			want:    seconds{"a": 10, "b": 8, "c": 8},
		}, {
			name:    "an event before W counts in the second that starts at W",
			records: []record{{item: "a", at: 10}, {item: "b", at: 7.999}, {item: "c", at: 1}},
			want:    seconds{"a": 10, "b": 8, "c": 8}, tally: "2 0 0 0 0",
		}, {
			name:    "W is the floor of max less the disorder",
			records: []record{{item: "a", at: 10.9}, {item: "b", at: 8}, {item: "c", at: 7.9}},
			want:    seconds{"a": 10, "b": 8, "c": 8}, tally: "1 0 0 0 0",
		}, {
			name: "a disorder of less than a second moves W by it", disorder: 500 * time.Millisecond,
			records: []record{{item: "a", at: 10.4}, {item: "b", at: 9.1}, {item: "c", at: 10.5}, {item: "d", at: 9.9}},
			want:    seconds{"a": 10, "b": 9, "c": 10, "d": 10}, tally: "1 0 0 0 0",
		}, {
			name:    "an event more than max_lateness before W is dropped, one exactly as old is not",
			records: []record{{item: "a", at: 100}, {item: "b", at: 38}, {item: "c", at: 37.999}},
			want:    seconds{"a": 100, "b": 98}, tally: "1 1 0 0 0",
		}, {
			name:    "an event is judged against W as it was before it",
			records: []record{{item: "a", at: 0}, {item: "b", at: 500}, {item: "c", at: 499}},
			want:    seconds{"a": 0, "b": 500, "c": 499},
		}, {
			name:    "W never goes back",
			records: []record{{item: "a", at: 100}, {item: "b", at: 90}, {item: "c", at: 97}, {item: "d", at: 98}},
			want:    seconds{"a": 100, "b": 98, "c": 98, "d": 98}, tally: "2 0 0 0 0",
		}, {
			name:    "a record more than a minute ahead of its append time is set to it and a minute",
			records: []record{{item: "a", at: 10, appended: 10}, {item: "b", at: 300, appended: 20}, {item: "c", at: 78.5, appended: 21}, {item: "d", at: 81, appended: 21}},
			want:    seconds{"a": 10, "b": 80, "c": 78, "d": 81}, tally: "0 0 0 1 0",
		}, {
			name:    "with append times nothing is held, however far it lies ahead",
			records: []record{{item: "a", at: 0, appended: 1}, {item: "b", at: 100 * hours, appended: 100 * hours}},
			want:    seconds{"a": 0, "b": 100 * hours},
		}, {
			name:    "a record a day ahead is not held",
			records: []record{{item: "a", at: 0}, {item: "b", at: 0}, {item: "c", at: 24 * hours}},
			want:    seconds{"a": 0, "b": 0, "c": 24 * hours},
		}, {
			name:    "a record more than a day ahead counts if the next one bears it out",
			records: []record{{item: "a", at: 0}, {item: "b", at: 24*hours + 1}, {item: "c", at: 24*hours + 2}},
			want:    seconds{"a": 0, "b": 24*hours + 1, "c": 24*hours + 2},
		}, {
			name:    "and is dropped if it does not",
			records: []record{{item: "a", at: 0}, {item: "b", at: 24*hours + 11}, {item: "c", at: 10}, {item: "d", at: 11}},
			want:    seconds{"a": 0, "c": 10, "d": 11}, tally: "0 0 1 0 0",
		}, {
			name:    "what is unreadable neither bears out nor refutes",
			records: []record{{item: "a", at: 0}, {item: "b", at: 30 * hours}, {}, {item: "c", at: 30*hours + 5}},
			want:    seconds{"a": 0, "b": 30 * hours, "c": 30*hours + 5}, tally: "0 0 0 0 1",
		}, {
			name:    "after one that is dropped the next is judged by itself",
			records: []record{{item: "a", at: 0}, {item: "b", at: 30 * hours}, {item: "c", at: 90 * hours}, {item: "d", at: 91 * hours}},
			want:    seconds{"a": 0, "c": 90 * hours, "d": 91 * hours}, tally: "0 0 1 0 0",
		}, {
			name:    "a line in 2099 moves nothing",
			records: []record{{item: "a", at: 0}, {item: "b", at: 640_000 * hours}, {item: "c", at: 1}, {item: "d", at: 640_000 * hours}, {item: "e", at: 2}},
			want:    seconds{"a": 0, "c": 1, "e": 2}, tally: "0 0 2 0 0",
		}, {
			name:    "one that bears out is judged after the one that it bears out",
			records: []record{{item: "a", at: 0}, {item: "b", at: 30 * hours}, {item: "c", at: 30*hours - 30}, {item: "d", at: 29 * hours}},
			want:    seconds{"a": 0, "b": 30 * hours, "c": 30*hours - 2}, tally: "1 1 0 0 0",
		}, {
			name:    "the first record counts if the second is not far behind it",
			records: []record{{item: "a", at: 24 * hours}, {item: "b", at: 0}, {item: "c", at: 24 * hours}},
			want:    seconds{"a": 24 * hours, "c": 24 * hours}, tally: "0 1 0 0 0",
		}, {
			name:    "the first record is dropped if it lies more than a day ahead of the second",
			records: []record{{item: "a", at: 24*hours + 1}, {item: "b", at: 0}, {item: "c", at: 1}},
			want:    seconds{"b": 0, "c": 1}, tally: "0 0 1 0 0",
		}, {
			name:    "the first record counts even if the second lies far ahead",
			records: []record{{item: "a", at: 0}, {item: "b", at: 300 * hours}, {item: "c", at: 301 * hours}},
			want:    seconds{"a": 0, "b": 300 * hours, "c": 301 * hours},
		}, {
			name:    "a partition's only record counts",
			records: []record{{item: "a", at: 5}},
			want:    seconds{"a": 5},
		}, {
			name:    "a record that is held at the end is dropped",
			records: []record{{item: "a", at: 0}, {item: "b", at: 1}, {item: "c", at: 25*hours + 2}},
			want:    seconds{"a": 0, "b": 1}, tally: "0 0 1 0 0",
		}, {
			name:    "the journal raises W from an offset on",
			records: []record{{item: "a", at: 0}, {item: "b", at: 1}, {item: "c", at: 2}, {item: "d", at: 60}},
			marks:   []pipeline.Mark{{Source: "log", Offset: 2, Watermark: base + 50}},
			want:    seconds{"a": 0, "b": 1, "c": 50, "d": 60}, tally: "1 0 0 0 0",
		}, {
			name:    "the journal does not lower W",
			records: []record{{item: "a", at: 0}, {item: "b", at: 100}, {item: "c", at: 97}},
			marks:   []pipeline.Mark{{Source: "log", Offset: 2, Watermark: base + 50}},
			want:    seconds{"a": 0, "b": 100, "c": 98}, tally: "1 0 0 0 0",
		}, {
			name:    "the journal is about one partition of one source",
			records: []record{{item: "a", at: 0}, {item: "b", at: 1}},
			marks:   []pipeline.Mark{{Source: "other", Offset: 0, Watermark: base + 50}, {Source: "log", Partition: 1, Offset: 0, Watermark: base + 50}},
			want:    seconds{"a": 0, "b": 1},
		}, {
			name:    "an offset that has no record raises W at the next one",
			records: []record{{item: "a", at: 0}, {item: "b", at: 1}, {item: "", at: 0}, {item: "d", at: 2}},
			marks:   []pipeline.Mark{{Source: "log", Offset: 2, Watermark: base + 7}},
			want:    seconds{"a": 0, "b": 1, "d": 7}, tally: "1 0 0 0 1",
		}, {
			name:    "max_lateness counts from a W that the journal raised",
			records: []record{{item: "a", at: 0}, {item: "b", at: 1}, {item: "c", at: 1.9}, {item: "d", at: 2}},
			marks:   []pipeline.Mark{{Source: "log", Offset: 2, Watermark: base + 62}},
			want:    seconds{"a": 0, "b": 1, "d": 62}, tally: "1 1 0 0 0",
		}, {
			name:    "a record that is held is judged when the next one is read",
			records: []record{{item: "a", at: 0}, {item: "b", at: 1}, {item: "c", at: 30 * hours}, {item: "d", at: 30*hours + 1}},
			marks:   []pipeline.Mark{{Source: "log", Offset: 3, Watermark: base + 30*hours + 20}},
			want:    seconds{"a": 0, "b": 1, "c": 30*hours + 20, "d": 30*hours + 20}, tally: "2 0 0 0 0",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			disorder := 2 * time.Second
			if tt.disorder != 0 {
				disorder = tt.disorder
			}
			w := &world{
				rules: parseRules(t, probe), ceiling: event.Enforce, journal: tt.marks,
				sources: []worldSource{{name: "log", disorder: disorder, latest: time.Minute, records: [][]ingest.MemoryRecord{recordsOf(tt.records)}}},
			}
			if tt.tally == "" {
				tt.tally = "0 0 0 0 0"
			}
			check := func(who string, got seconds, tally string) {
				if !maps.Equal(got, tt.want) || tally != tt.tally {
					t.Errorf("%s counts %v, want %v; late, dropped, future, clamped, rejected are %s, want %s", who, got, tt.want, tally, tt.tally)
				}
			}
			o := w.oracle()
			got := seconds{}
			for _, d := range o.run() {
				if d.Step == event.New {
					got[d.Target[0].Text] = d.Time.Unix() - 1 - base
				}
			}
			check("the oracle", got, fmt.Sprint(o.tally.Late, o.tally.Dropped, o.tally.Future, o.tally.Clamped, o.tally.Rejected))
			for _, batch := range []int{1, 2, 100} {
				decisions, sum := w.decide(t, shape{workers: 2, units: 8, batch: batch})
				got := seconds{}
				for _, d := range decisions {
					if d.Step == event.New {
						got[d.Target[0].Text] = d.Time.Unix() - 1 - base
					}
				}
				rejected := int64(0)
				for _, n := range sum.Rejected {
					rejected += n
				}
				check(fmt.Sprintf("the pipeline in batches of %d", batch), got, fmt.Sprint(sum.Late, sum.Dropped, sum.Future, sum.Clamped, rejected))
			}
		})
	}
}

func TestAtTheEndTheClockRunsOnToTheNextWholeTenSeconds(t *testing.T) {
	travels := `id: travels
version: 1
title: The target is smaller than the key
severity: info
key: [item, method]
where: "true"
features: {n: 'count("10s")'}
when: n >= 1
then: {alert: item, for: 10s}
stage: enforce
`
	line := func(at int64) []ingest.MemoryRecord {
		l := fmt.Appendf(nil, "t=%d item=a method=GET", base+at)
		return []ingest.MemoryRecord{{Line: l}, {Line: l, Offset: 1}}
	}
	for _, tt := range []struct {
		name    string
		rule    string
		records []ingest.MemoryRecord
		marks   []pipeline.Mark
		want    []string
	}{
		{"what travels arrives", travels, line(3), nil, []string{"new 10"}},
		{"a tick that is a boundary is enough", travels, line(9), nil, []string{"new 10"}},
		{"decisions end at the ticks that are run", probe, line(0), nil, []string{"new 1"}},
		{"an idle end runs up to what the journal says", probe, line(0), []pipeline.Mark{{Source: "log", Offset: 2, Watermark: base + 11}}, []string{"new 1", "end 11"}},
		{"and no further than to the ten seconds behind it", probe, line(0), []pipeline.Mark{{Source: "log", Offset: 2, Watermark: base + 9}}, []string{"new 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{
				rules: parseRules(t, tt.rule), ceiling: event.Enforce, journal: tt.marks,
				sources: []worldSource{{name: "log", latest: time.Minute, records: [][]ingest.MemoryRecord{tt.records}}},
			}
			lines := func(ds []event.Decision) (out []string) {
				for _, d := range ds {
					out = append(out, fmt.Sprint(d.Step, " ", d.Time.Unix()-base))
				}
				return out
			}
			if got := lines(w.oracle().run()); !slices.Equal(got, tt.want) {
				t.Errorf("the oracle decides %v, want %v", got, tt.want)
			}
			decisions, _ := w.decide(t, shape{workers: 1, units: 1, batch: 1})
			if got := lines(decisions); !slices.Equal(got, tt.want) {
				t.Errorf("the pipeline decides %v, want %v", got, tt.want)
			}
		})
	}
}

// crowd is a partition that says the same line over and over.
type crowd struct {
	*ingest.Memory
	times []struct{ second, n int64 }
	made  int64
	tail  []string
}

func (c *crowd) Read(ctx context.Context, _, most int, r *ingest.Records) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for range most {
		if len(c.times) == 0 && len(c.tail) == 0 {
			if r.Len() == 0 {
				return io.EOF
			}
			return nil
		}
		r.Starts = append(r.Starts, uint32(len(r.Data)))
		if len(c.times) == 0 {
			r.Data = append(r.Data, c.tail[0]...)
			c.tail = c.tail[1:]
		} else {
			r.Data = fmt.Appendf(r.Data, "t=%d", base+c.times[0].second)
			if c.times[0].n--; c.times[0].n == 0 {
				c.times = c.times[1:]
			}
		}
		r.Ends = append(r.Ends, uint32(len(r.Data)))
		r.Offsets = append(r.Offsets, c.made)
		c.made++
	}
	return nil
}

func TestMoreThanTwoMillionEventsBetweenWAndMaxRaiseW(t *testing.T) {
	plan, err := rules.NewPlan(parseRules(t, probe), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tail := []string{
		// 2,000,001 are open now: W has gone up to second 1, past the first million.
		fmt.Sprintf("t=%d item=early", base), fmt.Sprintf("t=%d item=between", base+1), fmt.Sprintf("t=%d item=now", base+5),
	}
	src := &crowd{Memory: ingest.NewMemory("log", nil), tail: tail, times: []struct{ second, n int64 }{{0, 1_000_000}, {5, 1_000_001}}}
	got := map[string]int64{}
	sum, err := pipeline.Run(context.Background(), pipeline.Config{
		Plan: plan, Ceiling: event.Enforce, Workers: 2, Units: 8, Batch: 5000,
		Sources: []pipeline.Source{{Source: src, Decode: testkit.Decode, Disorder: 10 * time.Minute, MaxLateness: time.Hour}},
		Emit: func(ds []event.Decision) error {
			for _, d := range ds {
				if d.Step == event.New {
					got[d.Target[0].Text] = d.Time.Unix() - 1 - base
				}
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"early": 1, "between": 1, "now": 5}
	if !maps.Equal(got, want) || sum.Late != 1 {
		t.Errorf("counted in seconds %v with %d late, want %v with 1", got, sum.Late, want)
	}
}
