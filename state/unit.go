package state

import (
	"errors"
	"fmt"
	"slices"
)

// Unit is one unit's part of a store.
type Unit struct {
	store *Store
	index int
}

// Has reports whether the store may have a value of the key: false is certain,
// true is wrong in less than one of 100 cases.
func (u *Unit) Has(table uint16, k Key) bool {
	t := u.store.current.Load().units[u.index].tables[table]
	if t == nil {
		return false
	}
	return t.mayHave(hash(k))
}

// Get appends the key's value as of the last checkpoint. An error wraps
// ErrCorrupt where the store is damaged.
func (u *Unit) Get(table uint16, k Key, dst []byte) (value []byte, ok bool, err error) {
	if !u.Has(table, k) {
		return dst, false, nil
	}
	v, err := u.store.hold()
	if err != nil {
		return dst, false, err
	}
	defer v.release()
	t := v.units[u.index].tables[table]
	if t == nil {
		return dst, false, nil
	}
	h := hash(k)
	at := place{unit: u.index, table: table, page: pageOf(h, t.pages)}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	t.read(at.page, &r.page)
	c, found, err := v.find(at, &r.page, k, h, r)
	if err != nil || !found || c.gone {
		return dst, false, err
	}
	return append(dst, c.value...), true, nil
}

// Scan calls fn with every value of a table as of the last checkpoint, in no
// order that means anything. The value is valid until fn returns. fn must not
// call methods of the unit. An error of fn ends the scan and is returned.
func (u *Unit) Scan(table uint16, fn func(k Key, value []byte) error) error {
	v, err := u.store.hold()
	if err != nil {
		return err
	}
	defer v.release()
	t := v.units[u.index].tables[table]
	if t == nil {
		return nil
	}
	return v.scan(u.index, table, t, func(_ place, live []change) error {
		for _, c := range live {
			if err := fn(c.key, c.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Tables returns the tables that have values, and maybe some that no longer do.
func (u *Unit) Tables() []uint16 {
	var tables []uint16
	for id, t := range u.store.current.Load().units[u.index].tables {
		if t.keys > 0 {
			tables = append(tables, id)
		}
	}
	slices.Sort(tables)
	return tables
}

// Page returns the page of a key for the checkpoint that is going on, or the
// next one.
func (u *Unit) Page(table uint16, k Key) uint32 {
	t := u.store.current.Load().units[u.index].tables[table]
	if t == nil {
		return 0
	}
	return pageOf(hash(k), t.pages)
}

// wrap says of an error where in the store it was found.
func (at place) wrap(err error) error {
	if err == nil || errors.Is(err, errClosed) || errors.Is(err, errDiskFull) || errors.Is(err, errFewFiles) { // which is about no page
		return err
	}
	if outOfFiles(err) {
		return fewFiles(err.Error())
	}
	return fmt.Errorf("unit %d, table %d, page %d: %w", at.unit, at.table, at.page, err)
}
