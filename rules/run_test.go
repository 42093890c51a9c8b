package rules

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// storyRules have everything in them that a state keeps: steps, members that
// are decided where they are and where their target is, candidates that go back
// and on, signals, exceptions that need a day.
var storyRules = []string{
	`id: story.source
version: 1
key: ip
where: kind == "login"
features: {tries: count("1m")}
when: tries >= 3
then: {block: ip, for: [30s, 1m, 2m]}
stage: enforce
`, `id: story.population
version: 2
severity: high
key: [endpoint, agent]
where: kind == "login"
features:
  tries: count("10m")
  failed: ratio("10m", outcome == "failure")
when: tries >= 4 and failed > 0.1
then:
  - {block: [ip, endpoint], if: 'count("10m") >= 2 and good <= 1', for: 2m}
  - {challenge: [endpoint, agent], except: known(ip), for: 1m}
stage: enforce
`, `id: story.members
version: 1
key: endpoint
where: kind == "login"
features:
  sources: distinct("1h", ip)
when: sources >= 3
then: {limit: [endpoint, ip], if: 'distinct("1h", session) >= 2 and clean', for: 1m, to: 10/1m}
stage: enforce
`, `id: story.travel
version: 1
key: [ip, agent]
where: "true"
features: {n: count("1m")}
when: n >= 2
then:
  - {alert: ip, if: good >= 3, for: 20s}
  - {alert: [agent, session], if: 'count("1m") >= 2', for: 20s}
  - {alert: agent, for: 20s}
`, `id: story.signal
version: 1
key: session
where: kind == "login"
features:
  n: count("30s", seen(ip))
when: n >= 1
`, `id: story.reader
version: 3
key: [session, ip]
where: "true"
features: {n: count("10m")}
when: n >= 2 and signal("story.signal", "1m")
then: {deceive: [session, ip], for: 45s}
stage: enforce
`,
}

func storyPlan(t testing.TB, opt PlanOptions, sources ...string) *Plan {
	t.Helper()
	var rs []*Rule
	for i, src := range sources {
		r, err := Parse(fmt.Sprintf("%d.yaml", i), []byte(src), Options{})
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	p, err := NewPlan(rs, event.FixedKey(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// storySecond is what happens in one second.
type storySecond struct {
	at     int64
	events []event.Event
}

// story makes up bursts of events over 27 hours.
func story(seed uint64) (out []storySecond) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for at := int64(1_780_000_000); at < 1_780_000_000+27*3600; at += 20*60 + rnd.Int64N(3000) {
		for s := at; s < at+45; s++ {
			n := rnd.IntN(4)
			if n == 0 {
				continue
			}
			sec := storySecond{at: s, events: make([]event.Event, n)}
			for i := range sec.events {
				e := &sec.events[i]
				e.Reset()
				e.Second, e.Offset = s, s*100+int64(i)
				e.IP = netip.AddrFrom4([4]byte{192, 0, 2, byte(rnd.IntN(5))})
				e.Agent, e.Session = fmt.Sprint("agent ", rnd.IntN(3)), fmt.Sprint("session ", rnd.IntN(6))
				e.Endpoint, e.Kind = fmt.Sprint("POST /login/", rnd.IntN(2)), event.Login
				if rnd.IntN(5) == 0 {
					e.Kind, e.Endpoint = event.NoKind, "GET /"
				}
				e.Outcome = event.Outcome(rnd.IntN(3))
				if rnd.IntN(4) == 0 {
					e.Refused = event.Block
				}
			}
			out = append(out, sec)
		}
	}
	return out
}

// life runs a state as the pipeline does.
type life struct {
	st        *State
	mapper    *Mapper
	standing  map[int64]*Standing
	now       int64
	decisions []event.Decision
	after     func(tick int64) // behind each tick that had events
}

func enforced(string) event.Stage { return event.Enforce }

func named(p int32) (string, int32) { return "log", p }

func newLife(st *State, units int) *life {
	return &life{st: st, mapper: NewMapper(st.plan, units, nil), standing: map[int64]*Standing{}}
}

// to runs to a tick before which there are no events.
func (l *life) to(tick int64) {
	for l.now < tick {
		next := tick
		if l.st.Pending() {
			next = min(next, floor(l.now, Boundary)+Boundary)
		}
		if h := max(floor(tick, 3600)-2*3600, floor(l.now, 3600)+3600); h <= tick {
			next = min(next, h)
		}
		for i := range l.st.Units() {
			l.st.Unit(i).End(next)
		}
		l.exchange(next)
	}
}

func (l *life) exchange(tick int64) {
	l.now = tick
	if tick%Boundary == 0 {
		l.st.Boundary(tick)
	}
	if tick%3600 == 0 {
		l.standing[tick] = l.st.Publish(tick, nil)
		delete(l.standing, tick-4*3600)
	}
	l.decisions = l.st.Drain(l.decisions)
}

// live tells a story and then has what travels arrive.
func (l *life) live(story []storySecond) {
	l.tell(story)
	l.to(floor(l.now, Boundary) + 2*Boundary)
}

func (l *life) tell(story []storySecond) {
	for _, sec := range story {
		l.to(sec.at)
		l.second(sec)
	}
}

func (l *life) second(sec storySecond) {
	var d windows.Deltas
	l.st.Begin(sec.at)
	l.mapper.Map(slices.Clone(sec.events), 3, l.standing[floor(sec.at, 3600)-3600], &d)
	slices.SortStableFunc(d.Rows, func(a, b windows.Row) int { return cmp.Compare(a.Unit, b.Unit) })
	for rows := d.Rows; len(rows) > 0; {
		n := 0
		for n < len(rows) && rows[n].Unit == rows[0].Unit {
			n++
		}
		l.st.Unit(int(rows[0].Unit)).Tick(sec.at+1, rows[:n], []*windows.Deltas{&d})
		rows = rows[n:]
	}
	for i := range l.st.Units() {
		l.st.Unit(i).End(sec.at + 1)
	}
	l.exchange(sec.at + 1)
	if l.after != nil {
		l.after(sec.at + 1)
	}
}

func (l *life) lines() []string {
	out := make([]string, len(l.decisions))
	for i := range l.decisions {
		out[i] = string(l.decisions[i].AppendJSON(nil))
	}
	return out
}

// sameLines fails where two runs decided differently.
func sameLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		a, b := "nothing", "nothing"
		if i < len(got) {
			a = got[i]
		}
		if i < len(want) {
			b = want[i]
		}
		if a != b {
			t.Fatalf("%s: line %d of %d and %d:\n got %s\nwant %s", what, i, len(got), len(want), a, b)
		}
	}
}

// contents are what a state knows, in a form that can be compared.
func contents(st *State) map[string]string {
	c := map[string]string{"shared": string(st.appendShared())}
	for i, u := range st.units {
		c[fmt.Sprint("figures ", i)] = fmt.Sprintf("%d of %d grants have ended, %d bytes", u.ended, u.ended+u.ends.Len(), u.grantBytes)
		c[fmt.Sprint("head ", i)] = string(u.win.AppendHead(u.appendHead()))
		for _, gs := range u.grants {
			for _, g := range gs {
				c[fmt.Sprintf("grant %d %x", i, g.place)] = string(g.append(nil))
			}
		}
		for place, s := range u.shown {
			c[fmt.Sprintf("shown %d %x", i, place)] = string(st.appendOnState(nil, s))
		}
		for t := range st.plan.tables {
			u.win.Scan(t, nil, func(slot uint32, parent uint64) bool {
				c[fmt.Sprintf("key %d %d %x", i, t, u.win.KeyOf(slot))] = fmt.Sprint(parent, u.win.AppendValues(slot, nil), sums(st, u, t, slot))
				return false
			})
		}
	}
	return c
}

// sums are the counters of a key.
func sums(st *State, u *Unit, t int, slot uint32) (out []uint64) {
	for i, s := range st.plan.Layout.Tables[t].Series {
		for _, w := range s.Windows {
			if s.Kind == windows.Count {
				out = append(out, u.win.Total(slot, i, w, u.win.Tick()))
			}
		}
	}
	return out
}

func sameContents(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			t.Errorf("%s: %s: %d bytes, differ from %d", what, k, len(got[k]), len(want[k]))
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %s is too many", what, k)
		}
	}
}

