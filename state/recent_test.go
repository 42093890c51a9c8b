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
	hits := map[bool]int{} // of large ones, and of others
	for range 40_000 {
		s := spot{segment: 1 + rng.Uint32N(3), number: uint16(rng.UintN(400))}
		want := fmt.Appendf(nil, "chunk %d of segment %d", s.number, s.segment)
		large := s.number < 20 // as chunks of tables are that were written whole
		if large {
			want = append(want, make([]byte, recentBytes)...)
		}
		if got := c.of(s); got == nil {
			c.keep(s, want)
			clear(want) // who read it uses the bytes again
		} else if hits[large]++; !bytes.Equal(got, want) {
			t.Fatalf("%.40q, must be %.40q", got, want)
		}
	}
	if hits[false] < 5000 || hits[true] < 200 {
		t.Errorf("%d small and %d large chunks of 40,000 were kept, must be 5,000 and 200 at least", hits[false], hits[true])
	}
	tooLarge := spot{segment: 9}
	if c.keep(tooLarge, make([]byte, wholeChunkBytes+1)); c.of(tooLarge) != nil {
		t.Error("a chunk that is too large was kept")
	}
	var none *recent
	if none.keep(tooLarge, []byte("x")); none.of(tooLarge) != nil {
		t.Error("who keeps none has some")
	}
}
