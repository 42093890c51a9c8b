package emit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
)

// scripted is a point whose moods a test decides.
type scripted struct {
	caps Capabilities

	mu      sync.Mutex
	held    []Entry
	stale   []Entry // what Read returns while it lags
	lag     time.Time
	rng     *rand.Rand // nil: it is well
	fail    error      // of each Apply
	unread  error      // of each Read
	applies []time.Time
	lists   [][]Entry
	reads   int
	inside  bool
}

func (p *scripted) Name() string               { return "scripted" }
func (p *scripted) Capabilities() Capabilities { return p.caps }
func (p *scripted) Try(context.Context) error  { return nil }
func (p *scripted) Setup() string              { return "" }
func (p *scripted) Close() error               { return nil }
func (p *scripted) do(f func(*scripted))       { p.mu.Lock(); defer p.mu.Unlock(); f(p) }
func (p *scripted) chance(percent int) bool    { return p.rng != nil && p.rng.IntN(100) < percent }
func (p *scripted) holds() (out string)        { p.do(func(p *scripted) { out = ips(p.held) }); return out }
func (p *scripted) list() (out []Entry) {
	p.do(func(p *scripted) { out = slices.Clone(p.held) })
	return out
}
func (p *scripted) times() (out []time.Time) {
	p.do(func(p *scripted) { out = slices.Clone(p.applies) })
	return out
}
func (p *scripted) count() (applies, reads int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.applies), p.reads
}

// enter notes that one call at a time is made.
func (p *scripted) enter() func() {
	p.do(func(p *scripted) {
		if p.inside {
			panic("two calls at once")
		}
		p.inside = true
	})
	return func() { p.do(func(p *scripted) { p.inside = false }) }
}

func (p *scripted) mood(ctx context.Context, errs, hangs int) error {
	p.mu.Lock()
	hang, fail := p.chance(hangs), p.chance(errs)
	p.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if fail {
		return errors.New("status 503")
	}
	return nil
}

