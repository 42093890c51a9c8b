package emit

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
)

func TestWhatIsUnblockedIsTold(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	l, err := OpenLedger(LedgerConfig{Path: filepath.Join(dir, LedgerName), Key: event.FixedKey(), Guards: &Guards{}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for address, d := range map[string]time.Duration{"192.0.2.7": time.Hour, "192.0.2.8": time.Second} {
		if _, err := l.Unblock(targetOf("ip", address), d, "ann", "x"); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Spared(); len(got) != 2 {
		t.Errorf("%v, must be both", got)
	}
	now = now.Add(2 * time.Second)
	alone := func(l *Ledger) {
		t.Helper()
		got := l.Spared()
		if len(got) != 1 || got[0].Target[0].Text != "192.0.2.7" || got[0].By != "ann" {
			t.Errorf("%v, must be the one that goes on", got)
		}
	}
	alone(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(now)) // the files are read by the wall clock
	left, err := ReadLedger(dir, event.FixedKey())
	if err != nil {
		t.Fatal(err)
	}
	alone(left)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAPointThatSeesAFileOnlySaysSo(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "weir.conf")
	for want, cfg := range map[string]PointConfig{
		"nginx runs":   {Name: "a", Nginx: &NginxConfig{Conf: conf}},
		"haproxy runs": {Name: "b", HAProxy: &HAProxyConfig{Map: filepath.Join(dir, "weir.map"), Reload: []string{"true"}}},
		"":             {Name: "c", Nginx: &NginxConfig{Conf: conf, Probe: "http://127.0.0.1/weir-generation"}},
	} {
		points, err := OpenPoints([]PointConfig{cfg}, nil, func(p string) string { return p }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		caps := points[0].Capabilities()
		if got := caps.Unasked; (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, must name %q", cfg.Name, got, want)
		}
		r := newReconciler(nil, nil, points[0], nil, slog.New(slog.DiscardHandler))
		if r.Status().File != (want != "") {
			t.Errorf("%s: file %v", cfg.Name, r.Status().File)
		}
		if err := points[0].Close(); err != nil {
			t.Error(err)
		}
	}
}
