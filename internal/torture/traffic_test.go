package torture

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Where the log begins. A day and more of few requests stands before the live
// part, so that windows slide and it is known who is a regular; the live part
// begins before a whole hour, at which that changes.
var (
	historyFrom = time.Date(2026, 3, 5, 6, 0, 30, 0, time.UTC)
	liveFrom    = time.Date(2026, 3, 6, 9, 59, 20, 0, time.UTC)
)

const (
	// pace is how many seconds of the log pass in one of the clock on the wall.
	// It is more than one, so that what is written after a silence is always
	// newer than what a silence closes.
	pace = 10
	// jitter is how far out of order lines are: less than disorder says.
	jitter = 1500 * time.Millisecond
	// silentFor bounds how long a campaign may write for.
	silentFor = time.Hour
)

// log is one of the logs that requests are written to.
type log interface {
	// write appends requests and notes their offsets.
	write(rs []*request) error
	// flush returns when all that was written is where weir can read it.
	flush() error
	// name returns the source's name in the configuration and the number of the
	// partition in it.
	name() (source string, partition int32)
}

// traffic writes attackers and honest visitors into some logs.
type traffic struct {
	logs []log
	rate float64 // requests a second of the wall's clock
	rng  *rand.Rand

	mu     sync.Mutex
	sent   []*request // in the order in which they were made
	last   int64      // the time of the newest, without jitter, in milliseconds
	failed error

	tries [attackers]int
	made  int // requests, by whoever writes

	// recount, where it is set, says what the logs really hold.
	recount func(sent []*request) ([]*request, error)

	stopping chan struct{}
	stopped  chan struct{}
	stopOnce sync.Once
}

// newTraffic writes the history and returns who will write the rest.
func newTraffic(seed uint64, rate float64, s sources) (*traffic, error) {
	logs := s.logs
	w := &traffic{
		logs: logs, recount: s.recount, rate: rate, rng: rand.New(rand.NewPCG(seed, 1)),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	var past []*request
	for at := historyFrom; at.Before(liveFrom); at = at.Add(2 * time.Minute) {
		for i := range logs {
			r := w.next()
			r.at, r.log = at.UnixMilli(), i
			past = append(past, r)
		}
	}
	w.last = liveFrom.UnixMilli()
	return w, errors.Join(w.write(past), w.flush())
}

// start writes requests as time passes, until stop.
func (w *traffic) start(t *testing.T) {
	begun, from := time.Now(), w.last
	go func() {
		defer close(w.stopped)
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		made := 0
		for time.Since(begun) < silentFor {
			select {
			case <-w.stopping:
				return
			case now := <-every.C:
				passed := now.Sub(begun)
				due := int(w.rate*passed.Seconds()) - made
				if err := w.burst(due, from+passed.Milliseconds()*pace); err != nil {
					w.mu.Lock()
					w.failed = err
					w.mu.Unlock()
					return
				}
				made += max(0, due)
			}
		}
	}()
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("the log could not be written: %v", err)
		}
	})
}

// stop ends the writing and returns with what it failed.
func (w *traffic) stop() error {
	w.stopOnce.Do(func() { close(w.stopping) })
	<-w.stopped
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.failed, w.flush())
}

// burst writes n requests of the time between the last ones and now.
func (w *traffic) burst(n int, now int64) error {
	if n <= 0 {
		return nil
	}
	rs := make([]*request, n)
	for i := range rs {
		r := w.next()
		r.at = w.last + (now-w.last)*int64(i+1)/int64(n)
		if w.rng.IntN(2) == 0 {
			r.at -= w.rng.Int64N(jitter.Milliseconds())
		}
		r.at = max(r.at, liveFrom.UnixMilli())
		r.log = w.rng.IntN(len(w.logs))
		rs[i] = r
	}
	w.last = now
	return w.write(rs)
}

// write gives requests to their logs.
func (w *traffic) write(rs []*request) error {
	by := make([][]*request, len(w.logs))
	for _, r := range rs {
		w.made++
		r.id = w.made
		by[r.log] = append(by[r.log], r)
	}
	var err error
	for i, l := range w.logs {
		if len(by[i]) > 0 {
			err = errors.Join(err, l.write(by[i]))
		}
	}
	w.mu.Lock()
	w.sent = append(w.sent, rs...)
	w.mu.Unlock()
	return err
}

func (w *traffic) flush() (err error) {
	for _, l := range w.logs {
		err = errors.Join(err, l.flush())
	}
	return err
}

// count returns how many requests there are.
func (w *traffic) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sent)
}

const (
	attackers = 8    // addresses that try accounts
	visitors  = 3000 // addresses that look around
	regulars  = 40   // addresses that log in and succeed
)

// next makes a request without its time.
func (w *traffic) next() *request {
	switch dice := w.rng.IntN(1000); {
	case dice < 35: // tries one account after the other, and gets into few
		who := w.rng.IntN(attackers)
		if dice < 20 { // one of them is busier
			who = 0
		}
		w.tries[who]++
		r := &request{address: fmt.Sprintf("203.0.113.%d", who+1), post: true, path: "/login", status: 401, bytes: 500 + w.rng.Int64N(9)}
		r.user = fmt.Sprintf("victim%d@mail.example", who*40+w.tries[who]%70) // some are tried by two
		if who%2 == 1 && w.rng.IntN(12) == 0 {
			r.status = 302
		}
		return r
	case dice < 45: // people, with their own account
		who := w.rng.IntN(regulars)
		r := &request{address: fmt.Sprintf("198.51.100.%d", who+1), post: true, path: "/login", status: 302, bytes: 700}
		if who%4 == 3 {
			r.address = fmt.Sprintf("2001:db8:0:%x::%x", who, 1+w.rng.IntN(5))
		}
		r.user = fmt.Sprintf("Person%d@mail.example", who)
		if w.rng.IntN(6) == 0 {
			r.status = 401
		}
		return r
	}
	who := w.rng.IntN(visitors)
	r := &request{address: fmt.Sprintf("198.18.%d.%d", who/250, who%250), status: 200, bytes: 1000 + w.rng.Int64N(20_000)}
	switch w.rng.IntN(4) {
	case 0:
		r.path = "/"
	case 1:
		r.path = "/search"
	default:
		r.path = fmt.Sprintf("/products/%d", w.rng.IntN(500))
	}
	return r
}

const sweepPath = "/sweep"

// finish ends the log so that every count shows: each address comes once more,
// and what follows closes all seconds up to the tick that it returns.
func (w *traffic) finish() (last int64, err error) {
	if err := w.stop(); err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	var sweep []*request
	at := w.last/1000 + 5
	for _, r := range w.sent {
		if !seen[r.address] {
			seen[r.address] = true
			sweep = append(sweep, &request{at: at * 1000, address: r.address, path: sweepPath, status: 200, bytes: 1, log: len(sweep) % len(w.logs)})
		}
	}
	last = (at/10 + 3) * 10
	beat := func(at int64, log int) *request {
		return &request{at: at * 1000, address: "198.18.255.1", path: "/", status: 200, bytes: 1, log: log}
	}
	sweep = append(sweep, beat(last-1, 0))
	for i := range w.logs {
		sweep = append(sweep, beat(last+10, i))
	}
	if err := errors.Join(w.write(sweep), w.flush()); err != nil || w.recount == nil {
		return last, err
	}
	w.sent, err = w.recount(w.sent)
	return last, err
}
