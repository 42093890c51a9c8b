package state

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestPrefixesAreThoseOfTheSegmentsOfARun(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const most = 1 << 18
	for range 300 {
		from := rng.Uint32N(most)
		until := from + rng.Uint32N(most-from)
		prefixes := segmentPrefixes(from, until)
		has := func(id uint32) (n int) {
			for _, p := range prefixes {
				if bytes.HasPrefix(appendSegmentKey(nil, id), p) {
					n++
				}
			}
			return n
		}
		for _, id := range []uint32{from, from + 1, (from + until) / 2, until - 1, until, until + 1, from - 1, 0, rng.Uint32N(most), 1 << 31} {
			want := 0
			if id >= from && id < until {
				want = 1
			}
			if got := has(id); got != want {
				t.Fatalf("segment %d is named %d times by those of %d up to %d", id, got, from, until)
			}
		}
		if len(prefixes) > 3*2*255 {
			t.Fatalf("%d prefixes for %d up to %d", len(prefixes), from, until)
		}
	}
}

func TestTheOldestSegmentsAreEmptiedWhereThereIsTooMuchGarbage(t *testing.T) {
	sizes := sizes{slack: 100, emptied: 50}
	for name, c := range map[string]struct {
		segments segments
		want     uint32
	}{
		"none":                   {nil, 0},
		"no garbage":             {segments{{1, 500, 500}, {2, 500, 500}}, 0},
		"as much as there may":   {segments{{1, 820, 450}, {2, 0, 0}}, 0},
		"a byte more":            {segments{{1, 371, 1}, {2, 450, 449}}, 2},
		"until there is little":  {segments{{1, 120, 20}, {2, 130, 30}, {3, 700, 300}, {4, 100, 50}}, 3},
		"no more than its share": {segments{{1, 70, 60}, {2, 70, 60}, {3, 480, 80}}, 2},
		"all at once":            {segments{{1, 70, 60}, {2, 70, 60}, {3, 1000, 80}}, 4},
	} {
		if got := c.segments.tail(sizes); got != c.want {
			t.Errorf("%s: before segment %d, must be %d", name, got, c.want)
		}
	}
	var many segments
	for i := range uint32(segmentsMax + 3) {
		many = append(many, segment{i + 1, 10, 10})
	}
	if got := many.tail(sizes); got != 4 {
		t.Errorf("of too many segments those before %d are emptied, must be 4", got)
	}
}

// TestGarbageStaysWithinItsBound has a table that never changes stand between one
// that always does: the segments that both are in must be emptied again and again.
func TestGarbageStaysWithinItsBound(t *testing.T) {
	w := newWorld(t, 2)
	const cold, hot, touched = 3000, 3000, 300
	commit := func(change func(ch changes)) {
		c := w.s.Begin(keepTest)
		ch := changes{}
		change(ch)
		ch.put(t, c)
		w.serial++
		w.m.last, w.m.ok = Flip{Tick: w.serial}, true
		if err := c.Commit(t.Context(), w.m.last); err != nil {
			t.Fatal(err)
		}
		w.count()
	}
	set := func(ch changes, table uint16, k Key) {
		v := bytes.Repeat([]byte{byte(w.rng.Uint32N(100))}, 100)
		w.m.values[0][table][k] = v
		ch.set(w.s, 0, table, k, v)
	}
	w.m.values[0][1], w.m.values[0][2] = map[Key][]byte{}, map[Key][]byte{}
	var keys []Key
	commit(func(ch changes) {
		for range cold {
			set(ch, 1, randomKey(w.rng, 0))
		}
		for range hot {
			keys = append(keys, randomKey(w.rng, 0))
			set(ch, 2, keys[len(keys)-1])
		}
	})
	if err := w.s.Begin(nil).Commit(t.Context(), w.m.last); err != nil {
		t.Fatal(err)
	}
	emptied, reclaimed := 0, 0
	before, dirty := w.s.Stats().Written, int64(0)
	for range 150 {
		from := w.s.waste.from
		if w.s.current.Load().segments.tail(w.cfg.sizes) > 0 {
			emptied++
		}
		commit(func(ch changes) {
			for range touched {
				set(ch, 2, keys[w.rng.IntN(hot)])
				dirty += keyLen + 100
			}
		})
		if w.s.waste.from > from {
			reclaimed++
		}
		st := w.s.Stats()
		if limit := 5*st.Bytes/2 + 3*w.cfg.sizes.slack + 3*w.cfg.sizes.waste; st.Garbage > limit {
			t.Fatalf("%d bytes of garbage beside %d that are read, may be %d", st.Garbage, st.Bytes, limit)
		}
	}
	if emptied < 5 || reclaimed < 5 {
		t.Errorf("segments were emptied in %d checkpoints and given back in %d", emptied, reclaimed)
	}
	written := w.s.Stats().Written - before
	t.Logf("emptied in %d checkpoints, given back in %d; %.2f bytes written for each that changed", emptied, reclaimed, float64(written)/float64(dirty))
	if written > 6*dirty {
		t.Errorf("%d bytes were written for %d that changed", written, dirty)
	}
	w.reopen(nil)
	w.m.compare(t, w.s, w.rng)
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSegmentsThatAReaderHoldsAreNotGivenBack(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(9, 9))
	keys := make([]Key, 2000)
	for i := range keys {
		keys[i] = randomKey(rng, 0)
	}
	commit := func(tick byte) {
		c := s.Begin(nil)
		ch := changes{}
		for _, k := range keys {
			ch.set(s, 0, 1, k, bytes.Repeat([]byte{tick}, 100))
		}
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: int64(tick)}); err != nil {
			t.Fatal(err)
		}
	}
	commit(1)
	for tick := range byte(4) {
		commit(2 + tick)
	}
	held, err := s.hold()
	if err != nil {
		t.Fatal(err)
	}
	from := s.waste.from
	if from < 2 {
		t.Fatal("nothing was given back while nobody held it")
	}
	for tick := range byte(6) {
		commit(10 + tick)
	}
	if held.segments[0].id < s.waste.from {
		t.Errorf("segments before %d were given back, %d is held", s.waste.from, held.segments[0].id)
	}
	count := 0
	err = held.scan(0, 1, held.units[0].tables[1], func(_ place, live []change) error {
		for _, c := range live {
			if c.value[0] != 5 {
				return fmt.Errorf("a value of checkpoint %d, must be of 5", c.value[0])
			}
			count++
		}
		return nil
	})
	if err != nil || count != len(keys) {
		t.Errorf("%d values, must be %d; error %v", count, len(keys), err)
	}
	held.release()
	commit(20)
	if s.waste.from <= held.segments[0].id {
		t.Errorf("segments from %d on are still there, and nobody holds them", s.waste.from)
	}
}

