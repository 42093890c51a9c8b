package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sasl/plain"
)

func TestAttemptsThatFailAreFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(plain.Auth{User: "u", Pass: "p"}.AsMechanism(), "u")
		begin := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for range 8 { // as many connections that fail at once and try again
			wg.Go(func() {
				for {
					_, _, err := p.Authenticate(ctx, "k:1")
					switch {
					case errors.Is(err, errNotYet):
						if !p.pausing() {
							t.Error("a login is put off without a pause")
						}
						time.Sleep(100 * time.Millisecond)
						continue
					case err != nil || ctx.Err() != nil:
						return
					}
					mu.Lock()
					at = append(at, time.Since(begin))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 12 * time.Second, 17 * time.Second}
		if len(at) != 14 {
			t.Fatalf("got %d attempts in a minute, want 14: %v", len(at), at)
		}
		for i, w := range want {
			if at[i] != w {
				t.Errorf("attempt %d was at %v, want %v", i, at[i], w)
			}
		}
	})
}

func TestAttemptsThatSucceedDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(plain.Auth{User: "u", Pass: "p"}.AsMechanism(), "u")
		begin := time.Now()
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				s, _, err := p.Authenticate(t.Context(), "k:1")
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(10 * time.Millisecond) // the broker's answer
				if _, _, err := s.Challenge(nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took > 200*time.Millisecond || p.failing() {
			t.Errorf("12 logins took %v, failing %v", took, p.failing())
		}
	})
}
