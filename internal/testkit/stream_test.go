package testkit

import (
	"slices"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
)

var everything = StreamOptions{
	Events: 2000, Partitions: 12, Jitter: 5 * time.Second, Late: 0.02, Dropped: 0.02, Future: 0.01, Garbage: 0.02, Refused: true,
}

func sortedLines(parts [][]ingest.MemoryRecord) []string {
	var lines []string
	for _, records := range parts {
		for _, r := range records {
			lines = append(lines, string(r.Line))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestTheLinesOfAStreamDoNotDependOnItsPartitions(t *testing.T) {
	alone := everything
	alone.Partitions = 1
	if !slices.Equal(sortedLines(Stream(3, everything)), sortedLines(Stream(3, alone))) {
		t.Error("12 partitions hold other lines than one")
	}
	if slices.Equal(sortedLines(Stream(3, alone)), sortedLines(Stream(4, alone))) {
		t.Error("two seeds give the same lines")
	}
}

func TestAStreamHoldsWhatItsOptionsSay(t *testing.T) {
	for _, wide := range []bool{false, true} {
		opt := everything
		opt.Wide = wide
		kinds, refused, future, broken, all := map[event.Kind]int{}, 0, 0, 0, 0
		values := map[event.Field]map[string]bool{}
		for _, records := range Stream(1, opt) {
			if !slices.IsSortedFunc(records, func(a, b ingest.MemoryRecord) int { return int(a.Offset - b.Offset) }) {
				t.Error("offsets do not rise")
			}
			for _, r := range records {
				var ev event.Event
				all++
				if Decode(r.Line, &ev, &event.Arena{}) != nil {
					broken++
					continue
				}
				kinds[ev.Kind]++
				if ev.Refused != event.NoAction {
					refused++
				}
				if time.Unix(0, ev.Time).Year() == 2099 {
					future++
				}
				for _, f := range []event.Field{event.FieldIP, event.FieldCredential, event.FieldSession, event.FieldItem, event.FieldActor} {
					if values[f] == nil {
						values[f] = map[string]bool{}
					}
					values[f][ev.Str(f)] = true
				}
			}
		}
		if len(kinds) < 4 || refused < 50 || future == 0 || broken < 10 || all != opt.Events+broken {
			t.Errorf("wide %v: kinds %v, %d refused, %d in 2099, %d broken of %d", wide, kinds, refused, future, broken, all)
		}
		for f, vs := range values {
			// 96 are counted exactly; an actor may be any address without a name as well.
			if !wide && len(vs) > 90 {
				t.Errorf("%d values of %v, want at most 90", len(vs), f)
			}
		}
		if wide && len(values[event.FieldCredential]) < 200 {
			t.Errorf("%d credentials in a wide stream, want at least 200", len(values[event.FieldCredential]))
		}
	}
}
