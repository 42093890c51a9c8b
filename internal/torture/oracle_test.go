package torture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"weir/event"
)

// mark is what weir's journal says of a log: from this offset on, no request
// counts before the watermark.
type mark struct {
	Event     string `json:"event"`
	Source    string `json:"source"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Watermark int64  `json:"watermark"`
}

// row is a request as a rule sees it.
type row struct {
	*request
	sum int64 // of the bytes of the rows of its key up to this one
}

// between returns those of rows, which are in the order of their seconds, that
// lie in [from, to).
func between(rows []row, from, to int64) []row {
	i := sort.Search(len(rows), func(i int) bool { return rows[i].second >= from })
	j := sort.Search(len(rows), func(i int) bool { return rows[i].second >= to })
	return rows[i:j]
}

// index is the rows of each key.
type index map[string][]row

func (x index) add(key string, r *request) {
	rows := x[key]
	sum := r.bytes
	if len(rows) > 0 {
		sum += rows[len(rows)-1].sum
	}
	x[key] = append(rows, row{r, sum})
}

func joined(values []string) string { return strings.Join(values, "\x00") }

// clock gives each request of a log the second in which it counts, as the first
// decision record has it: what is older than the largest time less the disorder
// counts then.
func clock(sent []*request, marks []mark) {
	const disorder = 2000
	w, largest := int64(-1<<62), int64(-1<<62)
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, r := range sent { // in the order of the log
		for len(marks) > 0 && marks[0].Offset <= r.offset {
			w = max(w, marks[0].Watermark)
			marks = marks[1:]
		}
		r.second = max(r.at/1000, w)
		largest = max(largest, r.at)
		w = max(w, (largest-disorder)/1000)
	}
}

// facts is what is known of addresses in each hour: who succeeded, more often
// than not, in the seven days before the hour before, who failed more often, and
// who was there at all.
type facts struct {
	begun int64 // the first second
	rows  index // by address
	hours map[string]standing
}

type standing struct{ known, denied, seen bool }

func (f *facts) of(r *request) (s standing, defined bool) {
	own := r.second - r.second%hour
	if own < f.begun+day {
		return s, false
	}
	ip := r.ip()
	id := fmt.Sprint(ip, own)
	s, ok := f.hours[id]
	if !ok {
		h := own - hour
		balance := 0
		for _, r := range between(f.rows[ip], h-week, h) {
			s.seen = true
			switch r.outcome() {
			case success:
				balance++
			case failure:
				balance--
			}
		}
		s.known, s.denied = balance > 0, balance < 0
		f.hours[id] = s
	}
	return s, true
}

func (f *facts) known(r *request) bool {
	s, defined := f.of(r)
	return defined && s.known
}

func (f *facts) strange(r *request) bool {
	s, defined := f.of(r)
	return defined && !s.known
}

func (f *facts) denied(r *request) bool {
	s, defined := f.of(r)
	return defined && s.denied
}

func (f *facts) seen(r *request) bool {
	s, defined := f.of(r)
	return defined && s.seen
}

// decided is a line of decisions.jsonl.
type decided struct {
	V          int                `json:"v"`
	Event      string             `json:"event"`
	ID         string             `json:"id"`
	Renews     string             `json:"renews,omitempty"`
	Time       time.Time          `json:"time"`
	Until      time.Time          `json:"until"`
	Mode       string             `json:"mode"`
	Action     string             `json:"action"`
	Would      string             `json:"would"`
	Target     map[string]string  `json:"target"`
	Key        map[string]string  `json:"key"`
	Rule       string             `json:"rule"`
	Version    int                `json:"version"`
	Severity   string             `json:"severity"`
	Incomplete string             `json:"incomplete,omitempty"`
	Evidence   map[string]float64 `json:"evidence,omitempty"`
	Good       *float64           `json:"good,omitempty"`
	Tried      *float64           `json:"tried,omitempty"`
	Regulars   *float64           `json:"regulars,omitempty"` // only replays foresee it
	Clean      *bool              `json:"clean,omitempty"`
	Sources    []span             `json:"sources,omitempty"`
}

type span struct {
	Name      string   `json:"name"`
	Partition int32    `json:"partition"`
	Offsets   [2]int64 `json:"offsets"`
}

// what names a line: no other may have it.
func (d *decided) what() string { return d.Event + " " + d.ID }

func (d *decided) text() string {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// oracle decides what the exact rules must decide, one second after the other,
// by looking through all requests of a key for each question.
type oracle struct {
	rules  []*rule
	names  []span // of the logs
	facts  *facts
	lines  []decided
	grants map[string]*grant
	counts []index // what each rule sees
	tried  map[string]index
}

// grant is a decision in force on a target, or the memory of earlier ones.
type grant struct {
	*rule
	line   decided // the newest
	first  string  // the id of the new one
	until  int64   // 0: not in force
	length int64
	made   []int64
}

// foresee returns the lines that must stand in decisions.jsonl up to a tick.
func foresee(rules []*rule, logs []log, sent []*request, marks []mark, last int64) []decided {
	o := &oracle{rules: rules, grants: map[string]*grant{}, tried: map[string]index{}}
	by := make([][]*request, len(logs))
	for _, r := range sent {
		by[r.log] = append(by[r.log], r)
	}
	for i, l := range logs {
		source, partition := l.name()
		o.names = append(o.names, span{Name: source, Partition: partition})
		clock(by[i], slices.DeleteFunc(slices.Clone(marks), func(m mark) bool { return m.Source != source || m.Partition != partition }))
	}
	counted := slices.Clone(sent)
	slices.SortStableFunc(counted, func(a, b *request) int { return cmp.Compare(a.second, b.second) })
	o.facts = &facts{begun: counted[0].second, rows: index{}, hours: map[string]standing{}}
	for range rules {
		o.counts = append(o.counts, index{})
	}
	for _, r := range counted {
		o.facts.rows.add(r.ip(), r)
		for i, rule := range rules {
			if rule.sees(o.facts, r) {
				o.counts[i].add(joined(rule.of(r)), r)
			}
		}
	}
	for len(counted) > 0 && counted[0].second < last {
		n := 0
		for n < len(counted) && counted[n].second == counted[0].second {
			n++
		}
		o.tick(counted[0].second+1, counted[:n])
		counted = counted[n:]
	}
	o.end(last)
	slices.SortStableFunc(o.lines, func(a, b decided) int { return a.Time.Compare(b.Time) })
	return o.lines
}

// tick closes the second before it, in which there were these requests.
func (o *oracle) tick(tick int64, fresh []*request) {
	o.end(tick)
	for i, rule := range o.rules {
		touched := map[string]*request{}
		for _, r := range fresh {
			if rule.sees(o.facts, r) {
				touched[joined(rule.of(r))] = r
			}
		}
		for key, r := range touched {
			rows := o.counts[i][key]
			values := make([]float64, len(rule.feature))
			for j, f := range rule.feature {
				from := tick - f.window
				values[j] = f.value(o.facts, between(rows, from-from%pane(f.window), tick))
			}
			if rule.holds(values) {
				o.decide(rule, r, rows, values, tick)
			}
		}
	}
}

// decide makes a decision on the key of r, or renews the one in force.
func (o *oracle) decide(rule *rule, r *request, rows []row, values []float64, tick int64) {
	of := rule.of(r)
	id := rule.id + "\x00" + joined(of)
	g := o.grants[id]
	if g == nil {
		g = &grant{rule: rule}
		o.grants[id] = g
	}
	step := event.New
	switch {
	case g.until == 0:
		g.made = slices.DeleteFunc(g.made, func(t int64) bool { return t <= tick-week })
		g.length = rule.lasts[min(len(g.made), len(rule.lasts)-1)]
		g.made = append(g.made, tick)
	case 2*(g.until-tick) >= g.length:
		return
	default:
		step = event.Renew
	}
	target := make(event.Target, len(of))
	key := map[string]string{}
	for i, f := range rule.key {
		target[i] = event.Value{Field: f, Text: of[i]}
		key[f] = of[i]
	}
	at := time.Unix(tick, 0).UTC()
	action, mode := rule.action()
	d := decided{
		V: 1, Event: step.String(), ID: event.DecisionID(step, rule.id, 1, action, target, "", at),
		Time: at, Until: at.Add(time.Duration(g.length) * time.Second),
		Mode: mode, Action: action.String(), Would: action.String(), Target: key, Key: key, Rule: rule.id, Version: 1, Severity: "info",
		Evidence: map[string]float64{}, Sources: o.sources(between(rows, tick-1, tick)),
	}
	for i, f := range rule.feature {
		d.Evidence[f.name] = values[i]
	}
	if !rule.crowd {
		d.Good, d.Tried, d.Clean = o.standing(rule, of, tick)
	}
	if step == event.New {
		g.first = d.ID
	} else {
		d.Renews = g.first
	}
	g.until, g.line = tick+g.length, d
	o.lines = append(o.lines, d)
}

// end ends what is over by a tick.
func (o *oracle) end(tick int64) {
	for _, g := range o.grants {
		if g.until == 0 || g.until > tick {
			continue
		}
		d := g.line
		d.Event, d.ID, d.Renews = "end", g.first, ""
		d.Time = time.Unix(g.until, 0).UTC()
		d.Until = d.Time
		d.Evidence, d.Sources, d.Good, d.Tried, d.Clean = nil, nil, nil, nil, nil
		g.until = 0
		o.lines = append(o.lines, d)
	}
}

// sources returns in which logs rows lie: the first and last offset in each.
func (o *oracle) sources(rows []row) []span {
	spans := map[int]span{}
	for _, r := range rows {
		s, ok := spans[r.log]
		if !ok {
			s = o.names[r.log]
			s.Offsets = [2]int64{r.offset, r.offset}
		}
		s.Offsets = [2]int64{min(s.Offsets[0], r.offset), max(s.Offsets[1], r.offset)}
		spans[r.log] = s
	}
	var out []span
	for _, i := range slices.Sorted(maps.Keys(spans)) {
		out = append(out, spans[i])
	}
	return out
}

// standing returns how many actors succeeded with a target in seven days, how
// many tried, and whether its successes are few.
func (o *oracle) standing(rule *rule, of []string, tick int64) (good, tried *float64, clean *bool) {
	shape := joined(rule.key)
	if o.tried[shape] == nil {
		x := index{}
		for _, rows := range o.facts.rows {
			for _, r := range rows {
				if r.outcome() != nothing {
					x.add(joined(rule.of(r.request)), r.request)
				}
			}
		}
		for _, rows := range x {
			slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.second, b.second) })
		}
		o.tried[shape] = x
	}
	rows := o.tried[shape][joined(of)]
	past := between(rows, (tick-week)-(tick-week)%hour, tick)
	recent := between(rows, (tick-hour)-(tick-hour)%minute, tick)
	actors, succeeded := map[string]bool{}, map[string]bool{}
	for _, r := range past {
		actors[user(r.request)] = true
		if r.outcome() == success {
			succeeded[user(r.request)] = true
		}
	}
	well := func(rows []row) (n int) {
		for _, r := range rows {
			if r.outcome() == success {
				n++
			}
		}
		return n
	}
	ok1, all1 := well(recent), len(recent)
	ok7, all7 := well(past)-ok1, len(past)-all1
	g, t := float64(len(succeeded)), float64(len(actors))
	c := (ok1 <= 1 || 100*ok1 <= 2*all1) && (ok7 <= 1 || 100*ok7 <= all7)
	return &g, &t, &c
}