func (p *scripted) Read(ctx context.Context) (List, error) {
	defer p.enter()()
	p.do(func(p *scripted) { p.reads++ })
	if err := p.mood(ctx, 40, 10); err != nil {
		return List{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread != nil {
		return List{}, p.unread
	}
	if time.Now().Before(p.lag) {
		return List{Entries: slices.Clone(p.stale)}, nil
	}
	return List{Entries: slices.Clone(p.held)}, nil
}

func (p *scripted) Apply(ctx context.Context, _, want List) error {
	defer p.enter()()
	p.do(func(p *scripted) { p.applies = append(p.applies, time.Now()) })
	if err := p.mood(ctx, 40, 10); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.stale = p.held
	p.held = slices.Clone(want.Entries)
	for i := range p.held {
		if p.held[i].Decision = nil; !p.caps.Ends {
			p.held[i].Until, p.held[i].ID = time.Time{}, ""
		}
	}
	p.lists = append(p.lists, p.held)
	if p.chance(20) {
		p.lag = time.Now().Add(3 * time.Second)
	}
	if p.chance(10) {
		return errors.New("connection reset after the request")
	}
	return nil
}

// law is what is in force, as the ledger would say it.
type law struct {
	mu      sync.Mutex
	force   *Force
	changed chan struct{}
}

func newLaw(es ...*InForce) *law { return &law{force: well(es...), changed: make(chan struct{})} }

func (l *law) set(f *Force) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.force = f
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *law) InForce() *Force          { l.mu.Lock(); defer l.mu.Unlock(); return l.force }
func (l *law) Changed() <-chan struct{} { l.mu.Lock(); defer l.mu.Unlock(); return l.changed }

// decided makes an entry that ends after d from now.
func decided(n int, ip string, d time.Duration) *InForce {
	in := forced(n, "ip="+ip, event.Block, 0)
	in.Until = time.Now().Add(d)
	return in
}

func logTo(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// running runs reconcilers in a bubble until the test's function returns.
func running(t *testing.T, test func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		test(t, func(l *law, p Point, log *slog.Logger) *Reconciler {
			if log == nil {
				log = slog.New(slog.DiscardHandler)
			}
			r := newReconciler(l.InForce, l.Changed, p, &Guards{}, log)
			wg.Go(func() {
				if err := r.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
			synctest.Wait()
			return r
		})
		cancel()
		wg.Wait()
	})
}

func ips(es []Entry) string {
	var out []string
	for _, e := range es {
		out = append(out, e.Prefix.Addr().String())
	}
	return strings.Join(out, " ")
}

var ending = Capabilities{Actions: onlyBlock, Ends: true, MinInterval: 2 * time.Second}

func TestAPointIsBroughtToWhatIsInForce(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		var log bytes.Buffer
		l, p := newLaw(decided(1, "192.0.2.1", time.Hour)), &scripted{caps: ending}
		p.held = []Entry{{Prefix: prefixes("192.0.2.9/32")[0], Action: event.Block, Until: time.Now().Add(time.Hour).UTC(), ID: "f"}}
		r := run(l, p, logTo(&log))
		if got := p.holds(); got != "192.0.2.1" {
			t.Fatalf("holds %q", got)
		}
		if s := r.Status(); s.Desired != 1 || s.Held != 1 || s.Drift != 0 || s.Applied != 1 || s.Error != "" || s.Seen.IsZero() || s.Name != "scripted" {
			t.Errorf("%+v", s)
		}
		if got, want := log.String(), `level=INFO msg="list changed" point=scripted added=1 removed=1 entries=1`+"\n"; got != want {
			t.Errorf("logged %q, want %q", got, want)
		}
		elapse(2 * time.Second)
		l.set(well(decided(1, "192.0.2.1", time.Hour), decided(2, "192.0.2.2", time.Hour)))
		synctest.Wait()
		if got := p.holds(); got != "192.0.2.1 192.0.2.2" {
			t.Errorf("a change is not applied at once: %q", got)
		}
		// Somebody takes one out by hand.
		p.do(func(p *scripted) { p.held = p.held[:1] })
		elapse(reconcileEvery + time.Second)
		if got := p.holds(); got != "192.0.2.1 192.0.2.2" {
			t.Errorf("drift is not repaired: %q", got)
		}
		if a, _ := p.count(); a != 3 {
			t.Errorf("%d lists, want 3", a)
		}
		elapse(time.Minute)
		if a, reads := p.count(); a != 3 || reads < 10 || reads > 20 {
			t.Errorf("%d lists, %d reads in quiet times", a, reads)
		}
	})
}

func TestARenewalIsApplied(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		l, p := newLaw(decided(1, "192.0.2.1", time.Hour)), &scripted{caps: ending}
		run(l, p, nil)
		elapse(3 * time.Second)
		later := decided(1, "192.0.2.1", 2*time.Hour)
		l.set(well(later))
		synctest.Wait()
		if len(p.list()) != 1 || !p.list()[0].Until.Equal(later.Until) {
			t.Errorf("%+v", p.list())
		}
	})
}

func TestListsAreNotFasterThanThePointTakesThem(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		l, p := newLaw(), &scripted{caps: ending}
		run(l, p, nil)
		var es []*InForce
		for i := range 100 {
			es = append(es, decided(i, fmt.Sprintf("192.0.2.%d", i), time.Hour))
			l.set(well(slices.Clone(es)...))
			elapse(100 * time.Millisecond)
		}
		elapse(3 * time.Second)
		a, reads := p.count()
		if a < 5 || a > 7 || reads > 3*a {
			t.Errorf("%d lists and %d reads in 10 s", a, reads)
		}
		checkPace(t, p)
		if len(p.list()) != 100 {
			t.Errorf("holds %d", len(p.list()))
		}
	})
}

func checkPace(t *testing.T, p *scripted) {
	t.Helper()
	for i := 1; i < len(p.times()); i++ {
		if d := p.times()[i].Sub(p.times()[i-1]); d < p.caps.MinInterval {
			t.Errorf("two lists within %v", d)
		}
	}
}

