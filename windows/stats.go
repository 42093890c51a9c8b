package windows

// Stats adds up how many keys units have and how large they are, by table.
type Stats struct {
	Tables []TableStats
}

// TableStats is the part of one table.
type TableStats struct {
	Keys  int
	Bytes int64
	sizes [numClasses]int // of those in memory
}

// Quantile returns the accounted bytes that the share q of the keys in memory
// does not exceed.
func (t *TableStats) Quantile(q float64) int {
	keys := 0
	for _, n := range t.sizes {
		keys += n
	}
	if keys == 0 {
		return 0
	}
	left := int(q * float64(keys))
	for c, n := range t.sizes {
		if left -= n; left < 0 {
			return keyBytes + classBytes[c]
		}
	}
	return keyBytes + classBytes[numClasses-1]
}

// Stats adds the unit's keys to st.
func (u *Unit) Stats(st *Stats) {
	for len(st.Tables) < len(u.shapes) {
		st.Tables = append(st.Tables, TableStats{})
	}
	for t := range u.shapes {
		keys, bytes := u.cohorts.sum(t)
		st.Tables[t].Keys += int(keys)
		st.Tables[t].Bytes += bytes
	}
	u.eachKey(func(_ uint32, s *slot) { st.Tables[s.table].sizes[s.class]++ })
}