func TestWhatCheckpointsLeaveThatWereGivenUpGoes(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(10, 10))
	for range 40 {
		c := s.Begin(nil)
		ch := changes{}
		for range 1000 {
			ch.set(s, 0, 1, randomKey(rng, 0), make([]byte, 100))
		}
		ch.put(t, c)
		flushed(t, c)
		c.Abort()
		var there int64
		txn := s.db.NewTransaction(false)
		it := newIterator(txn)
		for it.Rewind(); it.Valid(); it.Next() {
			if err := it.Item().Value(func(record []byte) error {
				there += unpackedSize(it.Item().Key(), record)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		it.Close()
		txn.Discard()
		if got := s.Stats().Garbage; there > 600<<10 || got < there-(1<<10) {
			t.Fatalf("%d bytes are there, and %d are said to be garbage", there, got)
		}
	}
}

func TestAChunkInThePlaceOfAnotherIsSeen(t *testing.T) {
	b := packChunk(7, 3, appendBlobEntry(nil, []byte("piece")), new([]byte))
	for at, want := range map[spot]bool{{segment: 7, number: 3}: true, {segment: 7, number: 4}: false, {segment: 8, number: 3}: false} {
		if _, err := openChunk(b, at.segment, at.number, nil); (err == nil) != want || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("read as chunk %d of segment %d: error %v", at.number, at.segment, err)
		}
	}
	if _, err := openChunk(append(b, 0), 7, 3, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a byte behind it: error %v", err)
	}
}

func TestAPacedCheckpointRestsUntilItIsToHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Checkpoint{paced: make(chan struct{}, 1)}
		w := &writer{c: c, worked: time.Now()}
		rest := func(worked time.Duration) time.Duration {
			w.worked = time.Now().Add(-worked)
			began := time.Now()
			w.rest()
			return time.Since(began)
		}
		if got := rest(time.Second); got != 0 {
			t.Errorf("rests %v without a pace", got)
		}
		c.Pace(0.25)
		for worked, want := range map[time.Duration]time.Duration{workPiece / 2: 0, 2 * time.Millisecond: 6 * time.Millisecond, time.Hour: mostRest} {
			if got := rest(worked); got != want {
				t.Errorf("behind %v of work it rests %v, must be %v", worked, got, want)
			}
		}
		time.AfterFunc(time.Millisecond, func() { c.Pace(1) })
		if got := rest(time.Hour); got != time.Millisecond {
			t.Errorf("it rests %v, and was to hurry behind 1ms", got)
		}
		if got := rest(time.Hour); got != 0 {
			t.Errorf("rests %v at full speed", got)
		}
		c.Pace(-1)
		if got := rest(workPiece / 2 * 3); got != mostRest {
			t.Errorf("rests %v at the slowest pace", got)
		}
	})
}

func TestAPacedCheckpointIsCommitted(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(11, 11))
	c := s.Begin(keepTest)
	c.Pace(0.5)
	ch := changes{}
	for range 3000 {
		ch.set(s, 0, 1, randomKey(rng, 0), make([]byte, 100))
	}
	ch.put(t, c)
	if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
		t.Fatal(err)
	}
	c = s.Begin(nil)
	c.Pace(0.1)
	c.Abort()
	c.Pace(1) // behind its end
	if err := c.Put(0, 1, 0, AppendChange(nil, Key{1, 2}, nil)); !errors.Is(err, errAborted) {
		t.Errorf("putting behind the end: error %v", err)
	}
	if got := s.Stats().Keys; got < 2990 {
		t.Errorf("%d keys, must be 3000", got)
	}
}
