package enrich

// nameMemo remembers whether names of parameters are secret: a log has few, in
// every line. A name has one place, the last one that came there stays; others,
// and long ones, are looked at anew.
type nameMemo [128]struct {
	name   [30]byte
	length uint8 // 0: none yet
	secret bool
}

// place returns where a name is kept, and whether it may be.
func (m *nameMemo) place(name string) (at int, ok bool) {
	n := len(name)
	if n == 0 || n > len(m[0].name) {
		return 0, false
	}
	return (n*31 + int(name[0])*7 + int(name[n/2])*17 + int(name[n-1])*37) % len(m), true
}

// find returns what is remembered of a name.
func (m *nameMemo) find(name string) (secret, ok bool) {
	at, ok := m.place(name)
	if !ok {
		return false, false
	}
	e := &m[at]
	return e.secret, string(e.name[:e.length]) == name
}

// put remembers a name.
func (m *nameMemo) put(name string, secret bool) {
	if at, ok := m.place(name); ok {
		e := &m[at]
		e.length, e.secret = uint8(copy(e.name[:], name)), secret
	}
}