func TestAnEndAloneIsNoReasonForAReload(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		stays := decided(1, "192.0.2.1", time.Hour)
		l, p := newLaw(stays, decided(2, "192.0.2.2", 5*time.Second)), &scripted{caps: ending}
		r := run(l, p, nil)
		elapse(6 * time.Second)
		l.set(well(stays)) // as the ledger does when it ends
		elapse(25 * time.Second)
		if a, _ := p.count(); a != 1 {
			t.Errorf("%d lists for an end that the point acts on itself", a)
		}
		if s := r.Status(); s.Held != 1 || s.Drift != 0 {
			t.Errorf("%+v: what is over is neither held nor drift", s)
		}
		elapse(20 * time.Second)
		if a, _ := p.count(); a != 2 || p.holds() != "192.0.2.1" {
			t.Errorf("%d lists, holds %q: what is over is not swept", a, p.holds())
		}
	})
}

func TestAnEndIsAppliedAtOnceWhereThePointKeepsNone(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		p := &scripted{caps: Capabilities{Actions: onlyBlock}}
		run(newLaw(decided(1, "192.0.2.1", time.Hour), decided(2, "192.0.2.2", 5*time.Second)), p, nil)
		elapse(4900 * time.Millisecond)
		if got := p.holds(); got != "192.0.2.1 192.0.2.2" {
			t.Fatalf("%q", got)
		}
		elapse(200 * time.Millisecond)
		if got := p.holds(); got != "192.0.2.1" {
			t.Errorf("%q right after the end", got)
		}
	})
}

func TestAnEmptyListMustBeMeant(t *testing.T) {
	for _, caps := range []Capabilities{ending, {Actions: onlyBlock}} {
		running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
			l, p := newLaw(decided(1, "192.0.2.1", time.Hour), decided(2, "192.0.2.2", time.Minute)), &scripted{caps: caps}
			r := run(l, p, nil)
			elapse(5 * time.Second)
			l.set(&Force{})
			elapse(15 * time.Second)
			if got := p.holds(); got != "192.0.2.1 192.0.2.2" {
				t.Errorf("%q: an empty list that is not meant was applied", got)
			}
			if s := r.Status(); !strings.Contains(s.Error, "the ledger is not well") {
				t.Errorf("%+v", s)
			}
			// What is over goes all the same.
			elapse(2 * time.Minute)
			if got := p.holds(); got != "192.0.2.1" {
				t.Errorf("%q: what is over stays", got)
			}
			elapse(time.Hour)
			if got := p.holds(); got != "" {
				t.Errorf("%q: what is over stays", got)
			}
			l.set(well(decided(3, "192.0.2.3", time.Hour)))
			elapse(time.Minute)
			l.set(well())
			elapse(time.Minute)
			if got := p.holds(); got != "" || r.Status().Error != "" {
				t.Errorf("%q, %+v: an empty list that is meant", got, r.Status())
			}
		})
	}
}

func TestARefusedListWaitsForAnother(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		l, p := newLaw(decided(1, "192.0.2.1", time.Hour)), &scripted{caps: ending}
		p.fail = fmt.Errorf("%w: entry 1 is no good", ErrPermanent)
		r := run(l, p, nil)
		elapse(5 * time.Minute)
		if a, reads := p.count(); a != 1 || reads < 5 {
			t.Errorf("%d tries, %d reads with a list that the point refuses", a, reads)
		}
		if s := r.Status(); s.Drift != 1 || !strings.Contains(s.Error, "entry 1 is no good") {
			t.Errorf("%+v", s)
		}
		p.do(func(p *scripted) { p.fail = nil })
		l.set(well(decided(2, "192.0.2.2", time.Hour)))
		elapse(maxBackoff)
		if got := p.holds(); got != "192.0.2.2" || r.Status().Error != "" {
			t.Errorf("%q, %+v after another list", got, r.Status())
		}
	})
}

func TestWhatCannotBeReadHasNoKnownDrift(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		var log bytes.Buffer
		l, p := newLaw(decided(1, "192.0.2.1", time.Hour)), &scripted{caps: ending}
		p.unread = fmt.Errorf("%w: no socket", ErrUnreadable)
		r := run(l, p, logTo(&log))
		if s := r.Status(); s.Drift != -1 || s.Desired != 1 || s.Error != "unreadable: no socket" {
			t.Errorf("%+v", s)
		}
		elapse(4*time.Minute + 30*time.Second)
		if a, reads := p.count(); a != 0 || reads < 12 || reads > 40 {
			t.Errorf("%d lists, %d reads", a, reads)
		}
		if n := strings.Count(log.String(), "no socket"); n < 4 || n > 5 {
			t.Errorf("the same error is logged %d times in 4.5 min:\n%s", n, &log)
		}
		p.do(func(p *scripted) { p.unread = nil })
		elapse(maxBackoff)
		if s := r.Status(); s.Drift != 0 || p.holds() != "192.0.2.1" || !strings.Contains(log.String(), "well again") {
			t.Errorf("%+v\n%s", s, &log)
		}
	})
}

