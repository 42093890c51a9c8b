package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

func (r *rig) why(target string) Why {
	r.t.Helper()
	code, text, _ := r.ask(overTCP, "GET", "/api/v1/why?target="+url.QueryEscape(target), "")
	if code != http.StatusOK {
		r.t.Fatalf("why %s: status %d, %s", target, code, text)
	}
	return decode[Why](r.t, text)
}

func TestWhyFindsWhatCovers(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.cfg.ASN = func(a netip.Addr) uint32 {
			if a == netip.MustParseAddr("198.51.100.7") {
				return 64500
			}
			return 0
		}
	}).run()
	account := strings.Repeat("ab", 16)
	challenged := decided("r.account", event.Target{{Field: "endpoint", Text: "POST /login"}, {Field: "credential", Text: account}})
	challenged.Would = event.Challenge // an account is not blocked
	r.add(
		decided("r.ip", ip("192.0.2.7")),
		decided("r.net", event.Target{{Field: "net", Text: "192.0.2.0/24"}}),
		decided("r.asn", event.Target{{Field: "asn", Text: "64500"}, {Field: "endpoint", Text: "POST /login"}}),
		challenged,
		decided("r.ip6", ip("2001:db8::/64")),
	)
	for target, want := range map[string]string{
		"192.0.2.7":                              "r.ip r.net",
		"192.0.2.8":                              "r.net",
		"192.0.2.0/28":                           "r.ip r.net",
		"198.51.100.7":                           "r.asn",
		"198.51.100.8":                           "",
		"2001:db8::dead:beef":                    "r.ip6",
		"asn=64500":                              "r.asn",
		`asn=64500,endpoint="GET /"`:             "",
		"credential=" + account:                  "r.account",
		"credential=" + strings.Repeat("cd", 16): "",
		`credential=` + account + `,endpoint=other`: "",
	} {
		w := r.why(target)
		var found []string
		for _, l := range w.Lines {
			found = append(found, l.Decision.Rule)
			if _, ok := w.Where[l.Decision.ID]; !ok {
				t.Errorf("%s: %s is in force, and it is not said where (%+v)", target, l.Decision.Rule, l)
			}
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s: found %q, must be %q", target, got, want)
		}
	}
	w := r.why("198.51.100.7")
	if lacks := w.Lacks[w.Lines[0].Decision.ID]; len(lacks) != 1 || lacks[0] != "endpoint" {
		t.Errorf("lacks %v", lacks)
	}
}

