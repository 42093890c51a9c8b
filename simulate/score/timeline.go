package score

import (
	"slices"
	"strings"
	"time"
)

// timelineBuckets is how many buckets a timeline has at most: enough to look into a phase of a week's log.
const timelineBuckets = 4800

// niceSeconds are the widths that buckets may have.
var niceSeconds = []int64{1, 2, 5, 10, 15, 20, 30, 60, 90, 120, 150, 180, 240, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400}

// Timeline is what happened when. Every series has a figure for each bucket;
// trailing zeros are left out.
type Timeline struct {
	From    int64         `json:"from"`  // Unix seconds
	Width   int64         `json:"width"` // of a bucket, in seconds
	Buckets int           `json:"buckets"`
	Lanes   []Lane        `json:"lanes"` // of labels, in their order
	List    []int64       `json:"list"`  // entries in force, the most in the bucket
	Rules   []RuleMoments `json:"rules"` // the decisions
}

// Lane is what became of the requests of a label.
type Lane struct {
	Label    string  `json:"label"`
	Requests []int64 `json:"requests"`
	Hard     []int64 `json:"hard,omitempty"`   // blocked or deceived
	Milder   []int64 `json:"milder,omitempty"` // challenged or limited
}

// RuleMoments is when a rule's decisions came into force.
type RuleMoments struct {
	Rule    string   `json:"rule"`
	New     [][2]int `json:"new"`               // buckets, and how many there
	Samples []Sample `json:"samples,omitempty"` // the first few
}

// Sample is a decision, in words.
type Sample struct {
	From   time.Time `json:"from"` // when it came into force
	Until  time.Time `json:"until"`
	Action string    `json:"action"`
	Target string    `json:"target"`
}

// timeline is a Timeline that is being counted.
type timeline struct {
	from, width int64 // nanoseconds
	n           int
	list        []int64
	last        int // the bucket up to which list is known
	now         int64
}

func newTimeline(from, until time.Time) *timeline {
	span := max(1, int64(until.Sub(from)/time.Second)+1)
	width := niceSeconds[len(niceSeconds)-1]
	for _, w := range niceSeconds {
		if (span+w-1)/w <= timelineBuckets {
			width = w
			break
		}
	}
	first := floorDiv(from.Unix(), width) * width
	n := int(min((until.Unix()-first)/width+1, 10*timelineBuckets))
	return &timeline{from: first * 1e9, width: width * 1e9, n: max(1, n), list: make([]int64, max(1, n)), last: -1}
}

// bucket returns the bucket of a time; what is outside belongs to the nearest.
func (t *timeline) bucket(at int64) int {
	return int(min(max(floorDiv(at-t.from, t.width), 0), int64(t.n-1)))
}

// listed notes how many entries are in force from a time on, in rising order.
func (t *timeline) listed(at, n int64) {
	b := t.bucket(at)
	for t.last < b {
		t.last++
		t.list[t.last] = t.now
	}
	t.now = n
	t.list[b] = max(t.list[b], n)
}

// trimmed returns a series without its trailing zeros.
func trimmed(s []int64) []int64 {
	for len(s) > 0 && s[len(s)-1] == 0 {
		s = s[:len(s)-1]
	}
	return s
}

// maxSamples is how many decisions of a rule a timeline shows.
const maxSamples = 20

// moments sorts the decisions into buckets, by rule.
func (l *Ledger) moments(t *timeline) []RuleMoments {
	out, texts := make([]RuleMoments, len(l.rules.all)), l.texts()
	for i, r := range l.rules.all {
		out[i].Rule = r
	}
	for i := range l.spans { // in the order in which they came into force
		s := &l.spans[i]
		if s.idle != enforced {
			continue
		}
		m, b := &out[s.rule], t.bucket(s.from)
		if n := len(m.New); n > 0 && m.New[n-1][0] == b {
			m.New[n-1][1]++
		} else {
			m.New = append(m.New, [2]int{b, 1})
		}
		if text := texts[s.target]; text != "" && len(m.Samples) < maxSamples {
			m.Samples = append(m.Samples, Sample{unix(s.from), unix(s.until), s.action.String(), text})
		}
	}
	kept := out[:0]
	for _, m := range out {
		if len(m.New) > 0 {
			kept = append(kept, m)
		}
	}
	slices.SortFunc(kept, func(a, b RuleMoments) int { return strings.Compare(a.Rule, b.Rule) })
	return kept
}

func unix(ns int64) time.Time { return time.Unix(0, ns).UTC() }
