package rules

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// saved is what the pipeline keeps of a checkpoint besides the state.
type saved struct {
	tick     int64
	standing map[int64][]byte
}

// survivor lives through checkpoints, evictions and crashes.
type survivor struct {
	*life
	t     *testing.T
	rnd   *rand.Rand
	dir   string
	units int
	plan  *Plan
	store *state.Store

	cp      *state.Checkpoint // going on
	flip    state.Flip
	cut     saved
	encoded []bool
	last    saved // of the last one that was committed

	commits, aborts, crashes, unaligned int
	loaded                              uint64
}

func (s *survivor) limits() Limits { return Limits{Accounted: 1 << 40} }

func (s *survivor) open() {
	s.store = openStore(s.t, s.dir, s.units)
	last, ok := s.store.Last()
	if !ok {
		last = state.Flip{}
	}
	st, err := OpenState(s.plan, s.units, s.limits(), enforced, named, s.store, last.Meta, last.Units)
	if err != nil {
		s.t.Fatal(err)
	}
	decisions := []event.Decision(nil)
	if s.life != nil {
		decisions = s.decisions
	}
	s.life = newLife(st, s.units)
	s.now = s.last.tick
	for h, b := range s.last.standing {
		if s.standing[h], err = ReadStanding(b, s.plan); err != nil {
			s.t.Fatal(err)
		}
	}
	// What was decided behind the checkpoint is decided again.
	s.decisions = slices.DeleteFunc(decisions, func(d event.Decision) bool { return d.Time.Unix() > s.now })
	if err := s.st.Load(s.rnd.Int64N(1 << 20)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *survivor) begin() {
	s.cp = s.store.Begin(s.st.Alive())
	s.flip = state.Flip{Tick: s.now}
	s.flip.Meta, s.flip.Units = cut(s.st)
	if s.now%Boundary != 0 && s.st.Pending() {
		s.unaligned++
	}
	s.cut = saved{tick: s.now, standing: map[int64][]byte{}}
	for h, st := range s.standing {
		s.cut.standing[h] = st.Append(nil)
	}
	s.encoded = make([]bool, s.units)
}

// encode writes some more of a checkpoint; a page at a time, so that much
// changes in between.
func (s *survivor) encode() (done bool) {
	done = true
	for i := range s.units {
		if s.encoded[i] {
			continue
		}
		pages := 2
		ok, err := s.st.Unit(i).Encode(windows.Sink{
			Whole: func(table uint16, n int) error { return s.cp.Whole(i, table, n) },
			Put:   func(table uint16, page uint32, changes []byte) error { return s.cp.Put(i, table, page, changes) },
			Room:  func() bool { pages--; return pages > 0 },
		})
		if err != nil {
			s.t.Fatal(err)
		}
		s.encoded[i] = ok
		done = done && ok
	}
	return done
}

func (s *survivor) finish(ok bool) {
	if ok {
		if err := s.cp.Commit(context.Background(), s.flip); err != nil {
			s.t.Fatal(err)
		}
		s.last, s.commits = s.cut, s.commits+1
	} else {
		s.cp.Abort()
		s.aborts++
	}
	settle(s.st, ok)
	s.cp = nil
}

// chance does something that must not make a difference.
func (s *survivor) chance(int64) {
	switch {
	case s.cp != nil && s.rnd.IntN(30) == 0:
		s.finish(false)
	case s.cp != nil:
		if s.encode() {
			s.finish(s.rnd.IntN(5) > 0)
		}
	case s.rnd.IntN(8) == 0:
		s.begin()
	}
	if s.rnd.IntN(3) == 0 {
		for i := range s.units {
			s.st.Unit(i).Evict(s.rnd.Int64N(1 << 20))
		}
	}
	if err := s.st.Err(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *survivor) count() {
	for _, u := range s.st.units {
		loaded, _ := u.win.Moved()
		s.loaded += loaded
	}
}

// live runs a story, dying now and then.
func (s *survivor) live(story []storySecond) {
	s.open()
	for at := 0; at < len(story); at++ {
		s.to(story[at].at)
		s.second(story[at])
		s.chance(s.now)
		if s.rnd.IntN(100) == 0 {
			if s.cp != nil {
				s.cp.Abort()
				s.cp = nil
			}
			s.count()
			if err := s.store.Close(); err != nil {
				s.t.Fatal(err)
			}
			s.open()
			s.crashes++
			at, _ = slices.BinarySearchFunc(story, s.now, func(sec storySecond, now int64) int { return int(sec.at - now) })
			at--
		}
	}
	if s.cp != nil {
		s.finish(false)
	}
	s.count()
	s.to(floor(s.now, Boundary) + 2*Boundary)
}

func TestAStateThatDiesAndIsOpenedAgainIsTheOneThatDidNot(t *testing.T) {
	plan := storyPlan(t, PlanOptions{}, storyRules...)
	for _, units := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d units", units), func(t *testing.T) {
			told := story(uint64(units))
			want := newLife(NewState(plan, units, Limits{Accounted: 1 << 40}, enforced, named), units)
			want.live(told)
			s := &survivor{t: t, rnd: rand.New(rand.NewPCG(uint64(units), 7)), dir: t.TempDir(), units: units, plan: plan}
			s.live(told)
			defer s.store.Close()
			sameLines(t, "lines", s.lines(), want.lines())
			sameContents(t, "state", contents(s.st), contents(want.st))
			if s.commits < 5 || s.aborts < 2 || s.crashes < 3 || s.unaligned == 0 || s.loaded < 100 {
				t.Errorf("%d commits, %d aborts, %d crashes, %d cuts while something travelled, %d keys read back: too few", s.commits, s.aborts, s.crashes, s.unaligned, s.loaded)
			}
			t.Logf("%d lines, %d commits, %d aborts, %d crashes, %d cuts while something travelled, %d keys read back", len(want.decisions), s.commits, s.aborts, s.crashes, s.unaligned, s.loaded)
		})
	}
}

