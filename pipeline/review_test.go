package pipeline_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/rules"
)

type figuresOf = func(*event.Asked) (event.Figures, bool)

func TestEveryBoundaryBehindAnEventIsReviewed(t *testing.T) {
	var records []record
	for i, at := range []float64{3, 4, 9, 10, 11, 35, 300, 309.5, 310, 4000} {
		records = append(records, record{item: fmt.Sprint("i", i), at: at})
	}
	// 9 closes at 10, and 309.5 at 310: those are their boundaries.
	want := []int64{10, 20, 40, 310, 320, 4010}
	w := newWorld(t, worldSource{name: "log", disorder: 2 * time.Second, latest: time.Hour, records: [][]ingest.MemoryRecord{recordsOf(records)}})
	w.rules = parseRules(t, probe)
	for _, s := range []shape{{workers: 1, units: 1, batch: 100}, {workers: 2, units: 8, batch: 1}, {workers: 4, units: 8, batch: 3}} {
		var got []int64
		decided := int64(0)
		w.review = func(tick int64, _ figuresOf) error {
			got = append(got, tick-base)
			return nil
		}
		ds, _ := w.decide(t, s)
		for _, d := range ds {
			decided = max(decided, d.Time.Unix())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: reviewed at %v, want %v", s, got, want)
		}
	}
}

func TestReviewsAreTheSameForEveryShape(t *testing.T) {
	for seed := range uint64(3) {
		w := randomWorld(t, seed)
		w.options.Site = true
		var want []string
		for i, s := range shapes(seed) {
			var got []string
			w.review = func(tick int64, figures figuresOf) error {
				f, ok := figures(new(event.Asked))
				got = append(got, fmt.Sprint(tick, f.Good, f.Tried, ok))
				return nil
			}
			w.run(t, s)
			if i == 0 {
				if want = got; len(want) < 20 {
					t.Fatalf("seed %d: %d reviews, want at least 20", seed, len(want))
				}
			}
			compare(t, fmt.Sprintf("seed %d, %v", seed, s), want, got)
		}
	}
}

// A decision says what the figures of its target were; so does a review at the
// tick at which it was made.
func TestFiguresAreThoseOfDecisions(t *testing.T) {
	checked, shapesSeen := 0, map[string]bool{}
	for seed := range uint64(2) {
		w := randomWorld(t, 100+seed)
		ds, _ := w.decide(t, shapes(seed)[0])
		byTick := map[int64][]event.Decision{}
		for _, d := range ds {
			if d.Step != event.End && d.Time.Unix()%rules.Boundary == 0 {
				byTick[d.Time.Unix()] = append(byTick[d.Time.Unix()], d)
			}
		}
		w.review = func(tick int64, figures figuresOf) error {
			for _, d := range byTick[tick] {
				f, ok := figures(&event.Asked{Decision: &d})
				if !ok && d.Tried == 0 {
					continue // nothing is held of the target, and the decision says so
				}
				checked++
				shapesSeen[shapeOf(d.Target)] = true
				if want := (event.Figures{Good: d.Good, Tried: d.Tried, Regulars: d.Regulars}); !ok || f != want {
					t.Errorf("seed %d, %v at %d: %+v, %v; the decision says %+v", seed, d.Target, tick, f, ok, want)
				}
			}
			return nil
		}
		w.decide(t, shapes(seed)[2])
	}
	if checked < 50 || len(shapesSeen) < 5 {
		t.Errorf("%d figures of %d shapes of targets compared, want at least 50 and 5", checked, len(shapesSeen))
	}
}

func TestFiguresOfTheWholeSite(t *testing.T) {
	line := func(i int, at int64, pairs ...testkit.Pair) ingest.MemoryRecord {
		return ingest.MemoryRecord{Offset: int64(i), Line: testkit.AppendLine(nil, append([]testkit.Pair{{Name: "t", Value: fmt.Sprint(base + at)}}, pairs...))}
	}
	var records []ingest.MemoryRecord
	for i := range 60 { // 30 accounts, of which 20 succeed; each twice
		outcome := "failure"
		if i%30 < 20 {
			outcome = "success"
		}
		records = append(records, line(i, int64(i), testkit.Pair{Name: "credential", Value: fmt.Sprint("u", i%30)}, testkit.Pair{Name: "outcome", Value: outcome}))
	}
	records = append(records,
		line(60, 60, testkit.Pair{Name: "credential", Value: "refused"}, testkit.Pair{Name: "outcome", Value: "success"}, testkit.Pair{Name: "refused", Value: "block"}),
		line(61, 61, testkit.Pair{Name: "credential", Value: "visitor"}),
		line(62, 62, testkit.Pair{Name: "session", Value: "s1"}, testkit.Pair{Name: "outcome", Value: "success"}),
		line(63, 8*24*hours, testkit.Pair{Name: "credential", Value: "u5"}, testkit.Pair{Name: "outcome", Value: "success"}),
		line(64, 8*24*hours+1, testkit.Pair{Name: "credential", Value: "u6"}, testkit.Pair{Name: "outcome", Value: "failure"}),
	)
	for _, site := range []bool{true, false} {
		for _, recode := range []bool{false, true} {
			w := newWorld(t, worldSource{name: "log", latest: time.Hour, records: [][]ingest.MemoryRecord{records}})
			w.rules = parseRules(t, probe)
			w.options.Site = site
			got := map[int64]string{}
			w.review = func(tick int64, figures figuresOf) error {
				f, ok := figures(new(event.Asked))
				got[tick-base] = fmt.Sprint(f.Good, f.Tried, ok)
				for _, field := range []string{"country", "colour"} { // that no rule has, and that there is not
					d := event.Decision{Target: event.Target{{Field: field, Text: "red"}}}
					if _, ok := figures(&event.Asked{Decision: &d}); ok {
						t.Errorf("there are figures of a target of a %s", field)
					}
				}
				return nil
			}
			w.decide(t, shape{workers: 2, units: 8, batch: 10, recode: recode})
			want := map[int64]string{70: "21 31 true", 8*24*hours + 10: "1 2 true"}
			if !site {
				want = map[int64]string{}
			}
			for tick, figures := range want {
				if got[tick] != figures {
					t.Errorf("site %v, recode %v: at %d good, tried, ok are %s, want %s", site, recode, tick, got[tick], figures)
				}
			}
			if !site && len(got) > 0 && got[70] != "0 0 false" {
				t.Errorf("a plan that does not keep the site's figures says %s", got[70])
			}
		}
	}
}

// The site's figures are kept beside everything else: no decision differs.
func TestTheSitesFiguresChangeNoDecision(t *testing.T) {
	for seed := range uint64(3) {
		w := randomWorld(t, 40+seed)
		want, _ := w.run(t, shapes(seed)[0])
		w.options.Site = true
		got, sum := w.run(t, shapes(seed)[2])
		compare(t, fmt.Sprintf("seed %d", seed), want, got)
		if !slices.ContainsFunc(sum.Shapes, func(s rules.Shape) bool { return s.Key == "(everything)" && s.Keys == 1 }) {
			t.Errorf("seed %d: shapes %v, want one of everything", seed, sum.Shapes)
		}
	}
}
