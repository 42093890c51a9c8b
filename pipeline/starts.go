package pipeline

import "slices"

// partitionID names a partition as the journal does.
type partitionID struct {
	source string
	local  int32
}

// starts is what the journal knows of partitions: their marks, and in which
// order they came to be read.
type starts struct {
	marks map[partitionID][]Mark // by offset
	order map[partitionID]int
	first int // how many there were at the first start
	gaps  []Mark
	floor int64 // no mark has a later watermark

	recorded bool // there was a life before that wrote them
}

// newStarts reads the journal for a run that begins with these partitions.
func newStarts(journal []Mark, now []partitionID) *starts {
	s := &starts{marks: map[partitionID][]Mark{}, order: map[partitionID]int{}}
	for _, m := range journal {
		if m.Event == MarkConfig {
			continue
		}
		id := partitionID{m.Source, m.Partition}
		if m.Event == MarkGap {
			s.gaps = append(s.gaps, m)
			continue
		}
		s.marks[id] = append(s.marks[id], m)
		s.floor = max(s.floor, m.Watermark)
		if _, again := s.order[id]; m.Event == MarkStart && !again {
			s.order[id] = len(s.order)
			if m.Watermark == 0 {
				s.first++
			}
		}
	}
	for _, ms := range s.marks {
		slices.SortStableFunc(ms, byOffset)
	}
	s.recorded = len(s.order) > 0
	if !s.recorded {
		s.first = len(now)
		for i, id := range now {
			s.order[id] = i
		}
	}
	return s
}

// offset returns where the journal says that a partition begins.
func (s *starts) offset(id partitionID) (offset int64, ok bool) {
	for _, m := range s.marks[id] {
		if m.Event == MarkStart {
			return m.Offset, true
		}
	}
	return 0, false
}

// share returns which part of the events that may be open in all partitions
// together one may have: that of as many as there were when it appeared, so
// that it does not depend on what appears later.
func (s *starts) share(id partitionID) int {
	n, ok := s.order[id]
	if !ok {
		n = len(s.order)
		s.order[id] = n
	}
	return max(1, s.first, n+1)
}
