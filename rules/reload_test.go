package rules

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// checkpoint writes one of a state that has a store.
func checkpoint(t testing.TB, st *State, s *state.Store, tick int64) {
	t.Helper()
	meta, heads := cut(st)
	cp := s.Begin(st.Alive())
	for i := range st.Units() {
		for done := false; !done; {
			var err error
			done, err = st.Unit(i).Encode(windows.Sink{
				Whole: func(table uint16, pages int) error { return cp.Whole(i, table, pages) },
				Put:   func(table uint16, page uint32, changes []byte) error { return cp.Put(i, table, page, changes) },
				Room:  cp.Room,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cp.Commit(context.Background(), state.Flip{Tick: tick, Meta: meta, Units: heads}); err != nil {
		t.Fatal(err)
	}
	settle(st, true)
}

// reloaded lives a story and takes other rules at its first boundary at or
// behind a tick. With a store it does so by way of it, and dies right after.
func reloaded(t *testing.T, told []storySecond, from, to []string, at int64, withStore bool) *life {
	t.Helper()
	const units = 4
	plan := storyPlan(t, PlanOptions{}, from...)
	var s *state.Store
	dir := t.TempDir()
	if withStore {
		s = openStore(t, dir, units)
		t.Cleanup(func() { s.Close() })
	}
	st, err := OpenState(plan, units, Limits{Accounted: 1 << 40, Resident: 64 << 10}, enforced, named, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLife(st, units)
	done := false
	l.after = func(tick int64) {
		if done || tick < at || tick%Boundary != 0 {
			return
		}
		done = true
		next := storyPlan(t, PlanOptions{Inherit: &plan.Layout, Tick: tick}, to...)
		if s == nil {
			if l.st, err = l.st.Reload(next, enforced, tick); err != nil {
				t.Fatal(err)
			}
			l.mapper = NewMapper(next, units, nil)
			return
		}
		checkpoint(t, l.st, s, tick)
		if l.st, err = l.st.Reload(next, enforced, tick); err != nil {
			t.Fatal(err)
		}
		for _, u := range l.st.units {
			for _, gs := range u.grants {
				for _, g := range gs {
					if g.rule == gone && g.until == 0 {
						t.Errorf("what a rule that is gone had granted before is remembered: %+v", g)
					}
				}
			}
		}
		l.mapper = NewMapper(next, units, nil)
		want := contents(l.st)
		checkpoint(t, l.st, s, tick)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir, units)
		last, _ := s.Last()
		if l.st, err = OpenState(next, units, Limits{Accounted: 1 << 40}, enforced, named, s, last.Meta, last.Units); err != nil {
			t.Fatal(err)
		}
		sameContents(t, "reopened", contents(l.st), want)
	}
	l.live(told)
	if !done {
		t.Fatal("no reload")
	}
	if err := l.st.Err(); err != nil {
		t.Fatal(err)
	}
	return l
}

func lived(t *testing.T, told []storySecond, rules []string) *life {
	t.Helper()
	l := newLife(NewState(storyPlan(t, PlanOptions{}, rules...), 4, Limits{Accounted: 1 << 40}, enforced, named), 4)
	l.live(told)
	return l
}

// of returns the lines of which keep holds, without what a reload may add.
func (l *life) of(keep func(d *event.Decision) bool) (lines []string) {
	for i := range l.decisions {
		d := l.decisions[i]
		d.Incomplete = time.Time{}
		if keep(&d) {
			lines = append(lines, string(d.AppendJSON(nil)))
		}
	}
	return lines
}

func all(*event.Decision) bool { return true }

// A reload with the same rules is none, however often.
func TestAReloadOfTheSameRulesChangesNothing(t *testing.T) {
	reloads, raised := 0, 0
	for seed := range uint64(2) {
		told := story(seed)
		want := lived(t, told, storyRules)
		plan := storyPlan(t, PlanOptions{}, storyRules...)
		l := newLife(NewState(plan, 4, Limits{Accounted: 1 << 40}, enforced, named), 4)
		rnd := rand.New(rand.NewPCG(seed, 3))
		l.after = func(tick int64) {
			if tick%Boundary != 0 || rnd.IntN(3) > 0 {
				return
			}
			reloads++
			for _, u := range l.st.units {
				raised += len(u.raised)
			}
			shuffled := slices.Clone(storyRules)
			rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			plan = storyPlan(t, PlanOptions{Inherit: &plan.Layout, Tick: tick}, shuffled...)
			before := contents(l.st)
			var err error
			if l.st, err = l.st.Reload(plan, enforced, tick); err != nil {
				t.Fatal(err)
			}
			sameContents(t, "reloaded", contents(l.st), before)
			l.mapper = NewMapper(plan, 4, nil)
		}
		l.live(told)
		sameLines(t, "lines", l.lines(), want.lines())
		sameContents(t, "state", contents(l.st), contents(want.st))
	}
	if reloads < 50 || raised == 0 {
		t.Errorf("%d reloads, %d on-states on their way: too few", reloads, raised)
	}
}

// Other rules that come and go do not touch those that stay, though they get
// other numbers.
func TestRulesThatStayDecideAsIfNothingHadBeenReloaded(t *testing.T) {
	more := strings.NewReplacer("limits.%s", "aaa.first", "%s\nwhere", "agent\nwhere", "\n%s\n", "\nthen: {alert: agent, for: 10s}\n").Replace(limitedRule)
	told := story(5)
	at := told[len(told)/2].at
	for _, c := range []struct {
		what     string
		from, to []string
	}{
		{"one comes", storyRules, append([]string{more}, storyRules...)},
		{"one goes", append([]string{more}, storyRules...), storyRules},
	} {
		want := lived(t, told, storyRules)
		got := reloaded(t, told, c.from, c.to, at, true)
		sameLines(t, c.what, got.of(func(d *event.Decision) bool { return d.Rule != "aaa.first" }), want.of(all))
		n := len(got.of(func(d *event.Decision) bool { return d.Rule == "aaa.first" }))
		if n == 0 {
			t.Errorf("%s: it never decided", c.what)
		}
	}
}

// What a rule that goes, or changes, has in force stays so until its end; its
// steps begin anew. Those of the others do not.
func TestWhatIsInForceOutlivesItsRule(t *testing.T) {
	changed := slices.Clone(storyRules)
	changed[0] = strings.Replace(changed[0], "tries >= 3", "tries >= 2", 1)
	told := story(8)
	half := told[len(told)/2].at
	for _, c := range []struct {
		what string
		to   []string
	}{{"goes", storyRules[1:]}, {"changes", changed}} {
		for _, withStore := range []bool{false, true} {
			if !withStore && c.what == "goes" {
				continue // another layout goes by way of a store
			}
			// Reload while something of it is in force.
			at := int64(0)
			before := lived(t, told, storyRules)
			for i := range before.decisions {
				d := &before.decisions[i]
				if b := floor(d.Time.Unix(), Boundary) + Boundary; d.Rule == "story.source" && d.Step == event.New && b > half && d.Until.Unix() > b+30 && at == 0 {
					at = b
				}
			}
			if at == 0 {
				t.Fatal("nothing is in force at any boundary")
			}
			l := reloaded(t, told, storyRules, c.to, at, withStore)
			old, ended, steps := map[string]event.Decision{}, 0, map[string]bool{}
			for i := range l.decisions {
				d := l.decisions[i]
				if d.Rule != "story.source" {
					continue
				}
				tick := d.Time.Unix()
				switch {
				case d.Step == event.New && tick <= at:
					old[d.ID] = d
				case d.Step == event.Renew && tick <= at:
					was := old[d.Renews]
					was.Until = d.Until
					old[d.Renews] = was
				case d.Step == event.End && tick > at && !old[d.ID].Time.IsZero():
					was := old[d.ID]
					if !was.Until.Equal(d.Time) || d.Version != 1 || d.Would != event.Block || d.Mode != event.Enforce || len(d.Key) != 1 || compareTargets(d.Target, was.Target) != 0 {
						t.Errorf("%s: %s ends as %s", c.what, was.AppendJSON(nil), d.AppendJSON(nil))
					}
					ended++
				case d.Step == event.Renew && !old[d.Renews].Time.IsZero():
					t.Errorf("%s: what is in force by the rule as it was is renewed: %s", c.what, d.AppendJSON(nil))
				case d.Step == event.New && c.what == "goes":
					t.Errorf("it decides after it is gone: %s", d.AppendJSON(nil))
				case d.Step == event.New:
					// The first step again, on targets that were at a later one.
					if target := string(d.Target.AppendJSON(nil)); !steps[target] {
						steps[target] = true
						if length := d.Until.Sub(d.Time); length != 30*time.Second {
							t.Errorf("the first decision of the changed rule on %s is for %v", target, length)
						}
					}
				}
			}
			if ended == 0 || c.what == "changes" && len(steps) == 0 {
				t.Errorf("%s: %d ended, %d targets decided anew", c.what, ended, len(steps))
			}
			for _, u := range l.st.units {
				for _, gs := range u.grants {
					for _, g := range gs {
						if g.rule == gone && g.until > l.now {
							t.Errorf("%s: a grant of nobody is in force", c.what)
						}
					}
				}
			}
			others := func(d *event.Decision) bool { return d.Rule != "story.source" }
			sameLines(t, c.what, l.of(others), before.of(others))
		}
	}
}

func TestAReloadThatCannotBeIsRefused(t *testing.T) {
	plan := storyPlan(t, PlanOptions{}, storyRules...)
	other := storyPlan(t, PlanOptions{Inherit: &plan.Layout, Tick: 1_780_000_000}, storyRules[1:]...)
	if other.Layout.Serial == plan.Layout.Serial {
		t.Fatal("the layouts do not differ")
	}
	foreign := storyPlan(t, PlanOptions{}, storyRules[1:]...)
	for _, c := range []struct {
		what string
		plan *Plan
		tick int64
		do   func(st *State, s *state.Store)
		want string
	}{
		{"no boundary", plan, 1_780_000_001, func(*State, *state.Store) {}, "tick 1780000001, must be a multiple of 10"},
		{"on its way", plan, 1_780_000_000, func(st *State, _ *state.Store) { st.units[1].mail[mailKey{}] = &message{} }, "unit 1 has 1 candidates"},
		{"not drained", plan, 1_780_000_000, func(st *State, _ *state.Store) { st.units[1].decisions = make([]event.Decision, 3) }, "unit 1 has 3 decisions"},
		{"a checkpoint", plan, 1_780_000_000, func(st *State, s *state.Store) { st.Attach(s); cut(st) }, "checkpoint that is going on"},
		{"no store", other, 1_780_000_000, func(*State, *state.Store) {}, "in memory alone"},
		{"not on disk", other, 1_780_000_000, func(st *State, s *state.Store) { st.Attach(s); live2(st) }, "are not in the store"},
		{"another layout", foreign, 1_780_000_000, func(*State, *state.Store) {}, "another layout 0"},
	} {
		s := openStore(t, t.TempDir(), 2)
		st := NewState(plan, 2, Limits{}, enforced, named)
		c.do(st, s)
		if _, err := st.Reload(c.plan, enforced, c.tick); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// live2 has something happen in each of two units.
func live2(st *State) {
	l := newLife(st, 2)
	l.live(story(1)[:20])
	l.st.Drain(nil)
}

func TestALineageIsPrunedWhenNothingOfItCanBeLeft(t *testing.T) {
	plan := storyPlan(t, PlanOptions{}, storyRules[0])
	l := lineage{&plan.Layout}
	const day = int64(24 * 3600)
	for i := range int64(40) {
		set := storyRules[:1+(i+1)%2]
		tick := 1_780_000_000 + i*day
		plan = storyPlan(t, PlanOptions{Inherit: &plan.Layout, Tick: tick}, set...)
		var err error
		if l, err = l.follow(&plan.Layout); err != nil {
			t.Fatal(err)
		}
		l = l.pruned(tick)
		if len(l) > 10 || i > 10 && len(l) < 8 {
			t.Fatalf("day %d: %d layouts", i, len(l))
		}
		for k := range l[1:] {
			if l[k].Serial+1 != l[k+1].Serial {
				t.Fatal("a layout is missing")
			}
		}
	}
	if _, err := l[:3].follow(l[len(l)-1]); err == nil {
		t.Error("a layout may be left out")
	}
}
