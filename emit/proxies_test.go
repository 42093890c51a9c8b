package emit

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"weir/event"
	"weir/internal/proxytest"
)

// settingFor is what a point with these endpoints is made from.
func settingFor(t testing.TB, actions []event.Action, patterns ...string) Setting {
	t.Helper()
	s := Setting{
		Name: "proxy", Actions: actions, Path: func(p string) string { return p },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	var err error
	if s.Endpoints, _, err = EndpointTable(patterns, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// inForce is an entry until an end.
func inForce(prefix, endpoint string, until time.Time) Entry {
	e := Entry{Prefix: netip.MustParsePrefix(prefix), Action: event.Block, Until: until.UTC().Truncate(time.Second), ID: "5f1c"}
	if endpoint != "" {
		e.Endpoint = endpointID(endpoint)
	}
	return e
}

func listOf(es ...Entry) List {
	l := List{Entries: es, Meant: true}
	l.Sort()
	return l
}

// mustApply applies a list and demands that it is read back.
func mustApply(t *testing.T, p Point, want List) {
	t.Helper()
	if err := p.Apply(t.Context(), List{}, want); err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, want)
}

func mustHold(t *testing.T, p Point, want List) {
	t.Helper()
	if n := differences(t, p, want); n != 0 {
		t.Fatalf("%d entries differ from those applied", n)
	}
}

// differences reads a point and compares as the reconciler does.
func differences(t *testing.T, p Point, want List) int {
	t.Helper()
	have, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	wanted := slices.DeleteFunc(slices.Clone(want.Entries), func(e Entry) bool { return !e.Until.After(now) })
	c := Diff(have.Entries, wanted, p.Capabilities(), now)
	return len(c.Add) + len(c.Remove) - c.Over
}

// manyEntries returns n entries on different addresses.
func manyEntries(n int, until time.Time) List {
	l := List{Meant: true, Entries: make([]Entry, n)}
	until = until.UTC().Truncate(time.Second)
	for i := range l.Entries {
		a := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)})
		l.Entries[i] = Entry{Prefix: netip.PrefixFrom(a, 32), Action: event.Block, Until: until, ID: fmt.Sprintf("%032x", i)}
	}
	l.Sort()
	return l
}

// overByItself demands that a client is refused before an end and served after
// it, with nobody changing anything.
func overByItself(t *testing.T, url, address string, end time.Time) {
	t.Helper()
	const slack = 250 * time.Millisecond // a proxy's clock stands while it is not scheduled
	for refused := 0; ; {
		asked := time.Now()
		status, _ := proxytest.Ask(t, url, address, "GET /")
		answered := time.Now()
		switch {
		case status == http.StatusForbidden && asked.After(end.Add(slack)):
			t.Fatalf("still refused %s after its end", asked.Sub(end))
		case status == http.StatusForbidden:
			refused++
		case status != http.StatusOK || answered.Before(end):
			t.Fatalf("%d, %s before its end", status, end.Sub(answered))
		case refused == 0:
			t.Fatal("never refused")
		default:
			return
		}
	}
}
