package windows

import (
	"strings"
	"testing"

	"weir/event"
)

func TestAWindowReachesBackAtMostOnePaneTooFar(t *testing.T) {
	for _, w := range Windows {
		pane := w.Ring().Pane()
		if w > W10s && float64(pane) > 0.042*float64(w) && w.Ring() != Ring1s {
			t.Errorf("window %d reads panes of %d s, more than 4.2 %% of it", w, pane)
		}
		for tick := int64(1_700_000_000); tick < 1_700_000_000+2*pane; tick += 1 + pane/7 {
			if s := w.Start(tick); s > tick-int64(w) || s <= tick-int64(w)-pane || s%pane != 0 {
				t.Errorf("window %d as of %d starts at %d", w, tick, s)
			}
		}
	}
}

func TestALayoutIsChecked(t *testing.T) {
	ip := []event.Field{event.FieldIP}
	for _, c := range []struct {
		name, want string
		table      Table
	}{
		{"unknown field", "field site is not among", Table{Fields: []event.Field{event.FieldSite}}},
		{"bit", "bit 64, must be less than 64", Table{Fields: ip, Series: []Series{{Bit: 64}}}},
		{"observation", "observation 3, must be less than 1", Table{Fields: ip, Series: []Series{{Kind: Sum, Obs: 3}}}},
		{"kind", "kind 9, must be at most", Table{Fields: ip, Series: []Series{{Kind: 9}}}},
		{"window", "a window of 11 s", Table{Fields: ip, Series: []Series{{Windows: []Window{11}}}}},
		{"retain", "kept 60 s, must be at least", Table{Fields: ip, Retain: 60, Series: []Series{{Windows: []Window{W1m}}}}},
		{"columns", "257 counters in one ring", Table{
			Fields: ip, Retain: 61, Series: repeat(257, Series{Windows: []Window{W1m}}),
		}},
		{"stores", "256 stores for a key", Table{
			Fields: ip, Retain: 61, Series: repeat(256, Series{Kind: Span, Windows: []Window{W1m}}),
		}},
	} {
		l := &Layout{Fields: ip, Obs: 1, Tables: []Table{c.table}}
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if _, err := RestoreUnit(l, 0, nil); err == nil {
			t.Errorf("%s: restored", c.name)
		}
	}
	if err := testLayout().Validate(); err != nil {
		t.Error(err)
	}
}

func repeat(n int, s Series) (all []Series) {
	for range n {
		all = append(all, s)
	}
	return all
}
