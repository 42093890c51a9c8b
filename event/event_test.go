package event

import (
	"net/netip"
	"reflect"
	"testing"
)

// TestACloneOutlivesItsBatch gives every field a value of its own, the texts
// from memory that is used again, so that a field that Clone forgets differs.
func TestACloneOutlivesItsBatch(t *testing.T) {
	var mem []string // of every text, in the order of the fields
	fill := func(e *Event, keep func([]byte) string) {
		n := 0
		var set func(v reflect.Value, name string)
		set = func(v reflect.Value, name string) {
			n++
			switch {
			case v.Type() == reflect.TypeFor[netip.Addr]():
				v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})))
			case v.Kind() == reflect.String:
				v.SetString(keep([]byte(name)))
			case v.Kind() == reflect.Bool:
				v.SetBool(true)
			case v.CanInt():
				v.SetInt(int64(n))
			case v.CanUint():
				v.SetUint(uint64(n))
			case v.Kind() == reflect.Array:
				for i := range v.Len() {
					set(v.Index(i), name+string(rune('0'+i)))
				}
			default:
				t.Fatalf("%s is a %s: say here how Clone copies it", name, v.Type())
			}
		}
		v := reflect.ValueOf(e).Elem()
		for i := range v.NumField() {
			set(v.Field(i), v.Type().Field(i).Name)
		}
	}
	var want, e Event
	fill(&want, func(b []byte) string { mem = append(mem, string(b)); return string(b) })
	var texts [][]byte
	fill(&e, func(b []byte) string { texts = append(texts, b); return View(b) })
	c := e.Clone()
	if c != e || c != want {
		t.Fatalf("the clone differs:\n%+v\n%+v", c, want)
	}
	for _, b := range texts {
		for i := range b {
			b[i] = 'X'
		}
	}
	if e == want || len(texts) != len(mem) || len(mem) < 30 {
		t.Fatalf("of %d texts %d were written over, and the event is as it was", len(mem), len(texts))
	}
	got, w := reflect.ValueOf(c), reflect.ValueOf(want)
	for i := range got.NumField() {
		if !got.Field(i).Equal(w.Field(i)) {
			t.Errorf("%s is %v once the batch is used again, want %v", got.Type().Field(i).Name, got.Field(i), w.Field(i))
		}
	}
}
