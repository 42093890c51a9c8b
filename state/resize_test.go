package state

import "testing"

func TestAPageThatComesAgainHoldsNothingOfBefore(t *testing.T) {
	w := newWorld(t, 3)
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	w.cfg.sizes = usualSizes // nothing is emptied: what was there before stays in a segment in force
	w.s = mustOpen(t, w.cfg)
	pages := func() int { return w.s.current.Load().units[0].tables[1].pages }
	commit := func(fill func(ch changes)) {
		c := w.s.Begin(nil)
		ch := changes{}
		fill(ch)
		ch.put(t, c)
		w.serial++
		w.m.last, w.m.ok = Flip{Tick: w.serial}, true
		if err := c.Commit(t.Context(), w.m.last); err != nil {
			t.Fatal(err)
		}
		w.count()
	}
	insert := func(of func(k Key) bool) {
		commit(func(ch changes) {
			if k := (Key{Hi: 1}); w.m.values[0][2][k] == nil { // it keeps the first segment
				w.m.values[0][2][k] = []byte("anchor")
				ch.set(w.s, 0, 2, k, w.m.values[0][2][k])
			}
			for len(w.m.values[0][1]) < 1500 {
				if k := randomKey(w.rng, 0); of(k) {
					w.m.values[0][1][k] = make([]byte, 100)
					ch.set(w.s, 0, 1, k, w.m.values[0][1][k])
				}
			}
		})
	}
	w.m.values[0][1], w.m.values[0][2] = map[Key][]byte{}, map[Key][]byte{}
	insert(func(Key) bool { return true })
	many := pages()
	var all []Key
	for k := range w.m.values[0][1] {
		all = append(all, k)
	}
	clear(w.m.values[0][1])
	for range 3 * maxDeltas {
		if pages() == 1 {
			break
		}
		commit(func(ch changes) {
			for _, k := range all {
				ch.set(w.s, 0, 1, k, nil)
			}
		})
	}
	if pages() != 1 || many < 10 {
		t.Fatalf("%d pages, there were %d", pages(), many)
	}
	insert(func(k Key) bool { return hash(k)%2 == 0 })
	if pages() < 10 {
		t.Fatalf("%d pages", pages())
	}
	w.reopen(nil)
	w.m.compare(t, w.s, w.rng)
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
}