func TestAListThatDoesNotTakeIsAnError(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		p := &scripted{caps: ending}
		p.lag = time.Now().Add(time.Hour) // it goes on showing what it held before
		r := run(newLaw(decided(1, "192.0.2.1", time.Hour)), p, nil)
		if s := r.Status(); s.Drift != 1 || !strings.Contains(s.Error, "1 differ in what was read back") {
			t.Errorf("%+v", s)
		}
	})
}

func TestAPointOfMoodsConverges(t *testing.T) {
	for seed := range uint64(20) {
		running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
			caps := ending
			caps.Ends = seed%2 == 0
			l := newLaw()
			bad, good := &scripted{caps: caps, rng: rand.New(rand.NewPCG(seed, 1))}, &scripted{caps: caps}
			r := run(l, bad, nil)
			run(l, good, nil)
			rng := rand.New(rand.NewPCG(seed, 2))
			var want string
			for range 60 {
				var es []*InForce
				want = ""
				for i := range 20 {
					if rng.IntN(2) == 0 {
						ip := fmt.Sprintf("192.0.2.%d", 100+i)
						es = append(es, decided(i, ip, 2*time.Hour))
						want += " " + ip
					}
				}
				l.set(well(es...))
				elapse(time.Duration(rng.IntN(5000)) * time.Millisecond)
				good.do(func(p *scripted) {
					if len(p.applies) == 0 || time.Since(p.applies[len(p.applies)-1]) > 5*time.Second {
						t.Error("a point that is well waits for one that is not")
					}
				})
			}
			want = strings.TrimSpace(want)
			bad.do(func(p *scripted) { p.rng, p.lag = nil, time.Time{} })
			for hangs := true; hangs; bad.do(func(p *scripted) { hangs = p.inside }) {
				elapse(time.Second) // a call that hangs is not over yet
			}
			elapse(maxBackoff)
			if got := ips(bad.held); got != want || r.Status().Drift != 0 || r.Status().Error != "" {
				t.Errorf("seed %d: holds %q, want %q; %+v", seed, got, want, r.Status())
			}
			checkPace(t, bad)
			if len(bad.applies) == 0 {
				t.Error("no list was tried")
			}
		})
	}
}

func TestAFailingPointIsLeftInPeace(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		caps := ending
		caps.MinInterval = 0
		l, p := newLaw(), &scripted{caps: caps, fail: errors.New("status 503")}
		run(l, p, nil)
		for i := range 3000 { // changes do not shorten the back-off
			l.set(well(decided(i, fmt.Sprintf("192.0.2.%d", i%250), time.Hour)))
			elapse(100 * time.Millisecond)
		}
		a, _ := p.count()
		if a < 10 || a > 25 {
			t.Fatalf("%d tries in 5 min", a)
		}
		if d := p.times()[1].Sub(p.times()[0]); d < minBackoff*3/4 || d > 2*minBackoff+100*time.Millisecond {
			t.Errorf("the second try after %v", d)
		}
		for i := range a - 1 {
			if d := p.times()[i+1].Sub(p.times()[i]); d > maxBackoff+time.Second {
				t.Errorf("%v between two tries", d)
			}
		}
	})
}

func TestOnceLeavesThePointAsItIsToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := newLaw(decided(1, "192.0.2.1", time.Hour)), &scripted{caps: ending}
		r := newReconciler(l.InForce, l.Changed, p, nil, slog.New(slog.DiscardHandler))
		if err := r.Once(t.Context()); err != nil || p.holds() != "192.0.2.1" {
			t.Fatalf("%v, %q", err, p.holds())
		}
		l.set(well())
		if err := r.Once(t.Context()); err != nil || p.holds() != "" {
			t.Fatalf("%v, %q", err, p.holds())
		}
		checkPace(t, p)
		l.set(well(decided(2, "192.0.2.2", time.Hour)))
		p.fail = errors.New("status 500")
		if err := r.Once(t.Context()); err == nil || err.Error() != "point scripted: cannot be changed: status 500" {
			t.Errorf("%v", err)
		}
		p.fail = nil
		if err := r.Once(t.Context()); err != nil || p.holds() != "192.0.2.2" {
			t.Errorf("%v, %q: it tries at once, whatever was before", err, p.holds())
		}
		l.set(well(decided(3, "192.0.2.3", time.Hour)))
		p.fail = fmt.Errorf("%w: no good", ErrPermanent)
		if err := r.Once(t.Context()); !errors.Is(err, ErrPermanent) {
			t.Errorf("%v", err)
		}
		p.fail = nil
		if err := r.Once(t.Context()); err != nil || p.holds() != "192.0.2.3" {
			t.Errorf("%v, %q: what was refused is tried again by who asks for it", err, p.holds())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l.set(well())
		if err := r.Once(ctx); !errors.Is(err, context.DeadlineExceeded) || p.holds() != "192.0.2.3" {
			t.Errorf("%v, %q: the interval is longer than it may take", err, p.holds())
		}
	})
}

func TestRunLeavesWhatThePointHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := newLaw(decided(1, "192.0.2.1", time.Hour)), &scripted{caps: ending}
		r := newReconciler(l.InForce, l.Changed, p, nil, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || p.holds() != "192.0.2.1" {
			t.Errorf("%v, %q", err, p.holds())
		}
	})
}

func TestFaultsOfAListAreLoggedAndCounted(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		var log bytes.Buffer
		r := run(newLaw(decided(1, "10.0.0.1", time.Hour), decided(2, "192.0.2.1", time.Hour)), &scripted{caps: ending}, logTo(&log))
		elapse(time.Minute)
		if s := r.Status(); s.Faults != 1 || s.Held != 1 || strings.Count(log.String(), "guards took") != 1 || !strings.Contains(log.String(), "10.0.0.1") {
			t.Errorf("%+v\n%s", s, &log)
		}
	})
}

// elapse lets time go by, and all that is due then happen.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A ledger that cannot be written is a reason to let nothing in, not to keep
// what people or the breaker took out.
func TestWhatIsTakenBackReachesThePointAlsoWithAFullDisk(t *testing.T) {
	for name, take := range map[string]func(*tester) error{
		"stop": func(l *tester) error { return l.Stop("ann", "customers cannot log in") },
		"unblock": func(l *tester) error {
			_, err := l.Unblock(targetOf("ip", "198.51.100.7"), time.Hour, "ann", "x")
			return err
		},
		"breaker": func(l *tester) error {
			if err := l.Review(l.clock.now, accounts(1000)); err != nil {
				return err
			}
			return l.Review(l.clock.now, standing(func(event.Target) (float64, float64, bool) { return 1000, 1e6, true }))
		},
	} {
		l := reopened(t, ledgerPath(t), &testClock{time.Now().UTC()}, &Guards{})
		l.add(ruled("r", l.clock.now, "ip", "198.51.100.7"))
		p := &scripted{caps: ending}
		r := NewReconciler(l.Ledger, p, &Guards{}, slog.New(slog.DiscardHandler))
		if err := r.Once(t.Context()); err != nil || p.holds() != "198.51.100.7" {
			t.Fatal(name, err, p.holds())
		}
		mend := noDisk(l)
		err := take(l)
		if f := l.InForce(); f.Well || len(f.Entries) != 0 {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
		if err := r.Once(t.Context()); err != nil || p.holds() != "" {
			t.Errorf("%s: the point still holds %s: %v", name, p.holds(), err)
		}
		mend()
	}
}

// picky takes a list but for one entry, which it refuses for good.
type picky struct{ scripted }

func (p *picky) Apply(ctx context.Context, have, want List) error {
	rest := slices.DeleteFunc(slices.Clone(want.Entries), func(e Entry) bool { return e.Prefix.Addr().String() == "192.0.2.66" })
	if err := p.scripted.Apply(ctx, have, List{Entries: rest, Meant: want.Meant}); err != nil || len(rest) == len(want.Entries) {
		return err
	}
	return fmt.Errorf("%w: not 192.0.2.66; the other entries are applied", ErrPermanent)
}

func TestARefusedEntryDelaysNoOtherChange(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		bad, hour := "192.0.2.66", time.Hour
		l, p := newLaw(decided(1, "192.0.2.1", hour), decided(2, bad, hour)), &picky{scripted{caps: ending}}
		r := run(l, p, nil)
		elapse(5 * time.Minute)
		tries, _ := p.count()
		if got := p.holds(); got != "192.0.2.1" || tries > 3 {
			t.Fatalf("%q after %d tries", got, tries)
		}
		want := "192.0.2.1"
		for i := range 10 { // an attack goes on
			want += fmt.Sprintf(" 192.0.2.%d", i+2)
			es := []*InForce{decided(2, bad, hour)}
			for n := range i + 2 {
				es = append(es, decided(10+n, fmt.Sprintf("192.0.2.%d", n+1), hour))
			}
			l.set(well(es...))
			elapse(ending.MinInterval + time.Millisecond)
			if got := p.holds(); got != want {
				t.Fatalf("%q when the point took another list, want %q", got, want)
			}
			if s := r.Status(); !strings.Contains(s.Error, "not 192.0.2.66") {
				t.Errorf("%+v", s)
			}
		}
		f := well()
		f.Stopped = true
		l.set(f)
		elapse(ending.MinInterval + time.Millisecond)
		if got := p.holds(); got != "" || r.Status().Error != "" {
			t.Errorf("stopped: %q, %+v", got, r.Status())
		}
	})
}

