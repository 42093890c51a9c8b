package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
)

// refusing builds a partition of failed logins of one address, some refused.
type refusing struct{ records []ingest.MemoryRecord }

func (r *refusing) send(from, every, n int64, refused string) {
	for i := range n {
		pairs := []testkit.Pair{
			{Name: "t", Value: fmt.Sprint(base + from + i*every)}, {Name: "ip", Value: "198.51.100.7"}, {Name: "kind", Value: "login"},
			{Name: "endpoint", Value: "POST /login"}, {Name: "outcome", Value: "failure"}, {Name: "credential", Value: fmt.Sprintf("user%d", i%40)},
		}
		if refused != "" {
			pairs = append(pairs, testkit.Pair{Name: "refused", Value: refused})
		}
		r.records = append(r.records, ingest.MemoryRecord{Line: testkit.AppendLine(nil, pairs), Offset: int64(len(r.records))})
	}
}

const blocking = `id: blocking
version: 1
title: Ten failed logins
severity: high
key: ip
where: kind == "login"
features: {failed: 'count("10m", outcome == "failure")'}
when: failed >= 10
then: {block: ip, for: 1h}
stage: enforce
`

func TestOwnBlocksStartNothing(t *testing.T) {
	const hour, day = 3600, 86400
	for _, tt := range []struct {
		name string
		send func(r *refusing)
		want func(lives []life) string // what is wrong
	}{
		{
			name: "refused events alone never make a decision",
			send: func(r *refusing) { r.send(0, 1, 2000, "block") },
			want: func(l []life) string { return exactly(l) },
		}, {
			name: "nine events and a thousand refused ones make none",
			send: func(r *refusing) { r.send(0, 1, 9, ""); r.send(10, 1, 1000, "block") },
			want: func(l []life) string { return exactly(l) },
		}, {
			name: "without traffic a decision ends at its until",
			send: func(r *refusing) { r.send(0, 10, 10, ""); r.send(2*hour, 1, 2, "block") },
			want: func(l []life) string { return exactly(l, life{91, 91 + hour, 0}) },
		}, {
			name: "refused events at a quarter of the onset rate renew",
			// Ten events up to new; three in ten minutes are more than a quarter.
			send: func(r *refusing) { r.send(0, 10, 10, ""); r.send(100, 200, 100, "block"); r.send(3*day, 1, 2, "") },
			want: func(l []life) string {
				if len(l) != 1 || l[0].renewals < 5 || l[0].end < 100+99*200 {
					return fmt.Sprintf("lives are %v, want one with at least five renewals that outlives what it refuses", l)
				}
				return ""
			},
		}, {
			name: "refused events at less than a quarter do not",
			send: func(r *refusing) { r.send(0, 10, 10, ""); r.send(100, 400, 50, "block"); r.send(3*day, 1, 2, "") },
			want: func(l []life) string { return exactly(l, life{91, 91 + hour, 0}) },
		}, {
			name: "for at most a day after the last evidence that was not refused",
			send: func(r *refusing) { r.send(0, 10, 10, ""); r.send(100, 100, 1200, "block"); r.send(3*day, 1, 2, "") },
			want: func(l []life) string {
				if len(l) != 1 || l[0].end != 91+day {
					return fmt.Sprintf("lives are %v, want one that ends at %d", l, 91+day)
				}
				return ""
			},
		}, {
			name: "new evidence begins the day anew",
			send: func(r *refusing) {
				r.send(0, 10, 10, "")
				r.send(100, 100, 400, "block") // eleven hours
				r.send(41_000, 10, 10, "")     // gets through again
				r.send(41_100, 100, 1200, "block")
				r.send(5*day, 1, 2, "")
			},
			want: func(l []life) string {
				if len(l) != 1 || l[0].end != 41_091+day {
					return fmt.Sprintf("lives are %v, want one that ends at %d", l, 41_091+day)
				}
				return ""
			},
		}, {
			name: "another action refuses as well",
			send: func(r *refusing) { r.send(0, 10, 10, ""); r.send(100, 100, 40, "challenge"); r.send(3*day, 1, 2, "") },
			want: func(l []life) string {
				if len(l) != 1 || l[0].renewals == 0 {
					return fmt.Sprintf("lives are %v, want one with a renewal", l)
				}
				return ""
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &refusing{}
			tt.send(r)
			w := &world{
				rules: parseRules(t, blocking), ceiling: event.Enforce,
				sources: []worldSource{{name: "log", latest: time.Hour, records: [][]ingest.MemoryRecord{r.records}}},
			}
			want := w.oracle().run()
			if wrong := tt.want(livesOf(want)); wrong != "" {
				t.Errorf("the oracle: %s", wrong)
			}
			for _, s := range shapes(3) {
				got, sum := w.decide(t, s)
				if wrong := tt.want(livesOf(got)); wrong != "" {
					t.Errorf("%v: %s", s, wrong)
				}
				compare(t, s.String(), linesOf(want), linesOf(got))
				if sum.Events == 0 || sum.Refused == 0 {
					t.Errorf("%v: %d events, %d refused, want some of both", s, sum.Events, sum.Refused)
				}
			}
		})
	}
}

// life is what became of a decision: ticks after base.
type life struct {
	begin, end int64
	renewals   int
}

func livesOf(ds []event.Decision) []life {
	var lives []life
	for _, d := range ds {
		switch d.Step {
		case event.New:
			lives = append(lives, life{begin: d.Time.Unix() - base})
		case event.Renew:
			lives[len(lives)-1].renewals++
		case event.End:
			lives[len(lives)-1].end = d.Time.Unix() - base
		}
	}
	return lives
}

func exactly(got []life, want ...life) string {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Sprintf("lives are %v, want %v", got, want)
	}
	return ""
}