func openStore(t testing.TB, dir string, units int) *state.Store {
	t.Helper()
	s, err := state.Open(context.Background(), state.Config{Dir: dir, Units: units, KeyID: "test", Memory: 16 << 20, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if why := s.Broken(); why != "" {
		t.Fatal(why)
	}
	return s
}

// The story must bring up everything that it is told for, or the tests that
// compare runs of it compare nothing.
func TestTheStoryHasEverythingInIt(t *testing.T) {
	l := newLife(NewState(storyPlan(t, PlanOptions{}, storyRules...), 4, Limits{}, enforced, named), 4)
	mail, raised, board := 0, 0, 0
	l.after = func(int64) {
		for _, u := range l.st.units {
			mail, raised = max(mail, len(u.mail)), max(raised, len(u.raised))
		}
		board = max(board, len(l.st.board.on))
	}
	l.live(story(1))
	have := map[string]int{}
	for i := range l.decisions {
		d := &l.decisions[i]
		have[fmt.Sprintf("%s %s %s", d.Step, d.Rule, d.Would)]++
		if d.Step == event.Renew && len(d.Sources) > 0 && d.Rule == "story.source" {
			have["renewed"]++
		}
	}
	for _, want := range []string{
		"new story.source block", "renew story.source block", "end story.source block", "new story.population block", "new story.population challenge",
		"new story.members limit", "new story.travel alert", "end story.travel alert", "new story.reader deceive",
	} {
		if have[want] == 0 {
			t.Errorf("no %s", want)
		}
	}
	if mail == 0 || raised == 0 || board == 0 {
		t.Errorf("at most %d candidates, %d raised, %d shown", mail, raised, board)
	}
	t.Log(strings.Join(slices.Sorted(func(yield func(string) bool) {
		for k, n := range have {
			if !yield(fmt.Sprintf("%s %d", k, n)) {
				return
			}
		}
	}), ", "), mail, raised, board)
}
