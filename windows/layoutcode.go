package windows

import (
	"fmt"
	"math"

	"weir/event"
	"weir/state"
)

// layoutVersion is the format version of an encoded layout. Fields and kinds of
// series are numbers in it: one that gets another meaning takes a new version.
const layoutVersion = 1

// Append appends the layout as a record, so that what was written with it can
// still be read when another is in use.
func (l *Layout) Append(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := state.Writer{B: dst}
	w.Uint(uint64(l.Serial))
	w.Int(l.Began)
	w.Uint(uint64(l.NextStore))
	w.Uint(uint64(l.Obs))
	appendFields(&w, l.Fields)
	w.Uint(uint64(len(l.Tables)))
	for i := range l.Tables {
		t := &l.Tables[i]
		w.String(t.Name)
		w.Uint(uint64(t.Store))
		appendFields(&w, t.Fields)
		w.Int(t.Retain)
		w.Bool(t.Parent)
		w.Uint(uint64(len(t.Series)))
		for k := range t.Series {
			s := &t.Series[k]
			w.String(s.Name)
			w.B = append(w.B, byte(s.Kind), s.Bit, s.Obs)
			w.Uint(uint64(s.Kinds))
			w.Uint(uint64(len(s.Windows)))
			for n, win := range s.Windows {
				w.Int(int64(win))
				w.Int(s.since(n))
			}
			w.Uint(uint64(len(s.Joined)))
			for _, at := range s.Joined {
				w.Int(at)
			}
		}
	}
	state.EndRecord(w.B, start, layoutVersion)
	return w.B
}

func appendFields(w *state.Writer, fs []event.Field) {
	w.Uint(uint64(len(fs)))
	for _, f := range fs {
		w.B = append(w.B, byte(f))
	}
}

// layoutReader takes a layout off a body whose numbers have limits.
type layoutReader struct{ state.Reader }

func (r *layoutReader) upTo(limit uint64, what string) uint64 {
	v := r.Uint()
	if v > limit && r.Err == nil {
		r.Err = fmt.Errorf("%w: %s %d, must be at most %d", state.ErrCorrupt, what, v, limit)
	}
	if r.Err != nil {
		return 0
	}
	return v
}

func (r *layoutReader) byte() byte {
	if len(r.B) == 0 {
		r.upTo(0, "") // reports the end
		return 0
	}
	b := r.B[0]
	r.B = r.B[1:]
	return b
}

func (r *layoutReader) fields() (fs []event.Field) {
	for range r.Len() {
		f := event.Field(r.byte())
		if int(f) >= event.NumFields && r.Err == nil {
			r.Err = fmt.Errorf("%w: field %d, must be less than %d", state.ErrCorrupt, f, event.NumFields)
		}
		fs = append(fs, f)
	}
	return fs
}

func (r *layoutReader) series() (s Series) {
	s.Name = r.String()
	s.Kind, s.Bit, s.Obs = Kind(r.byte()), r.byte(), r.byte()
	s.Kinds = uint32(r.upTo(math.MaxUint32, "kinds"))
	for range r.Len() {
		s.Windows = append(s.Windows, Window(r.Int()))
		s.Since = append(s.Since, r.Int())
	}
	for range r.upTo(32, "kinds that joined") {
		s.Joined = append(s.Joined, r.Int())
	}
	return s
}

func (r *layoutReader) table() (t Table) {
	t.Name = r.String()
	t.Store = uint16(r.upTo(maxStores, "table's number"))
	t.Fields = r.fields()
	t.Retain = r.Int()
	t.Parent = r.Bool()
	for range r.Len() {
		if t.Series = append(t.Series, r.series()); r.Err != nil {
			break
		}
	}
	return t
}

// ReadLayout returns the layout of a record that Append made. One that a
// planner cannot have made is an error.
func ReadLayout(b []byte) (*Layout, error) {
	body, rest, err := state.ReadRecord(b, layoutVersion)
	if err != nil {
		return nil, fmt.Errorf("layout: %w", err)
	}
	r := layoutReader{state.Reader{B: body}}
	l := &Layout{Serial: uint32(r.upTo(math.MaxUint32, "serial")), Began: r.Int()}
	l.NextStore = uint32(r.upTo(maxStores+1, "next number of a table"))
	l.Obs = int(r.upTo(math.MaxUint8, "observations"))
	l.Fields = r.fields()
	for range r.Len() {
		if l.Tables = append(l.Tables, r.table()); r.Err != nil {
			break
		}
	}
	switch {
	case r.Err != nil:
		return nil, fmt.Errorf("layout: %w", r.Err)
	case len(r.B) > 0 || len(rest) > 0:
		return nil, fmt.Errorf("layout: %w: %d bytes too many", state.ErrCorrupt, len(r.B)+len(rest))
	}
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("layout: %w: %w", state.ErrCorrupt, err)
	}
	return l, nil
}
