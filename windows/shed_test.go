package windows

import (
	"bytes"
	"slices"
	"testing"
)

// flood folds n keys that were never seen before.
func flood(u *Unit, tick int64, first, n int) {
	var d Deltas
	for i := range n {
		d.Events = append(d.Events, Origin{Second: tick - 1})
		d.Obs = append(d.Obs, mix(uint64(i)), 5, 7)
		d.Rows = append(d.Rows, Row{Key: testKey(0, first+i), Mask: 3, Event: uint32(i)})
	}
	d.Values = append(d.Values, 4, 203, 0, 113, 9, 1, 'e', 1, 'f')
	u.Fold(tick, d.Rows, []*Deltas{&d})
}

func TestAFloodDrivesItselfOut(t *testing.T) {
	const limit = 400_000
	st := newStream(1, testLayout(), 1)
	u := NewUnit(st.l, limit)
	tick := int64(500_000)
	for range 20 { // a hundred keys that return
		tick++
		flood(u, tick, 0, 100)
	}
	most := int64(0)
	for i := range 60 {
		tick++
		flood(u, tick, 1000+i*5000, 5000)
		most = max(most, u.Bytes())
		before := u.Bytes()
		shed := u.Shed(tick)
		if before > limit && u.Bytes() > limit*8/10 {
			t.Fatalf("%d bytes after shedding, want at most %d", u.Bytes(), limit*8/10)
		}
		if shed.Bytes != before-u.Bytes() || before <= limit && shed.Keys > 0 {
			t.Fatalf("shed %+v from %d to %d bytes", shed, before, u.Bytes())
		}
	}
	if most > limit*105/100 {
		t.Errorf("%d bytes accounted, must be at most %d", most, limit*105/100)
	}
	for i := range 100 {
		if _, ok := u.Find(testKey(0, i)); !ok {
			t.Fatalf("key %d, touched 20 times, was shed before keys touched once", i)
		}
	}
	c := u.Counters()
	if c.Refused == 0 || c.Evicted == 0 || c.Turned == 0 || int(c.Refused+c.Evicted+c.Turned)+u.Len() != 100+60*5000 {
		t.Errorf("counters %+v and %d keys do not add up to %d", c, u.Len(), 100+60*5000)
	}
	if held := u.arena.held; held > 2*limit {
		t.Errorf("%d bytes of blobs held under a limit of %d", held, limit)
	}
}

// risk is how dispensable a key is, as the test reckons it.
type risk struct {
	key         Key
	ticks, last int64
	near        bool
}

// before reports whether r goes before o, as of tick; keys that are equal in
// this go together.
func (r risk) before(o risk, tick int64) int {
	class := func(r risk) int64 {
		if r.near {
			return 1 << 20
		}
		for _, most := range []int64{1, 2, 4, 8, 16, 64} {
			if r.ticks <= most {
				return most
			}
		}
		return 1 << 19
	}
	bin := func(r risk) int64 {
		if r.last/3600 < tick/3600-1 {
			return r.last / 3600 * 60
		}
		return r.last / 60
	}
	if class(r) != class(o) {
		return int(class(r) - class(o))
	}
	return int(bin(r) - bin(o))
}

func TestSheddingTakesTheRightKeys(t *testing.T) {
	st := newStream(1, testLayout(), 1)
	u := NewUnit(st.l, 0)
	var want []risk
	tick := int64(500_000)
	touched := map[int]*risk{}
	for n := range 250 {
		if tick += 1 + st.rng.Int64N(60); n == 5 || n == 50 {
			tick += 20_000 // so that some are in bins of hours
		}
		for range 30 {
			i := int(3000 * st.rng.Float64() * st.rng.Float64() * st.rng.Float64())
			r := touched[i]
			if r == nil {
				r = &risk{key: testKey(0, i)}
				touched[i] = r
			}
			if r.last != tick {
				flood(u, tick, i, 1)
				r.ticks, r.last, r.near = r.ticks+1, tick, false
				if st.rng.IntN(20) == 0 {
					slot, _ := u.Find(r.key)
					u.Near(slot)
					r.near = true
				}
			}
		}
	}
	for _, r := range touched {
		want = append(want, *r)
	}
	slices.SortFunc(want, func(a, b risk) int { return a.before(b, tick) })
	rounds, nears := 0, 0
	for u.Len() > 20 {
		rounds++
		before := u.Bytes()
		limit := before - 1
		u.SetLimit(limit)
		n := u.Shed(tick).Keys
		if n == 0 || before-u.Bytes() < before-limit/100*80 {
			t.Fatalf("%d keys of %d bytes shed, want 20 %% of %d", n, before-u.Bytes(), limit)
		}
		if n < len(want) && want[n-1].before(want[n], tick) == 0 {
			t.Fatal("keys were kept whose like were shed")
		}
		for _, r := range want[:n] {
			if r.near {
				nears++
			}
			if _, ok := u.Find(r.key); ok {
				t.Fatalf("key with %d ticks, idle since %d, near %v, was passed over", r.ticks, r.last, r.near)
			}
		}
		want = want[n:]
		if len(want) != u.Len() {
			t.Fatalf("%d keys left, want %d", u.Len(), len(want))
		}
		for _, r := range want {
			if _, ok := u.Find(r.key); !ok {
				t.Fatalf("key with %d ticks, idle since %d, near %v, was shed too early", r.ticks, r.last, r.near)
			}
		}
	}
	if rounds < 5 || nears == 0 {
		t.Errorf("%d rounds, %d near keys: not much was tried", rounds, nears)
	}
}

