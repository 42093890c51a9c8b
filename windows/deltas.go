package windows

import (
	"fmt"

	"weir/state"
)

// deltasVersion is the format version of encoded deltas.
const deltasVersion = 1

// Append appends the deltas as a record: what a pending second is kept as, and
// what travels where units are on other machines.
func (d *Deltas) Append(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := state.Writer{B: dst}
	w.Uint(uint64(len(d.Events)))
	for i := range d.Events {
		o := &d.Events[i]
		w.Int(o.Second)
		w.Int(o.Offset)
		w.Int(int64(o.Partition))
		w.Uint(uint64(o.Values))
	}
	w.Uint(uint64(len(d.Obs)))
	for _, x := range d.Obs {
		w.Fixed(x)
	}
	w.Uint(uint64(len(d.Values)))
	w.B = append(w.B, d.Values...)
	w.Uint(uint64(len(d.Rows)))
	for i := range d.Rows {
		r := &d.Rows[i]
		w.Fixed(r.Key.Hi)
		w.Fixed(r.Key.Lo)
		w.Fixed(r.Mask)
		w.Fixed(r.Parent)
		w.Uint(uint64(r.Event))
		w.Uint(uint64(r.Table))
		w.Uint(uint64(r.Unit))
	}
	state.EndRecord(w.B, start, deltasVersion)
	return w.B
}

// Read makes d the deltas of a record that Append made for the same layout,
// using d's memory again. What does not fit the layout is an error.
func (d *Deltas) Read(l *Layout, b []byte) error {
	body, rest, err := state.ReadRecord(b, deltasVersion)
	if err != nil {
		return fmt.Errorf("deltas: %w", err)
	}
	r := state.Reader{B: body}
	d.Events, d.Obs, d.Values, d.Rows = d.Events[:0], d.Obs[:0], d.Values[:0], d.Rows[:0]
	for range r.Len() {
		d.Events = append(d.Events, Origin{Second: r.Int(), Offset: r.Int(), Partition: int32(r.Int()), Values: uint32(r.Uint())})
	}
	for range r.Len() {
		d.Obs = append(d.Obs, r.Fixed())
	}
	d.Values = append(d.Values, r.String()...)
	for range r.Len() {
		d.Rows = append(d.Rows, Row{
			Key: Key{Hi: r.Fixed(), Lo: r.Fixed()}, Mask: r.Fixed(), Parent: r.Fixed(),
			Event: uint32(r.Uint()), Table: uint16(r.Uint()), Unit: uint16(r.Uint()),
		})
	}
	switch {
	case r.Err != nil:
		return fmt.Errorf("deltas: %w", r.Err)
	case len(r.B) > 0 || len(rest) > 0:
		return fmt.Errorf("deltas: %w: %d bytes too many", state.ErrCorrupt, len(r.B)+len(rest))
	case len(d.Obs) != l.Obs*len(d.Events):
		return fmt.Errorf("deltas: %w: %d observations of %d events", state.ErrCorrupt, len(d.Obs), len(d.Events))
	}
	for i := range d.Rows {
		if row := &d.Rows[i]; int(row.Event) >= len(d.Events) || int(row.Table) >= len(l.Tables) {
			return fmt.Errorf("deltas: %w: row %d of event %d, table %d", state.ErrCorrupt, i, row.Event, row.Table)
		}
	}
	for i := range d.Events {
		if int(d.Events[i].Values) > len(d.Values) {
			return fmt.Errorf("deltas: %w: values of event %d", state.ErrCorrupt, i)
		}
	}
	return nil
}
