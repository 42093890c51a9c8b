package emit

import (
	"testing"
	"time"

	"weir/event"
)

func TestListsDifferInWhatAPointCanHold(t *testing.T) {
	at := func(until time.Duration, id, to string) Entry {
		e := Entry{Prefix: prefixes("192.0.2.7/32")[0], Action: event.Limit, ID: id, To: to}
		if until != 0 {
			e.Until = listNow.Add(until)
		}
		return e
	}
	ends, none, all := Capabilities{Ends: true}, Capabilities{}, Capabilities{Any: true, Ends: true}
	const h = time.Hour
	for _, c := range []struct {
		what               string
		caps               Capabilities
		have, want         Entry
		add, remove, drift int
	}{
		{"the same", ends, at(h, "a", "1/1m"), at(h, "a", "1/1m"), 0, 0, 0},
		{"another end", ends, at(h, "a", "1/1m"), at(2*h, "a", "1/1m"), 1, 0, 1},
		{"another end of one that keeps none", none, at(0, "", ""), at(2*h, "a", "1/1m"), 0, 0, 0},
		{"another rate", ends, at(h, "a", "1/1m"), at(h, "a", "2/1m"), 1, 0, 1},
		{"another id", ends, at(h, "a", "1/1m"), at(h, "b", "1/1m"), 1, 0, 1},
		{"another id of one that keeps none", ends, at(h, "", ""), at(h, "b", "1/1m"), 0, 0, 0},
		{"another id where it is the key", all, at(h, "a", ""), at(h, "b", ""), 1, 1, 2},
		{"nothing wanted", ends, at(h, "a", ""), Entry{}, 0, 1, 1},
		{"nothing wanted of what is over", ends, at(-1, "a", ""), Entry{}, 0, 1, 0},
		{"nothing wanted of what is over elsewhere", none, at(-1, "a", ""), Entry{}, 0, 1, 1},
		{"what is no entry", ends, Entry{ID: "foreign"}, Entry{}, 0, 1, 1},
		{"nothing held", ends, Entry{}, at(h, "a", ""), 1, 0, 1},
	} {
		list := func(e Entry) []Entry {
			if e == (Entry{}) {
				return nil
			}
			return []Entry{e}
		}
		got := Diff(list(c.have), list(c.want), c.caps, listNow)
		if len(got.Add) != c.add || len(got.Remove) != c.remove || got.drift() != c.drift {
			t.Errorf("%s: %d to add, %d to remove, drift %d; want %d, %d, %d", c.what, len(got.Add), len(got.Remove), got.drift(), c.add, c.remove, c.drift)
		}
	}
}
