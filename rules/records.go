package rules

import (
	"cmp"
	"slices"

	"weir/state"
	"weir/windows"
)

// The numbers under which a store keeps what is no window. No table of windows
// has them.
const (
	grantTable   = 0xFFFF // by grant.place
	onStateTable = 0xFFFE // by onState.place
)

// records says which of a unit's things of one sort differ from what the store
// has of them. All of them are in memory too, so the store is only ever
// written, and read once. Without a store nothing is noted.
type records struct {
	table uint16
	// value appends the thing of a place as the store keeps it; nil: there is none.
	value func(dst []byte, place windows.Key) []byte

	cold  *state.Unit
	dirty map[windows.Key]struct{} // changed since the last cut, or gone
	// cut are those changed before it, until its checkpoint is settled; true
	// where they are not yet written.
	cut    map[windows.Key]bool
	frozen map[windows.Key][]byte // of those, the values as of the cut that have changed since; nil: none
	froze  int64                  // bytes of frozen
	pages  []pagedKey             // of those, in the order in which they are written
}

type pagedKey struct {
	page uint32
	key  windows.Key
}

// open begins with a store that has what memory has; nil: with none.
func (s *records) open(cold *state.Unit) {
	*s = records{table: s.table, value: s.value, cold: cold}
	if cold != nil {
		s.dirty = map[windows.Key]struct{}{}
	}
}

// change is to be called before the thing of a place comes, changes or goes.
func (s *records) change(place windows.Key) {
	if s.cold == nil {
		return
	}
	s.dirty[place] = struct{}{}
	if !s.cut[place] {
		return
	}
	if _, ok := s.frozen[place]; !ok {
		v := s.value(nil, place)
		s.frozen[place], s.froze = v, s.froze+int64(len(v))
	}
}

// begin makes what is dirty the part of a cut.
func (s *records) begin() {
	if s.cold == nil {
		return
	}
	if s.cut != nil {
		s.settle(false)
	}
	s.cut, s.frozen = make(map[windows.Key]bool, len(s.dirty)), map[windows.Key][]byte{}
	for k := range s.dirty {
		s.cut[k] = true
	}
	clear(s.dirty)
}

// sliceBytes is about how many bytes one call of encode writes.
const sliceBytes = 256 << 10

// encode hands over what the cut has, page by page, as long as there is room.
func (s *records) encode(put func(table uint16, page uint32, changes []byte) error, room func() bool) (done bool, err error) {
	if len(s.cut) == 0 {
		return true, nil
	}
	if s.pages == nil {
		s.pages = make([]pagedKey, 0, len(s.cut))
		for k := range s.cut {
			s.pages = append(s.pages, pagedKey{s.cold.Page(s.table, k), k})
		}
		slices.SortFunc(s.pages, func(a, b pagedKey) int { return cmp.Or(cmp.Compare(a.page, b.page), compareKeys(a.key, b.key)) })
	}
	var changes, value []byte
	for written := 0; len(s.pages) > 0; {
		if written >= sliceBytes || !room() {
			return false, nil
		}
		page := s.pages[0].page
		n := 0
		for changes = changes[:0]; n < len(s.pages) && s.pages[n].page == page; n++ {
			k := s.pages[n].key
			v, frozen := s.frozen[k]
			if !frozen {
				if v = s.value(value[:0], k); v != nil {
					value = v
				}
			}
			changes = state.AppendChange(changes, k, v)
		}
		if err := put(s.table, page, changes); err != nil {
			return false, err
		}
		for _, p := range s.pages[:n] {
			s.cut[p.key] = false
			s.froze -= int64(len(s.frozen[p.key]))
			delete(s.frozen, p.key)
		}
		s.pages, written = s.pages[n:], written+len(changes)
	}
	return true, nil
}

// settle ends a cut: it is on disk, or what it had is dirty still.
func (s *records) settle(ok bool) {
	if !ok {
		for k := range s.cut {
			s.dirty[k] = struct{}{}
		}
	}
	s.cut, s.frozen, s.froze, s.pages = nil, nil, 0, nil
}

// recordKeyBytes is about what a key in one of the maps takes.
const recordKeyBytes = 48

// resident is what noting the changes takes in memory.
func (s *records) resident() int64 {
	return recordKeyBytes*int64(len(s.dirty)+len(s.cut)+len(s.frozen)+len(s.pages)) + s.froze
}

// unsettled is about how many bytes are not on disk.
func (s *records) unsettled() int64 { return grantBytes * int64(len(s.dirty)+len(s.cut)) }
