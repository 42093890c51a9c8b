package rules

import (
	"fmt"
	"testing"
	"time"

	"weir/event"
	"weir/windows"
)

func TestAWindowIsWholeWhenItDoesNotReachBehind(t *testing.T) {
	for _, w := range windows.Windows {
		for _, blind := range []int64{1_780_000_000, 1_780_000_007, 1_779_998_400} {
			from := wholeFrom(blind, w)
			if w.Start(from) < blind {
				t.Errorf("%d s: at %d it reaches back to %d, behind %d", w, from, w.Start(from), blind)
			}
			if w.Start(from-1) >= blind {
				t.Errorf("%d s: it is whole a second before %d already", w, from)
			}
		}
	}
}

// gapRules read further and further back.
var gapRules = []string{
	"id: gap.minute\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1\nthen: {alert: ip, for: 10s}\n",
	"id: gap.hour\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1 and count(\"1h\") >= 1\nthen: {alert: ip, for: 10s}\n",
	"id: gap.target\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1\nthen: {alert: ip, if: good >= 0, for: 10s}\n",
	"id: gap.inline\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1\nthen: {alert: ip, if: 'count(\"6h\") >= 1', for: 10s}\n",
	"id: gap.signal\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1 and not signal(\"gap.hour\", \"10m\")\nthen: {alert: ip, for: 10s}\n",
	"id: gap.known\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures:\n  n: count(\"1m\", known(ip))\nwhen: n >= 0\nthen: {alert: ip, for: 10s}\n",
}