func TestWhySaysWhereItIsEnforced(t *testing.T) {
	r := newRig(t, nil).run()
	d := decided("r.ip", ip("192.0.2.7"))
	other := decided("r.fingerprint", event.Target{{Field: "fingerprint", Text: "ab"}})
	limited := decided("r.limit", ip("192.0.2.7"))
	limited.Would, limited.To = event.Limit, "10/1m"
	limited.ID = strings.Repeat("1", 32)
	deceived := decided("r.deceived", ip("192.0.2.9"))
	deceived.Would = event.Deceive
	r.add(d, other, limited, deceived)
	at := func(target, id string) Where {
		where := r.why(target).Where[id]
		if len(where) != 1 || where[0].Point != "proxy" {
			t.Fatalf("%s: %+v", target, where)
		}
		return where[0]
	}
	if w := at("192.0.2.7", d.ID); w.State != Pending || !strings.Contains(w.Text, "not been read") {
		t.Errorf("before the first list: %+v", w)
	}
	if err := r.cfg.Points[0].Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := at("192.0.2.7", d.ID); w.State != Holds {
		t.Errorf("when it is read back: %+v", w)
	}
	if w := at("fingerprint=ab", other.ID); w.State != Cannot || !strings.Contains(w.Text, "fingerprint") {
		t.Errorf("what it cannot express: %+v", w)
	}
	if w := at("192.0.2.9", deceived.ID); w.State != Holds || !strings.HasPrefix(w.Text, "as a block, since it cannot deceive; ") {
		t.Errorf("what it blocks instead: %+v", w)
	}
	if n := r.cfg.Points[0].Status().Instead; n != 1 {
		t.Errorf("%d blocked instead, must be 1", n)
	}
	if w := at("192.0.2.7", d.ID); strings.Contains(w.Text, "deceive") {
		t.Errorf("a block: %+v", w)
	}
	if w := at("192.0.2.7", limited.ID); w.State != Cannot || !strings.Contains(w.Text, "actions: [block]") {
		t.Errorf("what it is not given: %+v", w)
	}
	r.point.fail = errors.New("no route\x1b[2J")
	if err := r.cfg.Points[0].Once(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if w := at("192.0.2.7", d.ID); w.State != Failing || !strings.Contains(w.Text, "no route") {
		t.Errorf("when it fails: %+v", w)
	}
}

func TestTheClientChangesWhatIsInForce(t *testing.T) {
	r := newRig(t, nil).run()
	ctx := context.Background()
	c := NewClient(r.socket)
	done, err := c.Block(ctx, Order{Target: "192.0.2.7", For: "1h", By: "alice", Reason: "probes"})
	if err != nil {
		t.Fatal(err)
	}
	left := time.Until(done.Until)
	if done.ID == "" || left < 59*time.Minute || left > time.Hour+time.Second || len(done.Where) != 1 {
		t.Errorf("%+v", done)
	}
	w, err := c.Why(ctx, "192.0.2.7")
	if err != nil || len(w.Lines) != 1 || w.Lines[0].By != "alice" || w.Lines[0].Reason != "probes" || w.Lines[0].Decision.Rule != "operator" {
		t.Fatalf("%+v, %v", w, err)
	}
	if done, err = c.Unblock(ctx, Order{Target: "192.0.2.7", By: "bob", Reason: "an office"}); err != nil || done.Withdrawn != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if left := time.Until(done.Until); left < 59*time.Minute {
		t.Errorf("held for %v", left)
	}
	d := decided("ato.stuffing_source", ip("192.0.2.7"))
	r.add(d)
	if n := len(r.ledger.InForce().Entries); n != 0 {
		t.Errorf("%d in force on what was unblocked", n)
	}
	_, err = c.Approve(ctx, Order{What: d.ID, By: "carol"})
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != http.StatusConflict || !strings.Contains(refusal.Text, "bob") {
		t.Errorf("an approval of what bob unblocked: %v", err)
	}
	if _, err := c.Block(ctx, Order{Target: "192.0.2.8", For: "1h", By: "carol", Reason: "probes"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stop(ctx, Order{By: "dora", Reason: "it hurts"}); err != nil {
		t.Fatal(err)
	}
	if f := r.ledger.InForce(); !f.Stopped || len(f.Entries) != 0 {
		t.Errorf("stopped: %+v", f)
	}
	_, err = c.Block(ctx, Order{Target: "192.0.2.9", For: "1h", By: "alice", Reason: "x"})
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != http.StatusConflict || !strings.Contains(refusal.Text, "dora") {
		t.Errorf("a block while all is stopped: %v", err)
	}
	if _, err := c.Resume(ctx, Order{By: "dora"}); err != nil {
		t.Fatal(err)
	}
	if f := r.ledger.InForce(); f.Stopped || len(f.Entries) != 1 {
		t.Errorf("resumed: %+v", f)
	}
	for _, who := range []string{"alice", "bob", "carol", "dora"} {
		if !strings.Contains(r.log.String(), who) {
			t.Errorf("the log does not say what %s did", who)
		}
	}
	q, err := c.Decisions(ctx, DecisionsQuery{All: true, Limit: 1000})
	if err != nil || len(q.Lines) < 7 {
		t.Errorf("%d lines, %v", len(q.Lines), err)
	}
}

func TestTheClientSaysWhyNobodyAnswers(t *testing.T) {
	r := newRig(t, nil)
	c := NewClient(r.socket)
	if _, err := c.Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	l, err := listenSocket(r.socket, &r.srv.refused)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listener.Close(); err != nil { // as a killed run leaves it
		t.Fatal(err)
	}
	if _, err := c.Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a socket that nobody listens on: %v", err)
	}
	if err := os.Remove(r.socket); err != nil {
		t.Fatal(err)
	}
}

func TestHostileTextLeavesTheServerHarmless(t *testing.T) {
	r := newRig(t, nil).run()
	for i, text := range []string{
		"\x1b]0;title\x07", "\u202egnp.exe", "\x00\x01\x7f\u0085", "\xff\xfe\xc3", "</script><script>", "a\nHTTP/1.1 200 OK\r\nX: y", "\u2028\ufeff\u200b", strings.Repeat("\x1b", 500),
	} {
		d := decided("r.agent", event.Target{{Field: "ip", Text: fmt.Sprintf("192.0.2.%d", i)}, {Field: "agent", Text: text}})
		r.add(d)
		if _, err := r.ledger.Block(ip(fmt.Sprintf("198.51.100.%d", i)), event.Block, "", time.Hour, "alice"+text, text); err != nil {
			t.Fatal(err)
		}
		r.status.Summary.Broken = append(r.status.Summary.Broken, errors.New(text))
	}
	r.point.fail = errors.New("\x1b[2J\u202e")
	if err := r.cfg.Points[0].Once(t.Context()); err == nil {
		t.Fatal("no error")
	}
	for _, path := range []string{"/api/v1/status", "/api/v1/decisions?all=true&limit=1000", "/api/v1/why?target=192.0.2.0/24", "/api/v1/why?target=198.51.100.0/24", "/api/v1/why?target=%1b%5b2J%e2%80%ae%ff", "/readyz"} {
		_, text, _ := r.ask(overTCP, "GET", path, "")
		if !json.Valid([]byte(text)) || len(text) < 20 {
			t.Errorf("%s: %s", path, text)
		}
		for _, c := range strings.TrimSuffix(text, "\n") {
			if c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x2028 || c == 0x200b || c == 0xfeff || c == '<' {
				t.Errorf("%s: %U", path, c)
			}
		}
	}
}

func TestOnlyTheFileIsSaidToHoldWhatNobodyAskedTheProgramAbout(t *testing.T) {
	now := time.Date(2026, 3, 6, 4, 49, 12, 0, time.UTC)
	in := &emit.InForce{Since: now.Add(-time.Minute)}
	for file, want := range map[bool]string{true: "the file holds it, as read back 2s ago", false: "it holds it, as read back 2s ago"} {
		state, text := standing(&emit.PointStatus{Desired: 1, Held: 1, Seen: now.Add(-2 * time.Second), File: file}, in, now)
		if state != Holds || text != want {
			t.Errorf("file %v: %s, %q, must be %q", file, state, text, want)
		}
	}
}
