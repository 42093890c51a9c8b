package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
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

// holed is a source of events that knows which are missing.
type holed struct {
	events []event.Event
	gaps   []ingest.Gap
	at     int
	told   int
	rng    *rand.Rand
}

func (h *holed) Name() string    { return "log" }
func (h *holed) Partitions() int { return 1 }
func (h *holed) Close() error    { return nil }
func (h *holed) Read(context.Context, int, int, *ingest.Records) error {
	return errors.New("it has events")
}

func (h *holed) ReadEvents(_ context.Context, _, most int, b *event.Batch, appended []int64) ([]int64, error) {
	if h.at == len(h.events) {
		return appended, io.EOF
	}
	time.Sleep(time.Duration(h.rng.IntN(200)) * time.Microsecond)
	for range min(1+h.rng.IntN(most), len(h.events)-h.at) {
		*b.Next() = h.events[h.at]
		h.at++
	}
	return appended, nil
}

func (h *holed) Missing(int) (gaps []ingest.Gap) {
	for h.told < len(h.gaps) && h.at > 0 && h.gaps[h.told].To <= h.events[h.at-1].Offset {
		gaps = append(gaps, h.gaps[h.told])
		h.told++
	}
	return gaps
}

// What is incomplete behind events that are missing depends neither on how fast
// they are read nor on how many at a time, also where the first ones behind a hole
// are late.
func TestWhatIsMissingIsTheSameHoweverItIsRead(t *testing.T) {
	const hourly = "id: own.hourly\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures:\n  n: count(\"10m\")\nwhen: n >= 1\nthen: {block: ip, for: 1m}\nstage: enforce\n"
	var events []event.Event
	add := func(offset, second int64) {
		var e event.Event
		e.Reset()
		e.Offset, e.Time, e.IP = offset, (base+second)*int64(time.Second), netip.AddrFrom4([4]byte{192, 0, 2, byte(offset % 90)})
		e.Method, e.Path, e.Endpoint, e.Status = "GET", "/", "GET /", 200
		events = append(events, e)
	}
	gap := func(from, to int64) ingest.Gap {
		return ingest.Gap{From: from, To: to, Since: time.Unix(base+from-1, 0).UTC(), Why: "it was lost"}
	}
	gaps := []ingest.Gap{gap(1500, 1510), gap(1520, 1530), gap(2500, 2600)}
	for i := range int64(4000) {
		switch {
		case i >= 1500 && i < 1510 || i >= 1520 && i < 1530 || i >= 2500 && i < 2600:
		case i == 1510 || i == 2600:
			add(i, i-1000) // late
		default:
			add(i, i)
		}
	}
	decide := func(workers, batch int, seed uint64) []string {
		plan, err := rules.NewPlan(parseRules(t, hourly), event.FixedKey(), rules.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		_, err = pipeline.Run(t.Context(), pipeline.Config{
			Plan: plan, Ceiling: event.Enforce, Workers: workers, Units: 4, Batch: batch, SourceNames: []string{"log"},
			Sources: []pipeline.Source{{Source: &holed{events: events, gaps: gaps, rng: rand.New(rand.NewPCG(seed, 1))}, Decode: testkit.Decode, MaxLateness: time.Hour}},
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
		slices.Sort(lines)
		return lines
	}
	want := decide(1, 1000, 0)
	marked := 0
	for _, line := range want {
		if !strings.Contains(line, `"incomplete"`) {
			continue
		}
		marked++
		at, err := time.Parse(time.RFC3339, timeIn(line))
		if behind := at.Unix() - (base + 1500); err != nil || behind < 0 {
			t.Errorf("%d s before anything is missing, incomplete: %s", -behind, line)
		}
	}
	if marked == 0 {
		t.Error("no decision is marked incomplete")
	}
	for seed := range uint64(6) {
		for _, batch := range []int{1, 7, 300, 5000} {
			if !compare(t, fmt.Sprint("batch ", batch), want, decide(1+int(seed)%4, batch, seed)) {
				return
			}
		}
	}
}
