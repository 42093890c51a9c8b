package rules

import (
	"bytes"
	"fmt"
	"slices"

	"weir/windows"
)

// lineage is the layouts that stored keys may have been written under, in their
// order; the last is the plan's own. Keys are converted when they are read.
type lineage []*windows.Layout

// follow returns the lineage of a plan whose layout inherited from the last one.
func (l lineage) follow(to *windows.Layout) (lineage, error) {
	if len(l) == 0 {
		return lineage{to}, nil
	}
	last := l[len(l)-1]
	switch to.Serial {
	case last.Serial:
		if !bytes.Equal(to.Append(nil), last.Append(nil)) {
			return nil, fmt.Errorf("the plan has another layout %d than the state, must inherit from it", to.Serial)
		}
		return append(slices.Clone(l[:len(l)-1]), to), nil
	case last.Serial + 1:
		return append(slices.Clone(l), to), nil
	}
	return nil, fmt.Errorf("the plan has layout %d, the state layout %d, must be that or inherit from it", to.Serial, last.Serial)
}

// longestIdle is for how long, in seconds, a key may be idle and not be over: no
// table keeps it for longer than the longest window and a pane.
const longestIdle = int64(windows.W7d) + 2*3600

// pruned leaves out the layouts that ended so long ago that no key that was
// written under them is left.
func (l lineage) pruned(tick int64) lineage {
	for len(l) > 1 && l[1].Began < tick-longestIdle {
		l = l[1:]
	}
	return l
}

func (w *encoder) lineage(l lineage) {
	w.Uint(uint64(len(l)))
	for _, layout := range l {
		w.String(string(layout.Append(nil)))
	}
}

func (r *decoder) lineage() (l lineage) {
	r.each(func() {
		b := r.String()
		if r.Err != nil {
			return
		}
		layout, err := windows.ReadLayout([]byte(b))
		if err != nil {
			r.Err = err
			return
		}
		r.check(len(l) == 0 || l[len(l)-1].Serial+1 == layout.Serial, "layouts out of order")
		l = append(l, layout)
	})
	r.check(len(l) > 0, "no layout")
	return l
}

// Layouts returns how many layouts keys on disk may have been written under, and
// the tick behind which a reload can forget the oldest of them.
func (st *State) Layouts() (n int, until int64) {
	if n = len(st.layouts); n > 1 {
		until = st.layouts[1].Began + longestIdle
	}
	return n, until
}
