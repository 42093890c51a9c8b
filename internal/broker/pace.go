package broker

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
)

// The pauses between attempts to log in while none has succeeded. Brokers, and
// whoever watches them, take quick failures for an attack and may lock the
// account.
const (
	minPause = time.Second
	maxPause = 5 * time.Second
)

// paced is a mechanism that does not hammer: an attempt waits until the one
// before it has succeeded, or a pause has passed. A client retries on
// its own and over several connections, so the brake sits here, where every
// attempt has to come by.
type paced struct {
	sasl.Mechanism
	user string

	mu       sync.Mutex
	last     time.Time     // when the last attempt began
	open     bool          // it has not succeeded
	failures int           // attempts in a row that have not
	settled  chan struct{} // closed when an attempt succeeds; made for each
}

func newPaced(m sasl.Mechanism, user string) *paced { return &paced{Mechanism: m, user: user} }

// Authenticate begins an attempt as soon as it may.
func (p *paced) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	settled, err := p.wait(ctx)
	if err != nil {
		return nil, nil, err
	}
	s, first, err := p.Mechanism.Authenticate(ctx, host)
	if err != nil {
		return nil, nil, err
	}
	return &pacedSession{Session: s, of: p, settled: settled}, first, nil
}

// wait returns when an attempt may begin, and the channel that it settles. The
// outcome of a first attempt is worth waiting for; where logins fail it returns
// errPaused at once, since a client that waits in here answers nobody.
func (p *paced) wait(ctx context.Context) (chan struct{}, error) {
	for {
		p.mu.Lock()
		left := p.left()
		if left <= 0 {
			if p.open {
				p.failures++
			}
			p.last, p.open, p.settled = time.Now(), true, make(chan struct{})
			c := p.settled
			p.mu.Unlock()
			return c, nil
		}
		failing, settled := p.failures > 0, p.settled
		p.mu.Unlock()
		if failing {
			return nil, errPaused
		}
		t := time.NewTimer(left)
		select {
		case <-settled:
			t.Stop()
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

// left returns how long no attempt may begin.
func (p *paced) left() time.Duration {
	if !p.open {
		return 0
	}
	return time.Until(p.last.Add(pause(p.failures)))
}

// pausing reports whether logins fail and the next one may not begin yet, so
// that there is no use in a connection either.
func (p *paced) pausing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures > 0 && p.left() > 0
}

// errPaused is what a client gets that may not log in yet. It looks like a
// connection that failed, which clients try again later.
var errPaused = &net.OpError{Op: "dial", Net: "tcp", Err: errNotYet}

var errNotYet = errors.New("the last logins failed, the next one is not due yet")

// pause is how long the next attempt waits after so many earlier failures.
func pause(failures int) time.Duration { return min(minPause<<min(failures, 8), maxPause) }

// succeeded says that an attempt did.
func (p *paced) succeeded(settled chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = 0
	select {
	case <-settled:
	default:
		close(settled)
	}
	if settled == p.settled {
		p.open = false
	}
}

// failing reports whether the last attempt has not succeeded.
func (p *paced) failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// hopeless reports whether more than one attempt in a row has not succeeded.
func (p *paced) hopeless() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open && (p.failures > 0 || time.Since(p.last) > minPause)
}

type pacedSession struct {
	sasl.Session
	of      *paced
	settled chan struct{}
}

// Challenge passes on what the broker answers; the last answer is that the
// attempt succeeded.
func (s *pacedSession) Challenge(b []byte) (done bool, next []byte, err error) {
	done, next, err = s.Session.Challenge(b)
	if done && err == nil {
		s.of.succeeded(s.settled)
	}
	return done, next, err
}