// Encoding, dropping and decoding units all along makes no difference.
func TestAStateThatIsDecodedAllAlongIsTheSame(t *testing.T) {
	plan := storyPlan(t, PlanOptions{}, storyRules...)
	told := story(2)
	want := newLife(NewState(plan, 4, Limits{Accounted: 1 << 40}, enforced, named), 4)
	want.live(told)
	l := newLife(NewState(plan, 4, Limits{Accounted: 1 << 40}, enforced, named), 4)
	l.after = func(int64) {
		for i := range l.st.Units() {
			if err := l.st.Recode(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.live(told)
	sameLines(t, "lines", l.lines(), want.lines())
	sameContents(t, "state", contents(l.st), contents(want.st))
}

// A store that is attached late gets all that there was before.
func TestAStoreThatIsAttachedLateHasEverything(t *testing.T) {
	plan := storyPlan(t, PlanOptions{}, storyRules...)
	told := story(4)
	want := newLife(NewState(plan, 2, Limits{Accounted: 1 << 40}, enforced, named), 2)
	want.live(told)

	var l *life
	half := len(told) / 2
	for at := int64(0); ; half++ { // while something is in force and shown
		l = newLife(NewState(plan, 2, Limits{Accounted: 1 << 40}, enforced, named), 2)
		l.tell(told[:half])
		if at = int64(l.st.units[0].ends.Len() + l.st.units[1].ends.Len()); at > 0 && len(l.st.board.on) > 0 {
			break
		}
	}
	dir := t.TempDir()
	s := openStore(t, dir, 2)
	l.st.Attach(s)
	checkpoint(t, l.st, s, l.now)
	if n := l.st.Unit(0).Dirty() + l.st.Unit(1).Dirty(); n != 0 {
		t.Errorf("%d bytes are dirty behind a checkpoint", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, 2)
	defer s.Close()
	last, _ := s.Last()
	st, err := OpenState(plan, 2, Limits{Accounted: 1 << 40}, enforced, named, s, last.Meta, last.Units)
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, "opened", contents(st), contents(l.st))
	l.st = st
	l.live(told[half:])
	sameLines(t, "lines", l.lines(), want.lines())
}

// A store that lost part of what a checkpoint wrote is no state.
func TestAStateThatDoesNotFitItsStoreIsRefused(t *testing.T) {
	plan := storyPlan(t, PlanOptions{}, storyRules...)
	l := newLife(NewState(plan, 2, Limits{Accounted: 1 << 40}, enforced, named), 2)
	told := story(4)
	for n := 50; len(l.st.board.on) == 0 || l.st.units[0].ends.Len()+l.st.units[1].ends.Len() == 0; n++ {
		l = newLife(NewState(plan, 2, Limits{Accounted: 1 << 40}, enforced, named), 2)
		l.tell(told[:n])
	}
	s := openStore(t, t.TempDir(), 2)
	defer s.Close()
	l.st.Attach(s)
	checkpoint(t, l.st, s, l.now)
	last, _ := s.Last()
	open := func(p *Plan, units int, meta []byte, heads [][]byte) error {
		_, err := OpenState(p, units, Limits{Accounted: 1 << 40}, enforced, named, s, meta, heads)
		return err
	}
	if err := open(plan, 2, last.Meta, last.Units); err != nil {
		t.Fatal(err)
	}
	other := storyPlan(t, PlanOptions{}, append([]string{strings.Replace(storyRules[0], ">= 3", ">= 4", 1)}, storyRules[1:]...)...)
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{"other rules", open(other, 2, last.Meta, last.Units), "loaded is story.source"},
		{"fewer rules", open(storyPlan(t, PlanOptions{}, storyRules[:5]...), 2, last.Meta, last.Units), "has rule story.reader"},
		{"other units", open(plan, 4, last.Meta, last.Units), "a checkpoint of 2 units, must be of 4"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, c.err, c.want)
		}
	}
	// A grant of another unit, and one that cannot be read.
	for i, u := range l.st.units {
		g := anyGrant(u)
		if g == nil {
			continue
		}
		for what, c := range map[string]struct {
			unit  int
			value []byte
		}{"another unit's": {1 - i, g.append(nil)}, "cut": {i, g.append(nil)[:20]}} {
			put := func(value []byte) {
				cp := s.Begin(nil)
				if err := cp.Put(c.unit, grantTable, s.Unit(c.unit).Page(grantTable, g.place), state.AppendChange(nil, g.place, value)); err != nil {
					t.Fatal(err)
				}
				if err := cp.Commit(context.Background(), last); err != nil {
					t.Fatal(err)
				}
			}
			put(c.value)
			if err := open(plan, 2, last.Meta, last.Units); !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), "grant") {
				t.Errorf("%s grant: %v", what, err)
			}
			if c.unit == i {
				put(g.append(nil))
			} else {
				put(nil)
			}
		}
		return
	}
	t.Error("no grant was tried")
}

// anyGrant returns a grant of a unit; nil where it has none.
func anyGrant(u *Unit) (g *grant) {
	for _, gs := range u.grants {
		if len(gs) > 0 {
			g = gs[0]
		}
	}
	return g
}

// cut takes a whole state as it is.
func cut(st *State) (shared []byte, heads [][]byte) {
	shared = st.Shared()
	for i := range st.Units() {
		heads = append(heads, st.Unit(i).Cut(i%2 == 0))
	}
	return shared, heads
}

// settle says of all units what became of a checkpoint.
func settle(st *State, ok bool) {
	for i := range st.Units() {
		st.Unit(i).Settle(ok)
	}
}
