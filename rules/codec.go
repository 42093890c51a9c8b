package rules

import (
	"fmt"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// encoder writes what the records of a state are made of.
type encoder struct{ state.Writer }

func (w *encoder) key(k windows.Key) { w.Fixed(k.Hi); w.Fixed(k.Lo) }

func (w *encoder) target(t event.Target) {
	w.Uint(uint64(len(t)))
	for _, v := range t {
		w.String(v.Field)
		w.String(v.Text)
	}
}

func (w *encoder) floats(fs []float64) {
	w.Uint(uint64(len(fs)))
	for _, f := range fs {
		w.Float(f)
	}
}

func (w *encoder) raw(vs [][]byte) {
	w.Uint(uint64(len(vs)))
	for _, v := range vs {
		w.String(event.View(v))
	}
}

// spans writes spans that have no source's name yet: their partitions are
// numbered over all sources.
func (w *encoder) spans(ss []event.Span) {
	w.Uint(uint64(len(ss)))
	for _, s := range ss {
		w.Int(int64(s.Partition))
		w.Int(s.First)
		w.Int(s.Last)
	}
}

// decoder reads what encoder wrote. It takes nothing that the plan could
// stumble over: what it lets pass can be evaluated.
type decoder struct {
	state.Reader
	plan *Plan
}

// check notes the first thing that is not as it must be.
func (r *decoder) check(ok bool, format string, args ...any) bool {
	if !ok && r.Err == nil {
		r.Err = fmt.Errorf("%w: %s", state.ErrCorrupt, fmt.Sprintf(format, args...))
	}
	return r.Err == nil
}

// end returns the error met; bytes behind the last thing are one.
func (r *decoder) end() error {
	r.check(len(r.B) == 0, "%d bytes too many", len(r.B))
	return r.Err
}

// each takes off a count and calls take as often, until something is wrong.
func (r *decoder) each(take func()) {
	for range r.Len() {
		if r.Err != nil {
			return
		}
		take()
	}
}

// below takes off a number that must be less than limit.
func (r *decoder) below(limit int, what string) int {
	n := r.Uint()
	if !r.check(n < uint64(limit), "%s %d, must be less than %d", what, n, limit) {
		return 0
	}
	return int(n)
}

// rule takes off a rule's number; ok is false where there is none, which is
// noted as an error.
func (r *decoder) rule() (n int, ok bool) {
	n = r.below(len(r.plan.Rules), "rule")
	return n, r.Err == nil
}

func (r *decoder) key() windows.Key { return windows.Key{Hi: r.Fixed(), Lo: r.Fixed()} }

func (r *decoder) target() (t event.Target) {
	r.each(func() { t = append(t, event.Value{Field: r.String(), Text: r.String()}) })
	return t
}

func (r *decoder) floats() (fs []float64) {
	r.each(func() { fs = append(fs, r.Float()) })
	return fs
}

func (r *decoder) raw() (vs [][]byte) {
	r.each(func() { vs = append(vs, []byte(r.String())) })
	return vs
}

func (r *decoder) partition() int32 {
	n := r.Int()
	r.check(int64(int32(n)) == n, "partition %d", n)
	return int32(n)
}

func (r *decoder) spans() (ss []event.Span) {
	r.each(func() { ss = append(ss, event.Span{Partition: r.partition(), First: r.Int(), Last: r.Int()}) })
	return ss
}
