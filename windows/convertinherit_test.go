package windows

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWindowsSayAsOfWhenTheyAreCollected(t *testing.T) {
	const at = 1_000_000
	for _, c := range []struct {
		name     string
		old, now Series
		want     []int64
	}{
		{"the same", series(0, Count, 0, 0, W10m), series(1, Count, 0, 0, W10m), []int64{0}},
		{"shorter", series(0, Count, 0, 0, W10m), series(1, Count, 0, 0, W5m), []int64{0}},
		{"longer", series(0, Count, 0, 0, W5m), series(1, Count, 0, 0, W5m, W10m), []int64{0, at - 300}},
		{"other panes", series(0, Count, 0, 0, W10m), series(1, Count, 0, 0, W1h), []int64{at}},
		{"another condition", series(0, Count, 0, 0, W10m), series(1, Count, 1, 0, W10m), []int64{at}},
		{"another field", series(0, Distinct, 0, 0, W10m), series(1, Distinct, 0, 1, W10m), []int64{at}},
		{"another kind", series(0, Sum, 0, 0, W10m), series(1, MinMax, 0, 0, W10m), []int64{at}},
		{"a sketch, coarser", series(0, Distinct, 0, 0, W1m, W6h), series(1, Distinct, 0, 0, W1h), []int64{0}},
		{"a sketch, longer", series(0, Distinct, 0, 0, W1h), series(1, Distinct, 0, 0, W24h), []int64{at - 3600}},
		{"a sketch, finer", series(0, Distinct, 0, 0, W6h), series(1, Distinct, 0, 0, W1h, W6h), []int64{at, 0}},
		{"wider kinds", kinds(1, series(0, Count, 0, 0, W1h)), kinds(3, series(1, Count, 0, 0, W1h)), []int64{0}},
		{"all kinds", kinds(1, series(0, Count, 0, 0, W1h)), series(1, Count, 0, 0, W1h), []int64{at}},
		{"fewer kinds", kinds(3, series(0, Count, 0, 0, W1h)), kinds(2, series(1, Count, 0, 0, W1h)), []int64{0}},
		{"not all kinds", series(0, Count, 0, 0, W1h), kinds(2, series(1, Count, 0, 0, W1h)), []int64{0}},
	} {
		old, now := layoutOf(ipTable(c.old)), layoutOf(ipTable(c.now))
		if err := now.Inherit(old, at); err != nil {
			t.Fatal(err)
		}
		if got := now.Tables[0].Series[0].Since; !slices.Equal(got, c.want) {
			t.Errorf("%s: since %v, want %v", c.name, got, c.want)
		}
	}
	// Kinds that join say when; the others stay as they were.
	x, y, z := layoutOf(ipTable(kinds(1, series(0, Count, 0, 0, W1h)))), layoutOf(ipTable(kinds(5, series(0, Count, 0, 0, W1h)))),
		layoutOf(ipTable(kinds(7, series(0, Count, 0, 0, W1h))))
	last := layoutOf(ipTable(kinds(3, series(0, Count, 0, 0, W1h))))
	for i, l := range []*Layout{y, z, last} {
		if err := l.Inherit([]*Layout{x, y, z}[i], int64(5000+1000*i)); err != nil {
			t.Fatal(err)
		}
	}
	s := &z.Tables[0].Series[0]
	if got, want := []int64{s.KindsSince(1), s.KindsSince(4), s.KindsSince(7), s.since(0)}, []int64{0, 5000, 6000, 0}; !slices.Equal(got, want) {
		t.Errorf("kinds joined at %v, want %v", got, want)
	}
	if got, want := last.Tables[0].Series[0].Joined, []int64{0, 6000}; !slices.Equal(got, want) {
		t.Errorf("kinds joined at %v, want %v", got, want)
	}
	// What began at one reload is as old as that at the next.
	a, b, c := layoutOf(ipTable()), layoutOf(ipTable(series(0, Count, 0, 0, W1h))), layoutOf(ipTable(series(1, Count, 0, 0, W30m, W1h)))
	if err := b.Inherit(a, 5000); err != nil {
		t.Fatal(err)
	}
	if err := c.Inherit(b, 6000); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Tables[0].Series[0].Since, []int64{5000, 5000}; !slices.Equal(got, want) {
		t.Errorf("since %v, want %v", got, want)
	}
}

func kinds(mask uint32, s Series) Series {
	s.Kinds = mask
	return s
}

