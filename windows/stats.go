package windows

// Stats adds up how many keys units have and how large they are, by table.
type Stats struct {
	Tables []TableStats
}

// TableStats is the part of one table.
type TableStats struct {
	Keys  int
	Bytes int64
	sizes [numClasses]int
}

// Quantile returns the accounted bytes that the share q of the keys does not exceed.
func (t *TableStats) Quantile(q float64) int {
	left := int(q * float64(t.Keys))
	for c, n := range t.sizes {
		if left -= n; left < 0 {
			return keyBytes + classBytes[c]
		}
	}
	if t.Keys == 0 {
		return 0
	}
	return keyBytes + classBytes[numClasses-1]
}

// Stats adds the unit's keys to st.
func (u *Unit) Stats(st *Stats) {
	for len(st.Tables) < len(u.shapes) {
		st.Tables = append(st.Tables, TableStats{})
	}
	u.eachKey(func(_ uint32, s *slot) {
		t := &st.Tables[s.table]
		c := classOf(int(s.size))
		t.Keys++
		t.sizes[c]++
		t.Bytes += int64(keyBytes + classBytes[c])
	})
}
