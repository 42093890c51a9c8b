package windows

// Parent returns the Key.Lo of the population that the key in a slot is a
// member of, as its rows carried it; 0 where its table has none.
func (u *Unit) Parent(slot uint32) uint64 {
	s := u.index.slot(slot)
	if !u.shapes[s.table].parent {
		return 0
	}
	return parentOf(u.blob(s))
}