// restless refuses everything, and holds something else each time.
type restless struct{ scripted }

func (p *restless) Apply(ctx context.Context, have, want List) error {
	_ = p.scripted.Apply(ctx, have, listOf(inForce(fmt.Sprintf("198.51.100.%d/32", len(p.applies)%200), "", time.Now().Add(time.Hour).Truncate(time.Second))))
	return ErrPermanent
}

func TestARefusingPointThatDoesSomethingElseIsTriedEverMoreSlowly(t *testing.T) {
	running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
		p := &restless{scripted{caps: ending}}
		run(newLaw(decided(1, "192.0.2.1", 2*time.Hour)), p, nil)
		elapse(10 * time.Minute)
		if tries, _ := p.count(); tries < 10 || tries > 40 {
			t.Errorf("%d tries in 10 minutes", tries)
		}
	})
}

// panicky is a point with a fault in its code.
type panicky struct {
	scripted
	inRead, inApply bool
}

func (p *panicky) is(mood *bool) (is bool) { p.do(func(*scripted) { is = *mood }); return is }

func (p *panicky) Read(ctx context.Context) (List, error) {
	if p.is(&p.inRead) {
		panic("index out of range")
	}
	return p.scripted.Read(ctx)
}

func (p *panicky) Apply(ctx context.Context, have, want List) error {
	if p.is(&p.inApply) {
		panic("nil map")
	}
	return p.scripted.Apply(ctx, have, want)
}

func TestAPanicOfAPointIsAnErrorOfThatPoint(t *testing.T) {
	for in, p := range map[string]*panicky{"read panicked: index out of range": {inRead: true}, "apply panicked: nil map": {inApply: true}} {
		p.caps = ending
		running(t, func(t *testing.T, run func(*law, Point, *slog.Logger) *Reconciler) {
			var log bytes.Buffer
			r := run(newLaw(decided(1, "192.0.2.1", time.Hour)), p, logTo(&log))
			elapse(time.Minute)
			if s := r.Status(); !strings.Contains(s.Error, in) || (s.Drift < 0) != p.inRead {
				t.Errorf("%+v", s)
			}
			p.do(func(*scripted) { p.inRead, p.inApply = false, false })
			elapse(time.Minute)
			if s := r.Status(); s.Error != "" || p.holds() != "192.0.2.1" {
				t.Errorf("%+v, %q", s, p.holds())
			}
			if !strings.Contains(log.String(), "panicky") { // the stack says where
				t.Error(log.String())
			}
		})
	}
}