func TestIdleKeysAreDeleted(t *testing.T) {
	st := newStream(1, testLayout(), 1)
	u := NewUnit(st.l, 0)
	flood(u, 1_000_000, 0, 10)
	retain := st.l.Tables[0].Retain
	u.Expire(1_000_000 + retain)
	if u.Len() != 10 {
		t.Fatalf("%d keys within retention, want 10", u.Len())
	}
	flood(u, 1_000_000+retain, 0, 1)
	u.Expire(1_000_000 + retain + secondsOfHour)
	if u.Len() != 1 || u.Counters().Expired != 9 {
		t.Fatalf("%d keys, %d expired, want 1 and 9", u.Len(), u.Counters().Expired)
	}
	u.Expire(1_000_000 + 3*retain)
	if u.Len() != 0 || u.Bytes() != 0 {
		t.Errorf("%d keys, %d bytes, want none", u.Len(), u.Bytes())
	}
}

func TestAKeyThatIsFullRefusesMoreButStaysRight(t *testing.T) {
	l := testLayout()
	var series []Series
	for range 30 { // thirty sketches do not fit into 64 KiB
		series = append(series, Series{Kind: Distinct, Obs: uint8(len(series) % 3), Windows: []Window{W10s, W7d}})
	}
	l.Tables[0].Series = append(series, Series{Kind: Count, Windows: []Window{W1h}})
	u := NewUnit(l, 0)
	k := testKey(0, 1)
	tick := int64(700_000)
	for range 700 {
		tick += 5
		var d Deltas
		for i := range 40 {
			d.Events = append(d.Events, Origin{Second: tick - 1})
			d.Obs = append(d.Obs, mix(uint64(tick)*40+uint64(i)), mix(uint64(tick)*50+uint64(i)), mix(uint64(tick)*60+uint64(i)))
			d.Rows = append(d.Rows, Row{Key: k, Mask: 1, Event: uint32(i)})
		}
		d.Values = append(d.Values, 1, 'a', 1, 'b', 1, 'c')
		u.Fold(tick, d.Rows, []*Deltas{&d})
	}
	if u.Counters().Full == 0 {
		t.Fatal("the key never was full")
	}
	slot, _ := u.Find(k)
	if got := u.Total(slot, 30, W1h, tick); got != 700*40 {
		t.Errorf("%d rows counted, want %d", got, 700*40)
	}
	restored(t, u)
}

func TestALongValueIsCutAndStillIdentifies(t *testing.T) {
	u := NewUnit(testLayout(), 0)
	long := make([]byte, 3000)
	for i := range long {
		long[i] = "ä"[i%2]
	}
	var d Deltas
	d.Events = []Origin{{Second: 99}}
	d.Obs = []uint64{NoObs, NoObs, NoObs}
	d.Values = append(append([]byte{4, 192, 0, 2, 1, 0xb8, 0x17}, long...), 1, 'f')
	d.Rows = []Row{{Key: testKey(1, 1), Table: 1, Mask: 4}, {Key: testKey(1, 2), Table: 1, Mask: 4}}
	u.Fold(100, d.Rows, []*Deltas{&d})
	var values []string
	for _, touch := range u.Touched() {
		values = append(values, string(u.AppendValues(touch.Slot, nil)[0]))
	}
	if len(values) != 2 || values[0] == values[1] || len(values[0]) > maxValue || len(values[0]) < maxValue-4 {
		t.Errorf("values of %d and %d bytes, want two different ones of about %d", len(values[0]), len(values[1]), maxValue)
	}
	if u.Counters().Cut != 2 {
		t.Errorf("%d cut, want 2", u.Counters().Cut)
	}
}

func TestSecondsOutOfRangeAreCounted(t *testing.T) {
	u := NewUnit(testLayout(), 0)
	flood(u, 0, 0, 3)
	flood(u, 1<<32, 0, 4)
	if u.Len() != 0 || u.Counters().OutOfTime != 7 || len(u.Touched()) != 0 {
		t.Errorf("%d keys, %d out of time, want 0 and 7", u.Len(), u.Counters().OutOfTime)
	}
}

func TestAKeyIdleForTooLongBeginsAnewWhetherOrNotItWasDeleted(t *testing.T) {
	st := newStream(1, testLayout(), 1)
	swept, kept := NewUnit(st.l, 0), NewUnit(st.l, 0)
	retain := st.l.Tables[0].Retain
	for _, tick := range []int64{1_000_000, 1_000_001, 1_010_000 + retain, 1_010_001 + retain} {
		swept.Expire(tick)
		flood(swept, tick, 0, 2)
		flood(kept, tick, 0, 2)
	}
	if swept.Counters().Expired != 2 || kept.Counters().Expired != 0 {
		t.Fatalf("%d and %d keys expired, want 2 and 0", swept.Counters().Expired, kept.Counters().Expired)
	}
	for i := range 2 {
		k := testKey(0, i)
		a, _ := swept.Find(k)
		b, _ := kept.Find(k)
		x, y := swept.index.slot(a), kept.index.slot(b)
		if !bytes.Equal(swept.blob(x), kept.blob(y)) || x.ticks != y.ticks || x.last != y.last {
			t.Errorf("key %d: touched in %d and %d ticks, %d and %d bytes", i, x.ticks, y.ticks, x.size, y.size)
		}
	}
}

// degradedUnit is a unit that has just shed.
func degradedUnit() *Unit {
	u := NewUnit(testLayout(), 50_000)
	for i := range 5 {
		flood(u, 700_000+int64(i), 1000*i, 1000)
		u.Shed(700_000 + int64(i))
	}
	return u
}
