package windows

import (
	"encoding/binary"
	"testing"
)

// TestPlantedKeysSurviveAFlood has a thousand keys come back among a million
// that never do, in a unit that has room for a tenth of these.
func TestPlantedKeysSurviveAFlood(t *testing.T) {
	const (
		planted   = 1000
		threshold = 20 // events in ten minutes that a rule demands
		every     = 15 // seconds between those of a planted key: 40 in ten minutes
		seconds   = 1200
		fresh     = 1_000_000 / seconds
		limit     = 11 << 20
	)
	l := benchLayout()
	u := NewUnit(l, limit)
	u.rushes = 1 << 60 // so fast that it would be turned away before the limit is met
	begin := int64(1_700_000_000)
	end := begin + seconds - 1
	recent, all := make([]int, planted), make([]int, planted) // events
	shed, nears, degraded, most, lost := 0, 0, 0, int64(0), 0
	var head int
	for n := range int64(seconds) {
		tick := begin + n
		var d Deltas
		add := func(k Key) {
			d.Events = append(d.Events, Origin{Second: tick - 1, Values: uint32(len(d.Values))})
			d.Obs = append(d.Obs, mix(k.Lo), mix(uint64(n)))
			for range l.Fields {
				d.Values = append(d.Values, 4)
				d.Values = binary.LittleEndian.AppendUint32(d.Values, uint32(k.Lo))
			}
			d.Rows = append(d.Rows, Row{Key: k, Mask: 3, Event: uint32(len(d.Events) - 1)})
		}
		for i := range fresh {
			add(testKey(0, 1_000_000+int(n)*fresh+i))
		}
		for i := range planted {
			if start := int64(i % 400); n >= start && (n-start)%every == 0 { // some begin in the middle of it
				add(testKey(0, i))
				all[i]++
				if tick-1 >= W10m.Start(end) {
					recent[i]++
				}
			}
		}
		u.Fold(tick, d.Rows, []*Deltas{&d})
		most = max(most, u.Bytes())
		if u.Pressed() {
			for _, touch := range u.Touched() {
				if u.Total(touch.Slot, 0, W10m, tick) >= threshold/2 {
					u.Near(touch.Slot)
					nears++
				}
			}
		}
		before := u.lines.shed
		if u.Shed(tick).Keys > 0 {
			shed++
			if u.lines.shed[nearClass] != before[nearClass] {
				t.Fatalf("tick %d: near keys were shed", n)
			}
		}
		if u.Degraded() {
			degraded++
		}
		head = max(head, len(u.AppendHead(nil)))
	}
	for i := range planted {
		slot, ok := u.Find(testKey(0, i))
		if !ok {
			t.Errorf("planted key %d did not survive", i)
			continue
		}
		if got := int(u.Total(slot, 0, W10m, end)); got != recent[i] {
			t.Errorf("planted key %d: %d events in ten minutes, want %d", i, got, recent[i])
		}
		got := int(u.Total(slot, 0, W24h, end))
		if got > all[i] || got < all[i]-1 {
			t.Errorf("planted key %d: %d events, want %d, or one less for the tick in which it was turned away", i, got, all[i])
		} else if got < all[i] {
			lost++
		}
	}
	c := u.Counters()
	t.Logf("shed %d times, degraded %d of %d s, %d near, %d planted keys lack one event, at most %d bytes, head %d bytes, %+v",
		shed, degraded, seconds, nears, lost, most, head, c)
	if shed == 0 || c.Turned == 0 || nears == 0 || degraded == 0 || lost == 0 {
		t.Error("the limit was not tried")
	}
	if most > limit*105/100 {
		t.Errorf("%d bytes accounted, must be at most %d", most, limit*105/100)
	}
}

func TestAUnitIsDegradedUntilAFloodIsOver(t *testing.T) {
	const limit = 400_000
	u := NewUnit(testLayout(), limit)
	tick := int64(700_000)
	for i := 0; u.Counters().Evicted == 0; i++ {
		tick += 60
		flood(u, tick, 500*i, 500)
		u.Shed(tick)
	}
	if !u.Degraded() || !u.Pressed() {
		t.Fatal("not degraded behind a flood")
	}
	if size := u.door.bytes(); size != leastDoor {
		t.Errorf("a bitmap of %d bytes under a limit of %d, want %d", size, limit, leastDoor)
	}
	known := u.Touched()[0].Key
	since := tick
	for ; tick < since+calmFor-1; tick++ {
		flood(u, tick, 1_000_000, 1)
		if _, ok := u.Find(testKey(0, 1_000_000)); ok != (tick > since) {
			t.Fatalf("a new key in its %d. tick: there %v", tick-since+1, ok)
		}
		u.Shed(tick)
		if !u.Degraded() {
			t.Fatalf("calm again after %d s", tick-since)
		}
	}
	// A snapshot remembers who was turned away.
	flood(u, tick, 2_000_000, 1)
	u = restored(t, u)
	flood(u, tick, 2_000_000, 1)
	if _, ok := u.Find(testKey(0, 2_000_000)); !ok {
		t.Error("a key that came again was turned away")
	}
	flood(u, since+calmFor, 3_000_000, 1)
	if _, ok := u.Find(testKey(0, 3_000_000)); !ok || u.Degraded() || u.door.bytes() != 0 {
		t.Errorf("after ten calm minutes: degraded %v, a new key is there %v", u.Degraded(), ok)
	}
	if _, ok := u.Find(known); !ok {
		t.Error("a known key is gone")
	}
}

