package api

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"
)

// maxReloadText is how much of what a reload says is passed on, in bytes.
const maxReloadText = 64 << 10

// reload has the engine take the rules and the configuration as they are on
// disk now. There is one at a time: another one would not know which set the
// first leaves.
func (a *Server) reload(r *http.Request) (any, error) {
	o, err := order(r)
	if err != nil {
		return nil, err
	}
	if a.cfg.Reload == nil {
		return nil, refuse(http.StatusConflict, "this run cannot reload; restart it instead: nothing is lost by that")
	}
	if !a.reloading.TryLock() {
		return nil, refuse(http.StatusConflict, "another reload is under way; ask again when it has ended")
	}
	defer a.reloading.Unlock()
	text, err := a.cfg.Reload(r.Context())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, refuse(http.StatusConflict, "not done within %s: the log says what comes of it", reloadTimeout)
	case err != nil:
		a.cfg.Log.Warn("a reload was refused, and the old rules stay", "by", o.By, "error", err)
		return nil, refuse(http.StatusConflict, "%s", cut(err.Error(), maxReloadText))
	}
	a.cfg.Log.Info("reloaded", "by", o.By)
	a.awaitStatus(r.Context())
	return Done{Text: cut(text, maxReloadText)}, nil
}

// freshWithin is how long an answer waits for the engine to say how it stands.
const freshWithin = 2 * time.Second

// awaitStatus waits until the engine has said how it stands from now on, so that
// whoever asks behind a reload is not told how it stood before.
func (a *Server) awaitStatus(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, freshWithin)
	defer cancel()
	look := time.NewTicker(freshWithin / 100)
	defer look.Stop()
	for from := a.cfg.Now(); ; {
		if st := a.cfg.Status(); st != nil && st.At.After(from) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// cut returns at most n bytes of a text, whole runes, and marks what it cuts.
func cut(s string, n int) string {
	const mark = "…"
	if len(s) <= n {
		return s
	}
	s = s[:n-len(mark)]
	for len(s) > 0 {
		if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s + mark
}
