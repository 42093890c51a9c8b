package archive

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/klauspost/compress/s2"

	"weir/event"
	"weir/state"
)

// values is a column of a decoded frame.
type values struct {
	there bool
	dict  []string // views of the frame's body
	index []uint16 // which of dict each is, where many
	many  bool     // else all are the first, or are in order
	longs []int64
}

// at returns text i.
func (v *values) at(i int) string {
	switch {
	case v.many:
		return v.dict[v.index[i]]
	case len(v.dict) == 1:
		return v.dict[0]
	}
	return v.dict[i]
}

// frame is a decoded frame. Its memory is used again by the next decode.
type frame struct {
	head
	body []byte
	cols []values
}

// decode reads the body of a frame whose head is h.
func (f *frame) decode(h head, record []byte) error {
	body, rest, err := state.ReadRecord(record, frameVersion)
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("frame: %w: %d bytes too many", state.ErrCorrupt, len(rest))
	}
	if n, err := s2.DecodedLen(body); err != nil || n != h.Raw {
		return fmt.Errorf("frame: %w: %d bytes, must be %d", state.ErrCorrupt, n, h.Raw)
	}
	if f.body, err = s2.Decode(f.body[:cap(f.body)], body); err != nil {
		return fmt.Errorf("frame: %w: %w", state.ErrCorrupt, err)
	}
	f.head = h
	if f.cols == nil {
		f.cols = make([]values, len(columns))
	}
	r := state.Reader{B: f.body}
	for c := range columns {
		v := &f.cols[c]
		if v.there = h.Columns&(1<<c) != 0; !v.there {
			continue
		}
		ok := false
		if k := columns[c].kind; k == textColumn || k == addrColumn {
			ok = v.readDict(&r, h.Events)
		} else {
			ok = v.readLongs(&r, h.Events)
		}
		if !ok {
			return fmt.Errorf("frame: %w: column %s", state.ErrCorrupt, columns[c].name)
		}
	}
	if len(r.B) > 0 {
		return fmt.Errorf("frame: %w: %d bytes behind the last column", state.ErrCorrupt, len(r.B))
	}
	if t, o := &f.cols[colTime], &f.cols[colOffset]; !t.there || !o.there || o.longs[0] != h.First || o.longs[h.Events-1] != h.Last {
		return fmt.Errorf("frame: %w: it is not what its head says", state.ErrCorrupt)
	}
	return nil
}

func (v *values) readLongs(r *state.Reader, n int) bool {
	if len(r.B) == 0 {
		return false
	}
	mode := r.B[0]
	r.B = r.B[1:]
	if cap(v.longs) < n {
		v.longs = make([]int64, n)
	}
	v.longs = v.longs[:n]
	value := r.Int()
	for i := range v.longs {
		if i > 0 && mode == longsDelta {
			d, k := binary.Varint(r.B)
			if k <= 0 {
				return false
			}
			value += d
			r.B = r.B[k:]
		}
		v.longs[i] = value
	}
	return r.Err == nil && mode <= longsDelta
}

func (v *values) readDict(r *state.Reader, n int) bool {
	k := r.Uint()
	distinct := k&1 != 0
	k >>= 1
	if r.Err != nil || k < 1 || k > uint64(n) || distinct && k != uint64(n) || k > uint64(len(r.B)) {
		return false
	}
	v.dict, v.index = v.dict[:0], v.index[:0]
	total := uint64(0)
	lens := r.B
	for range k {
		l := r.Uint()
		if r.Err != nil || l > math.MaxInt32 {
			return false
		}
		total += l
	}
	if total > uint64(len(r.B)) {
		return false
	}
	for range k {
		l, m := binary.Uvarint(lens)
		lens = lens[m:]
		v.dict = append(v.dict, event.View(r.B[:l:l]))
		r.B = r.B[l:]
	}
	return v.readIndex(r, n, distinct)
}

func (v *values) readIndex(r *state.Reader, n int, distinct bool) bool {
	k := len(v.dict)
	if v.many = k > 1 && !distinct; !v.many {
		return true
	}
	width := 1
	if k > 256 {
		width = 2
	}
	if len(r.B) < n*width {
		return false
	}
	if cap(v.index) < n {
		v.index = make([]uint16, 0, n)
	}
	for i := range n {
		var at uint16
		if width == 1 {
			at = uint16(r.B[i])
		} else {
			at = binary.LittleEndian.Uint16(r.B[2*i:])
		}
		if int(at) >= k {
			return false
		}
		v.index = append(v.index, at)
	}
	r.B = r.B[n*width:]
	return true
}

// events makes events of the frame again, with their append times, nil where
// there are none. Their texts are views of the frame.
func (f *frame) events() (all []event.Event, appended []int64, err error) {
	all = make([]event.Event, f.Events)
	for i := range all {
		all[i].Reset()
	}
	for c := range columns {
		v, col := &f.cols[c], &columns[c]
		if !v.there {
			continue
		}
		for i := range all {
			switch {
			case c == colAppended:
				appended = append(appended, v.longs[i])
			case col.kind == textColumn:
				*col.text(&all[i]) = v.at(i)
			case col.kind == addrColumn:
				a, ok := addrOf(v.at(i))
				if !ok {
					return nil, nil, fmt.Errorf("frame: %w: an address of %d bytes", state.ErrCorrupt, len(v.at(i)))
				}
				if c == colIP {
					all[i].IP = a
				} else {
					all[i].Peer = a
				}
			default:
				col.store(&all[i], v.longs[i])
			}
		}
	}
	return all, appended, nil
}
