package simulate

import "time"

// label counts the lines of one sender's kind.
type label struct {
	Label
	addresses, accounts numberSet
	from, until         int64
	lines               int64
}

func (s *Stream) addLabel(name, title, campaign, phase string) int {
	s.labels = append(s.labels, &label{Label: Label{
		Name: name, Title: title, Attack: campaign != "", Campaign: campaign, Phase: phase,
	}})
	return len(s.labels) - 1
}

func (l *label) count(at int64) {
	if l.lines == 0 {
		l.from = at
	}
	l.until = at
	l.lines++
}

// Labels says what has been written so far, of those that have lines.
func (s *Stream) Labels() []Label {
	var all []Label
	for _, l := range s.labels {
		out := l.Label
		out.Requests, out.Addresses, out.Accounts = l.lines, l.addresses.count, l.accounts.count
		if l.lines > 0 {
			out.From, out.Until = time.Unix(0, l.from).UTC(), time.Unix(0, l.until).UTC()
			all = append(all, out)
		}
	}
	return all
}

// numberSet is a set of numbers that lie close together, some bits each.
type numberSet struct {
	pages map[uint64]*[1024]uint64
	last  *[1024]uint64
	at    uint64
	count int64
}

func (n *numberSet) add(x uint64) {
	page := x >> 16
	if n.last == nil || n.at != page {
		if n.pages == nil {
			n.pages = map[uint64]*[1024]uint64{}
		}
		p := n.pages[page]
		if p == nil {
			p = new([1024]uint64)
			n.pages[page] = p
		}
		n.last, n.at = p, page
	}
	word, bit := &n.last[x>>6&1023], uint64(1)<<(x&63)
	if *word&bit == 0 {
		*word |= bit
		n.count++
	}
}