func TestADecisionThatReachesBehindAGapSaysSo(t *testing.T) {
	const begin, gap = 1_780_000_000, 1_780_000_030
	hour := int64(windows.W1h)
	whole := map[string]int64{
		"gap.minute": gap + 60,
		"gap.hour":   wholeFrom(gap, windows.W1h),
		"gap.target": wholeFrom(gap, windows.W7d),
		"gap.inline": wholeFrom(gap, windows.W6h),
		"gap.signal": wholeFrom(gap, windows.W1h) + 600,
		"gap.known":  wholeFrom(gap, windows.W7d) + hour + 60,
	}
	st := NewState(storyPlan(t, PlanOptions{}, gapRules...), 1, Limits{}, enforced, named)
	m := NewMapper(st.plan, 1, nil)
	look := func(tick int64) map[string]event.Decision {
		visit(st, m, tick, 0, 1)
		got := map[string]event.Decision{}
		for _, d := range st.Drain(nil) {
			if d.Step == event.New {
				got[d.Rule] = d
			}
		}
		return got
	}
	for rule, d := range look(begin) {
		if !d.Incomplete.IsZero() {
			t.Errorf("before the gap %s is incomplete until %v", rule, d.Incomplete)
		}
	}
	st.Blind(gap)
	st.Blind(begin) // an earlier one changes nothing
	if blind, warming := st.Warming(gap); blind != gap || fmt.Sprint(warming) != fmt.Sprint(whole) {
		t.Errorf("blind before %d, whole from %v; want %d and %v", blind, warming, gap, whole)
	}
	seen := 0
	for _, tick := range []int64{gap + 20, gap + 59, gap + 100, gap + 30*60, gap + 2*hour, gap + 7*hour, gap + 8*24*hour} {
		for rule, d := range look(tick) {
			want := time.Time{}
			if tick < whole[rule] {
				want = time.Unix(whole[rule], 0)
				seen++
			}
			if !d.Incomplete.Equal(want) {
				t.Errorf("%d s behind the gap %s is incomplete until %v, want %v", tick-gap, rule, d.Incomplete, want)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d were incomplete", seen)
	}
}

// The renewals of what rests on a gap rest on it too.
func TestWhatIsRefusedIsRenewedAsItWasDecided(t *testing.T) {
	rule := "id: gap.block\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1\nthen: {block: ip, for: 20s}\nstage: enforce\n"
	plan := storyPlan(t, PlanOptions{}, rule)
	stage := event.Enforce
	st := NewState(plan, 1, Limits{}, func(string) event.Stage { return stage }, named)
	m := NewMapper(plan, 1, nil)
	const begin = 1_780_000_000
	st.Blind(begin - 10)
	visit(st, m, begin, 0, 1)
	if err := st.Recode(0); err != nil {
		t.Fatal(err)
	}
	if n := len(st.Drain(nil)); n != 1 {
		t.Errorf("%d decisions wait in a unit that was decoded, want 1", n)
	}
	refuse := func(st *State, m *Mapper, tick int64) event.Decision {
		var d windows.Deltas
		var e event.Event
		e.Reset()
		e.Second, e.IP, e.Refused = tick-1, netipAddr(0), event.Block
		m.Map([]event.Event{e}, 0, nil, &d)
		st.Unit(0).Tick(tick, d.Rows, []*windows.Deltas{&d})
		lines := st.Drain(nil)
		if len(lines) == 0 {
			t.Fatalf("at %d nothing is renewed", tick)
		}
		return lines[len(lines)-1]
	}
	d := refuse(st, m, begin+15)
	if d.Step != event.Renew || !d.Incomplete.Equal(time.Unix(begin+50, 0)) || len(d.Evidence) != 1 || d.Evidence[0].Value != 1 || len(d.Sources) != 1 || d.Mode != event.Enforce {
		t.Errorf("renewed as %s", d.AppendJSON(nil))
	}
	// Whoever took the rule's power from it did not mean this one to go on.
	stage = event.Shadow
	lower, err := st.Reload(storyPlan(t, PlanOptions{Inherit: &plan.Layout, Tick: begin + 20}, rule), func(string) event.Stage { return stage }, begin+20)
	if err != nil {
		t.Fatal(err)
	}
	if d := refuse(lower, m, begin+30); d.Step != event.Renew || d.Mode != event.Shadow {
		t.Errorf("renewed as %s", d.AppendJSON(nil))
	}
}

// What nobody asked about when it was published is not known, which is not to
// be a stranger.
func TestStandingOfAFieldThatIsNewIsUndefinedForADay(t *testing.T) {
	without := storyPlan(t, PlanOptions{}, storyRules[0])
	const begin, hour = 1_780_002_000, int64(3600)
	st := NewState(without, 1, Limits{}, enforced, named)
	st.Begin(begin)
	at := int64(begin + 30*hour)
	plan := storyPlan(t, PlanOptions{Inherit: &without.Layout, Tick: at}, storyRules...)
	old := st.Publish(floor(at, 3600), nil)
	if old.Tells(Known, event.FieldIP) || old.Tells(Seen, event.FieldIP) {
		t.Error("it knows of a field that nobody asked about")
	}
	to := newState(plan, 1, Limits{}, enforced, named)
	to.units, to.start = st.units, st.start
	for h := floor(at, hour); h <= floor(at, hour)+30*hour; h += hour {
		// Used for the events of the hour that begins one hour later.
		want := h+hour >= at+24*hour
		if got := to.defined(to.since[Known][event.FieldIP], h+hour); got != want {
			t.Errorf("%d hours behind the reload: known(ip) is defined: %v, want %v", (h+hour-at)/hour, got, want)
		}
		if got := to.knows(event.FieldIP, h+hour); got != want {
			t.Errorf("%d hours behind the reload: the exception holds: %v, want %v", (h+hour-at)/hour, got, want)
		}
	}
	for _, text := range []string{"known(ip)", "not known(ip)", "denied(ip)", "not denied(ip)", "seen(ip)", "not seen(ip)"} {
		c := mustEvent(t, text)
		if c.Match(hotEvent, &Facts{Standing: old}) || vmMatch(c.tree)(hotEvent, &Facts{Standing: old}) {
			t.Errorf("%s holds though nobody knows", text)
		}
	}
}
