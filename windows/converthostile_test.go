package windows

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestHostileBlobsAreLeftOutOrConverted(t *testing.T) {
	from, to := wide(0, 0), wide(1, 40)
	for i := range to.Tables[0].Series {
		if s := &to.Tables[0].Series[i]; s.Kind == Distinct && i%4 == 1 {
			s.Windows = []Window{W1m, W24h} // finer quanta
		}
	}
	u, k, tick := full(t, from)
	slot, _ := u.Find(k)
	good := u.blob(u.index.slot(slot))
	c := conversion(t, tick, from, to)
	shapes, err := to.shapes()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	kept, left := 0, 0
	for range 3000 {
		b := bytes.Clone(good)
		for range 1 + rng.IntN(3) {
			switch rng.IntN(8) {
			case 0:
				b = b[:rng.IntN(len(b)+1)]
			case 1:
				b = append(b, byte(rng.Uint32()))
			case 2: // where a sketch says what its epoch is, and in the header
				b[min(len(b)-1, rng.IntN(16))] = byte(rng.Uint32())
			default:
				b[rng.IntN(len(b))] ^= byte(1 << rng.IntN(8))
			}
			if len(b) == 0 {
				break
			}
		}
		out := c.Blob([]byte("before"), 0, b)
		if !bytes.HasPrefix(out, []byte("before")) {
			t.Fatal("what was there before is gone")
		}
		if out = out[len("before"):]; len(out) == 0 {
			left++
			continue
		}
		kept++
		if err := shapes[0].check(out, math.MaxUint32, math.MaxUint32); err != nil || len(out) > maxBlob {
			t.Fatalf("%d bytes converted to %d: %v", len(b), len(out), err)
		}
	}
	if kept < 100 || left < 100 {
		t.Errorf("%d blobs were kept and %d left out: too few of some", kept, left)
	}
}

func FuzzConversion(f *testing.F) {
	from, to := testLayout(), testLayout()
	for _, l := range []*Layout{from, to} {
		l.NextStore = uint32(len(l.Tables))
		for i := range l.Tables {
			l.Tables[i].Name, l.Tables[i].Store = fmt.Sprint("table ", i), uint16(i)
			for k := range l.Tables[i].Series {
				l.Tables[i].Series[k].Name = fmt.Sprint("series ", k)
			}
		}
	}
	ss := to.Tables[0].Series
	ss[4].Windows, ss[5].Windows = []Window{W10s, W24h}, []Window{W24h}
	to.Tables[0].Series = append(ss[2:], ss[0])
	if err := to.Inherit(from, 1_600_000_600); err != nil {
		f.Fatal(err)
	}
	c, err := NewConversion(from, to)
	if err != nil {
		f.Fatal(err)
	}
	shapes, err := to.shapes()
	if err != nil {
		f.Fatal(err)
	}
	u := sampleUnit()
	for _, k := range u.sorted() {
		s := u.index.slot(k.slot)
		f.Add(byte(s.table), u.blob(s))
	}
	f.Fuzz(func(t *testing.T, table byte, blob []byte) {
		table %= byte(len(from.Tables))
		out := c.Blob(nil, int(table), blob)
		if len(out) == 0 {
			return
		}
		if err := shapes[table].check(out, math.MaxUint32, math.MaxUint32); err != nil {
			t.Fatalf("%x became %x: %v", blob, out, err)
		}
	})
}