func TestTablesKeepTheirNumbersOnDisk(t *testing.T) {
	table := func(name string) Table { return Table{Name: name, Fields: convertFields[:1]} }
	a := layoutOf(table("a"), table("b"), table("c"))
	b := layoutOf(table("c"), table("d"), table("a"))
	c := layoutOf(table("b"), table("d"))
	for _, l := range []struct{ old, now *Layout }{{a, b}, {b, c}} {
		if err := l.now.Inherit(l.old, l.old.Began+10); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(b.Tables[0].Store, b.Tables[1].Store, b.Tables[2].Store, b.NextStore, b.Serial, b.Began); got != "2 3 0 4 1 10" {
		t.Errorf("numbers, next, serial, began %s, want 2 3 0 4 1 10", got)
	}
	if got := fmt.Sprint(c.Tables[0].Store, c.Tables[1].Store, c.NextStore); got != "4 3 5" {
		t.Errorf("numbers and next %s, want 4 3 5: b came back and is another", got)
	}
	conv, err := NewConversion(a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Tables {
		if to, ok := conv.Table(i); ok || to >= 0 {
			t.Errorf("table %s goes to %d, want nowhere", a.Tables[i].Name, to)
		}
		if got := conv.Blob(nil, i, []byte{1, 0, 0, 0, 0}); got != nil || conv.Keeps(i) {
			t.Errorf("of table %s %x is kept", a.Tables[i].Name, got)
		}
	}
	if conv, err = NewConversion(b, c); err != nil {
		t.Fatal(err)
	}
	if to, ok := conv.Table(1); to != 1 || !ok || !conv.Keeps(1) {
		t.Errorf("table d goes to %d %v and is kept as it is: %v", to, ok, conv.Keeps(1))
	}
}

func TestAKeyThatExpiredUnderAnEarlierLayoutStaysSo(t *testing.T) {
	short, long := layoutOf(ipTable(series(0, Count, 0, 0, W1m))), layoutOf(ipTable(series(0, Count, 0, 0, W7d)))
	c := conversion(t, 5000, short, long)
	if c.Expired(0, 5000-61) || !c.Expired(0, 5000-62) {
		t.Error("a key is kept for 61 s, until the layout ends, want no more and no less")
	}
}

func TestWhatCannotBeInheritedIsAnError(t *testing.T) {
	good := func() *Layout { return layoutOf(ipTable(series(0, Count, 0, 0, W1m))) }
	for _, c := range []struct {
		name, want string
		spoil      func(old, now *Layout)
		tick       int64
	}{
		{"no name", "table 0 has no name", func(_, now *Layout) { now.Tables[0].Name = "" }, 10},
		{"a name twice", `two tables are named "ip"`, func(_, now *Layout) { now.Tables = append(now.Tables, now.Tables[0]) }, 10},
		{"a number twice", "two tables have number 0", func(old, _ *Layout) { old.Tables = append(old.Tables, Table{Name: "x"}) }, 10},
		{"a number too large", `table "ip": number 7, must be less than 1`, func(old, _ *Layout) { old.Tables[0].Store = 7 }, 10},
		{"a series without a name", `series 0: name ""`, func(_, now *Layout) { now.Tables[0].Series[0].Name = "" }, 10},
		{"beginnings", "2 beginnings of 1 windows", func(old, _ *Layout) { old.Tables[0].Series[0].Since = []int64{1, 2} }, 10},
		{"back in time", "at tick 10, must be at least 20", func(old, _ *Layout) { old.Began = 20 }, 10},
		{"no number left", "all 65534 numbers for tables were used", func(old, now *Layout) { old.NextStore, now.Tables[0].Name = maxStores+1, "new" }, 10},
	} {
		old, now := good(), good()
		c.spoil(old, now)
		if err := now.Inherit(old, c.tick); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	old, now := good(), good()
	old.NextStore, now.Tables[0].Name = maxStores, "new"
	if err := now.Inherit(old, 10); err != nil || now.Tables[0].Store != maxStores {
		t.Errorf("the last number: %d, error %v", now.Tables[0].Store, err)
	}
	if _, err := NewConversion(good(), layoutOf(ipTable())); err == nil || !strings.Contains(err.Error(), "layout 0 behind layout 0") {
		t.Errorf("two first layouts: error %v", err)
	}
	if _, err := NewConversion(); err == nil {
		t.Error("a conversion of no layouts")
	}
	bad := good()
	bad.Tables[0].Series[0].Bit = 64
	if _, err := NewConversion(bad); err == nil || !strings.Contains(err.Error(), "bit 64") {
		t.Errorf("a layout that is none: error %v", err)
	}
}

func TestALayoutThatKeepsTheSameGoesOnAsItIs(t *testing.T) {
	layout := func(ws ...Window) *Layout { return layoutOf(ipTable(kinds(3, series(0, Count, 0, 0, ws...)))) }
	a, b, again, other := layout(W5m), layout(W5m, W10m), layout(W5m, W10m), layout(W10m)
	for i, l := range []*Layout{b, again, other} {
		if err := l.Inherit([]*Layout{a, b, again}[i], int64(5000+1000*i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(b.Serial, b.Began, again.Serial, again.Began, other.Serial, other.Began), "1 5000 1 5000 2 7000"; got != want {
		t.Errorf("serials and beginnings %s, want %s", got, want)
	}
	c, err := NewConversion(a, b, again, other)
	if err != nil || c.Keeps(0) {
		t.Errorf("a conversion through it: error %v", err)
	}
	if c, err = NewConversion(b, again); err != nil || !c.Keeps(0) {
		t.Errorf("a conversion to itself: error %v", err)
	}
}
