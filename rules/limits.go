package rules

import "weir/event"

// Limits bound what a state holds, all its units together. Where one is
// exceeded something is shed and counted.
type Limits struct {
	// Accounted is the logical size of the windows in bytes, wherever they are.
	// What must not depend on where things are follows from it alone: what is
	// shed, and the room of grants, on-states and candidates, a 64th of it each. 0:
	// there is no limit.
	Accounted int64
	// Resident is how many bytes memory may hold of all of it. Keys leave memory
	// only by Unit.Evict; this is how far a reload fills it again. 0: nothing is
	// read before it is touched.
	Resident int64
	// Published is how many bytes the facts may take that are published by the
	// hour, those of all hours that are in memory at once. What is left out
	// follows from it and from the log alone. 0: there is no limit.
	Published int64
}

// limits bound what stands outside of the windows. Each is a number of things
// and as many kilobytes: most things are smaller than one, so it is the number
// that counts, but who writes the log can make them larger.
type limits struct {
	grants   int // targets of which a unit remembers decisions
	travel   int // on-states, and candidates, that a unit may hold for a boundary
	onStates int // shown at once
}

// limitsOf gives each a 64th of the accounted bytes, but never more than a
// million.
func limitsOf(accounted int64, units int) limits {
	if accounted == 0 {
		accounted = 1 << 40
	}
	n := int(min(1<<20, max(1<<10, accounted/64/1024)))
	each := max(16, n/units)
	return limits{grants: each, travel: each, onStates: n}
}

// full reports whether there are as many things as may be, or as many bytes of
// them.
func full(things int, bytes int64, limit int) bool {
	return things >= limit || bytes >= int64(limit)<<10
}

// What things take in memory besides what they point to, with their place in a
// map. They are constants, so that what is shed is the same on every machine.
const (
	grantBytes   = 640
	onStateBytes = 320
	messageBytes = 640
	spanBytes    = 40
	valueBytes   = 32
)

func targetSize(t event.Target) int64 {
	n := int64(0)
	for _, v := range t {
		n += valueBytes + int64(len(v.Text))
	}
	return n
}

func rawSize(raw [][]byte) int64 {
	n := int64(0)
	for _, v := range raw {
		n += 24 + int64(len(v))
	}
	return n
}

func (g *grant) size() int64 {
	d := &g.last
	return grantBytes + 16*int64(len(g.made)) + int64(len(g.first)) + targetSize(d.Target) + targetSize(d.Key) + 24*int64(len(d.Evidence))
}

func (s *onState) size() int64 {
	return onStateBytes + targetSize(s.values) + rawSize(s.raw) + 8*int64(len(s.features)) + spanBytes*int64(len(s.spans))
}

// size leaves out what is shared with an on-state.
func (m *message) size() int64 {
	n := messageBytes + targetSize(m.target) + 8*int64(len(m.given)) + spanBytes*int64(len(m.spans))
	if m.on == nil {
		n += targetSize(m.key) + rawSize(m.raw) + 8*int64(len(m.features))
	}
	return n
}
