package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"weir/pipeline"
)

const byAlice = `{"by":"alice"}`

func TestAReloadSaysWhatChangedOrWhyNot(t *testing.T) {
	var text string
	var fails error
	r := newRig(t, func(r *rig) {
		r.cfg.Reload = func(context.Context) (string, error) { return text, fails }
	}).run()
	text = "1 rule changed\nown.tries is complete from 10:00:00 on"
	code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if done := decode[Done](t, answer); code != http.StatusOK || done.Text != text {
		t.Errorf("status %d, %q", code, answer)
	}
	text, fails = "", errors.New("rules/own/tries.yaml:11:7: when: unknown name fials\n | fials >= 20\n | ^")
	code, answer, _ = r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if why := decode[map[string]string](t, answer)["error"]; code != http.StatusConflict || why != fails.Error() {
		t.Errorf("status %d, %q", code, answer)
	}
	if !strings.Contains(r.log.String(), "the old rules stay") || !strings.Contains(r.log.String(), "by=alice") {
		t.Errorf("the log says: %s", &r.log)
	}
	if code, answer, _ = r.ask(overSocket, "POST", "/api/v1/reload", "{}"); code != http.StatusBadRequest {
		t.Errorf("nobody: status %d, %s", code, answer)
	}
	d, err := NewClient(r.socket).Reload(t.Context(), Order{By: "alice"})
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Text != fails.Error() {
		t.Errorf("%+v, %v", d, err)
	}
	text, fails = "nothing changed", nil
	if d, err = NewClient(r.socket).Reload(t.Context(), Order{By: "alice"}); err != nil || d.Text != text {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestARunThatCannotReloadSaysSo(t *testing.T) {
	r := newRig(t, nil).run()
	code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if code != http.StatusConflict || !strings.Contains(answer, "restart it instead") {
		t.Errorf("status %d, %s", code, answer)
	}
}

func TestThereIsOneReloadAtATime(t *testing.T) {
	began, end := make(chan bool), make(chan bool)
	r := newRig(t, func(r *rig) {
		r.cfg.Reload = func(context.Context) (string, error) {
			began <- true
			<-end
			return "done", nil
		}
	}).run()
	first := make(chan int, 1)
	go func() {
		code, _, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
		first <- code
	}()
	<-began
	code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if code != http.StatusConflict || !strings.Contains(answer, "under way") {
		t.Errorf("status %d, %s", code, answer)
	}
	close(end)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first: status %d", code)
	}
	go func() { <-began }()
	if code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice); code != http.StatusOK {
		t.Errorf("another one after it: status %d, %s", code, answer)
	}
}

// A reload outlasts what other answers may take: neither deadline of the
// connection cuts it short.
func TestAReloadMayTakeLongerThanOtherAnswers(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.cfg.Reload = func(ctx context.Context) (string, error) {
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > reloadTimeout {
				return "", errors.New("it has no end")
			}
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(300 * time.Millisecond):
				return "done", nil
			}
		}
	})
	l, err := listenSocket(r.socket, &r.srv.refused)
	if err != nil {
		t.Fatal(err)
	}
	srv := r.srv.server(l)
	srv.ReadTimeout, srv.WriteTimeout = 50*time.Millisecond, 100*time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if code != http.StatusOK || !strings.Contains(answer, "done") {
		t.Errorf("status %d, %s", code, answer)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestAReloadThatTakesTooLongIsNotWaitedFor(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.cfg.Reload = func(context.Context) (string, error) { return "", context.DeadlineExceeded }
	}).run()
	code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if code != http.StatusConflict || !strings.Contains(answer, "not done within 2m0s: the log says what comes of it") {
		t.Errorf("status %d, %s", code, answer)
	}
}

func TestWhatAReloadSaysIsBounded(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"abcd", 4, "abcd"}, {"abcde", 4, "a…"}, {"aéé", 5, "aéé"}, {"aééé", 6, "aé…"}, {"a\xff\xff\xff\xff", 4, "a…"},
	} {
		if got := cut(c.text, c.n); got != c.want || len(got) > c.n {
			t.Errorf("%q in %d: %q, must be %q", c.text, c.n, got, c.want)
		}
	}
	long := strings.Repeat("é", maxReloadText)
	r := newRig(t, func(r *rig) {
		r.cfg.Reload = func(context.Context) (string, error) { return long, nil }
	}).run()
	_, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice)
	if got := decode[Done](t, answer).Text; len(got) > maxReloadText || len(got) < maxReloadText-4 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestWhatCannotBeKeptIsAReason(t *testing.T) {
	r := newRig(t, nil)
	if reasons := r.srv.reasons(r.status, time.Now()); len(reasons) != 0 {
		t.Fatal(reasons)
	}
	r.status.Checkpoint.Why = "the disk is full"
	r.status.Archive = pipeline.ArchiveStatus{On: true, Why: "no room"}
	reasons := r.srv.reasons(r.status, time.Now())
	if len(reasons) != 2 || reasons[0] != "the state cannot be written to disk: the disk is full" || reasons[1] != "the archive cannot be written: no room" {
		t.Errorf("%q", reasons)
	}
}

// Whoever asks behind a reload is told how the engine stands, not how it stood.
func TestAReloadEndsWhenTheEngineHasSaidHowItStands(t *testing.T) {
	var now atomic.Pointer[pipeline.Status]
	now.Store(&pipeline.Status{At: time.Now(), Tick: 1})
	r := newRig(t, func(r *rig) {
		r.cfg.Status = now.Load
		r.cfg.Reload = func(context.Context) (string, error) {
			time.AfterFunc(100*time.Millisecond, func() { now.Store(&pipeline.Status{At: time.Now(), Tick: 2}) })
			return "done", nil
		}
	}).run()
	if code, answer, _ := r.ask(overSocket, "POST", "/api/v1/reload", byAlice); code != http.StatusOK {
		t.Fatal(code, answer)
	}
	if tick := now.Load().Tick; tick != 2 {
		t.Error("it ended before")
	}
}
