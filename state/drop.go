package state

import "fmt"

// drop takes a table away from all units.
func (w *writer) drop(id uint16) error {
	for i := range w.units {
		old := w.from.units[i].tables[id]
		if w.units[i].tables[id] != nil {
			return fmt.Errorf("table %d is dropped behind a change of it", id)
		}
		if old == nil {
			continue
		}
		w.take(i, old)
		// Pages keep their numbers, since what is put comes by them.
		view := &tableView{since: w.first, pages: make([]*page, len(old.pages))}
		w.units[i].tables[id] = &tableDraft{tableView: view, fresh: map[uint32]bool{}}
	}
	return nil
}
