package pipeline

import (
	"fmt"
	"math"
	"slices"
	"time"

	"weir/event"
	"weir/rules"
	"weir/state"
	"weir/windows"
)

// metaVersion is the format version of what a checkpoint says besides its keys.
const metaVersion = 1

// Meta is what a checkpoint says besides its keys.
type Meta struct {
	Tick      int64     // all seconds before it are in it
	Written   time.Time // by the wall clock
	Era       int64     // which `config` mark of the journal it was decided by
	Config    string    // the hash of that configuration
	Extras    event.Extras
	Positions []PartitionPosition
	Tables    []TableMeta
	Layout    *windows.Layout
	Seals     []byte   // what Config.Seals said when it was cut; empty: nothing
	Sources   []string // by their numbers, which decisions that rest on the state name them by

	positions  []Position
	unreviewed bool
	standing   []int64
	shared     []byte
}

// Kept is what the caller of a run wants to find again beside its state.
type Kept struct {
	Era    int64        // which `config` mark of the journal it is decided by
	Config string       // its hash
	Extras event.Extras // the names of the extra fields, which are numbers on disk
	// Sources are the names of sources, which are numbers on disk; those that are
	// not read any more keep theirs.
	Sources []string
}

// PartitionPosition is from where on a partition is read after a restart.
type PartitionPosition struct {
	Source    string
	Partition int32
	Offset    int64
	Watermark int64 // Unix seconds; below 0: there was no event
	MaxTime   int64 // the largest time seen, Unix nanoseconds
}

// TableMeta says what a table of the store holds: the key's fields.
type TableMeta struct {
	Store uint16
	Name  string
}

// meta encodes what a cut says besides its keys.
func (r *run) meta(c *cut, standing []int64) []byte {
	slices.Sort(standing)
	b, start := state.BeginRecord(nil)
	w := state.Writer{B: b}
	w.Int(c.tick)
	w.Int(time.Now().UnixNano())
	w.Int(r.cfg.Kept.Era)
	w.String(r.cfg.Kept.Config)
	w.Uint(uint64(len(r.cfg.Kept.Extras)))
	for _, name := range r.cfg.Kept.Extras {
		w.String(name)
	}
	w.Bool(c.unreviewed)
	w.Uint(uint64(len(c.positions)))
	for _, p := range c.positions {
		w.String(p.Source)
		w.Int(int64(p.Partition))
		w.Int(p.Offset)
		w.String(string(p.Clock))
		w.String(p.Topic)
	}
	w.Uint(uint64(len(standing)))
	for _, h := range standing {
		w.Int(h)
	}
	w.String(string(r.cfg.Plan.Layout.Append(nil)))
	w.String(string(c.shared))
	w.String(string(c.seals))
	w.Uint(uint64(len(r.cfg.Kept.Sources)))
	for _, name := range r.cfg.Kept.Sources {
		w.String(name)
	}
	state.EndRecord(w.B, start, metaVersion)
	return w.B
}

// ReadMeta reads what a checkpoint says besides its keys.
func ReadMeta(b []byte) (m Meta, err error) {
	body, rest, err := state.ReadRecord(b, metaVersion)
	if err != nil {
		return m, fmt.Errorf("checkpoint: %w", err)
	}
	r := state.Reader{B: body}
	m.Tick, m.Written, m.Era, m.Config = r.Int(), time.Unix(0, r.Int()), r.Int(), r.String()
	for range r.Len() {
		m.Extras = append(m.Extras, r.String())
	}
	m.unreviewed = r.Bool()
	for range r.Len() {
		p := Position{Source: r.String(), Partition: int32(r.Int()), Offset: r.Int(), Clock: []byte(r.String()), Topic: r.String()}
		if r.Err != nil {
			break
		}
		c := newPartitionClock(MaxDisorder, 0, nil, 1)
		if err := c.restorePosition(p.Clock); err != nil {
			return m, fmt.Errorf("checkpoint: source %s, partition %d: %w", p.Source, p.Partition, err)
		}
		m.positions = append(m.positions, p)
		m.Positions = append(m.Positions, PartitionPosition{
			Source: p.Source, Partition: p.Partition, Offset: p.Offset, Watermark: max(-1, c.w), MaxTime: max(math.MinInt64/4, c.max),
		})
	}
	for range r.Len() {
		m.standing = append(m.standing, r.Int())
	}
	layout := r.String()
	m.shared = []byte(r.String())
	if r.Err == nil && len(r.B) > 0 { // an older version has none
		m.Seals = []byte(r.String())
	}
	if r.Err == nil && len(r.B) > 0 {
		for range r.Len() {
			m.Sources = append(m.Sources, r.String())
		}
	}
	if r.Err == nil && len(r.B)+len(rest) > 0 {
		r.Err = fmt.Errorf("%w: %d bytes too many", state.ErrCorrupt, len(r.B)+len(rest))
	}
	if r.Err != nil {
		return m, fmt.Errorf("checkpoint: %w", r.Err)
	}
	if m.Layout, err = windows.ReadLayout([]byte(layout)); err != nil {
		return m, fmt.Errorf("checkpoint: %w", err)
	}
	for i := range m.Layout.Tables {
		t := &m.Layout.Tables[i]
		m.Tables = append(m.Tables, TableMeta{Store: t.Store, Name: t.Name})
	}
	return m, nil
}

// Restore opens the state that a checkpoint holds, for a plan that inherits the
// checkpoint's layout. It reads as many keys as there is memory for.
func Restore(s *state.Store, m Meta, last state.Flip, cfg *Config) (*Resume, error) {
	st, err := rules.OpenState(cfg.Plan, cfg.Units, cfg.limits(), cfg.Stage, cfg.sourceName, s, m.shared, last.Units)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	resident := cfg.budget().evictTo
	if err := st.Load(resident); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	r := &Resume{Tick: m.Tick, State: st, Positions: m.positions, Standing: map[int64]*rules.Standing{}, Unreviewed: m.unreviewed}
	for _, h := range m.standing {
		b, err := s.Blob(standingName(h))
		if err == nil && b == nil {
			err = fmt.Errorf("%w: the facts of %s are missing", state.ErrCorrupt, time.Unix(h, 0).UTC().Format(time.RFC3339))
		}
		if err == nil {
			r.Standing[h], err = rules.ReadStanding(b, cfg.Plan)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	return r, nil
}