func TestADoorkeeperIsBoundedAndForgets(t *testing.T) {
	for _, c := range []struct {
		limit int64
		size  int
	}{{1, leastDoor}, {512 << 10, leastDoor}, {1 << 20, 2 * leastDoor}, {128 << 20, mostDoor}, {1 << 50, mostDoor}} {
		if d := newDoorkeeper(c.limit); d.bytes() != c.size || len(d.older) != len(d.newer) {
			t.Errorf("limit %d: a bitmap of %d bytes, want %d", c.limit, d.bytes(), c.size)
		}
	}
	d := newDoorkeeper(4 << 20)
	bits := 8 * d.bytes()
	wrong, turns := map[int]bool{}, 0
	for i := range 4 * bits {
		before := d.set
		if d.admits(testKey(0, i)) {
			wrong[i] = true
		}
		if d.set < before {
			turns++
		}
		if d.set >= bits/2 {
			t.Fatalf("%d of %d bits are set", d.set, bits)
		}
		if old := i - bits/16; old >= 0 && !wrong[old] && !d.admits(testKey(0, old)) {
			t.Fatalf("key %d was forgotten after %d others", old, bits/16)
		}
	}
	// Those of a flood that pass for known are kept, and written: they must be few.
	if turns < 10 || len(wrong) > 4*bits/100 {
		t.Errorf("%d turns, %d of %d new keys passed for known, must be at most one in 100", turns, len(wrong), 4*bits)
	}
	back := readDoorkeeper(d.append(nil))
	if back.set != d.set || !back.admits(testKey(0, 4*bits-1)) {
		t.Error("a doorkeeper is not read as it was written")
	}
	if d.admits(testKey(0, 0)) && !wrong[0] {
		t.Error("the first key was never forgotten")
	}
	t.Logf("%d of %d", len(wrong), 4*bits)
}

// TestAFloodIsTurnedAwayBeforeItFillsTheDisk has new keys come faster than a
// unit takes in, far below its limit, and stop again.
func TestAFloodIsTurnedAwayBeforeItFillsTheDisk(t *testing.T) {
	const limit = 1 << 30
	l := benchLayout()
	u := NewUnit(l, limit)
	n := 0
	fold := func(tick int64, fresh int) {
		var d Deltas
		for range fresh {
			d.Events = append(d.Events, Origin{Second: tick - 1, Values: uint32(len(d.Values))})
			d.Obs = append(d.Obs, 1, 2)
			for range l.Fields {
				d.Values = append(d.Values, 1, byte(n))
			}
			n++
			d.Rows = append(d.Rows, Row{Key: testKey(0, n), Mask: 3, Event: uint32(len(d.Events) - 1)})
		}
		u.Fold(tick, d.Rows, []*Deltas{&d})
	}
	begin := int64(1_700_000_040) // a whole minute
	most := int(int64(limit/rushShare) / minKeyBytes)
	for s := range int64(60) {
		fold(begin+1+s, most/60)
	}
	if u.Degraded() || u.Len() != most/60*60 {
		t.Fatalf("%d keys in a minute, degraded %v: want all of %d, and not degraded", u.Len(), u.Degraded(), most/60*60)
	}
	for s := range int64(300) {
		fold(begin+61+s, 2*most/60)
	}
	if !u.Degraded() || u.Len() > 2*most+n/10 || u.Counters().Turned == 0 || u.Counters().Evicted > 0 {
		t.Fatalf("%d keys after a flood of %d, degraded %v, %+v: want that most were turned away", u.Len(), n, u.Degraded(), u.Counters())
	}
	for s := int64(0); s <= calmFor; s++ {
		fold(begin+361+s, 1)
	}
	if u.Degraded() {
		t.Error("it is degraded ten minutes after the flood")
	}
}
