package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestOfTheChunksThatWereReadLatelyEachIsItself(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	c := new(recent)
	var spare []byte
	hits := 0
	for range 20_000 {
		s := spot{segment: 1 + rng.Uint32N(3), number: uint16(rng.UintN(400))}
		want := fmt.Appendf(nil, "chunk %d of segment %d", s.number, s.segment)
		if got := c.of(s); got == nil {
			spare = c.keep(s, append(spare[:0], want...))
		} else if hits++; !bytes.Equal(got, want) {
			t.Fatalf("%q, must be %q", got, want)
		}
	}
	if hits < 5000 {
		t.Errorf("%d of 20,000 chunks were kept", hits)
	}
	large := spot{segment: 9}
	if got := c.keep(large, make([]byte, recentMost+1)); len(got) != recentMost+1 || c.of(large) != nil {
		t.Error("a chunk that is too large was kept")
	}
	var none *recent
	if none.of(large) != nil || len(none.keep(large, []byte("x"))) != 1 {
		t.Error("who keeps none has some")
	}
}
