package main

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/emit"
	"weir/state"
)

// overList leaves the point's file as a run leaves it that was killed, with
// everything in it over.
func overList(t *testing.T, r *operatorRig) {
	stop := r.run(false)
	r.says("block", "192.0.2.8", "--for", "4s", "--reason", "x")
	over := time.Now().Add(4 * time.Second)
	b, err := os.ReadFile(r.list)
	if err != nil || !strings.Contains(string(b), "192.0.2.8") {
		t.Fatal(err, string(b))
	}
	stop()
	if err := os.WriteFile(r.list, b, 0o644); err != nil { // as a kill would have left it
		t.Fatal(err)
	}
	time.Sleep(time.Until(over) + 100*time.Millisecond)
}

func TestReapingWorksWithoutALedger(t *testing.T) {
	r := newOperatorRig(t)
	overList(t, r)
	if err := os.Rename(filepath.Join(r.dir, ledgerFile), filepath.Join(r.dir, "away")); err != nil {
		t.Fatal(err)
	}
	out, err := r.weir("points", "reap")
	if err != nil || !strings.Contains(out, "1 list") {
		t.Errorf("%v: %s", err, out)
	}
	if got := r.held(); len(got) != 0 {
		t.Errorf("ended, no ledger, reaped, and the file still blocks %v", got)
	}
}

func TestReapingWorksWithABrokenLedger(t *testing.T) {
	r := newOperatorRig(t)
	overList(t, r)
	breakLedger(t, r)
	out, err := r.weir("points", "reap")
	if err == nil {
		t.Error("no error", out)
	}
	if got := r.held(); len(got) != 0 {
		t.Errorf("ended, ledger broken, reaped, and the file still blocks %v", got)
	}
}

func breakLedger(t *testing.T, r *operatorRig) {
	path := filepath.Join(r.dir, ledgerFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[20] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStopBlockingWorksWithABrokenLedger(t *testing.T) {
	r := newOperatorRig(t)
	stop := r.run(false)
	r.says("block", "192.0.2.8", "--for", "10h", "--reason", "x")
	stop()
	breakLedger(t, r)
	out, err := r.weir("stop-blocking", "--reason", "it burns")
	if err == nil {
		t.Error("no error", out)
	}
	if got := r.held(); len(got) != 0 {
		t.Errorf("stop-blocking, no weir runs, and the file still blocks %v", got)
	}
}

// The key file was lost, or another one was made: nothing that the state holds can
// be read by it.
func TestStopBlockingWorksWithAnotherKeyFile(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"another": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("another key ", 8)), 0o600) },
		"missing": os.Remove,
		"broken":  func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newOperatorRig(t)
			stop := r.run(false)
			r.says("block", "192.0.2.8", "--for", "10h", "--reason", "x")
			stop()
			// The rig has no engine, which would have made the store.
			store, err := state.Open(t.Context(), state.Config{Dir: r.dir, Units: stateUnits, KeyID: storeKeyID(r.key), Reserve: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(filepath.Dir(r.config), "key")
			before, err := os.ReadFile(key)
			if err != nil {
				t.Fatal(err)
			}
			ledger := readFile(t, filepath.Join(r.dir, ledgerFile))
			if err := change(key); err != nil {
				t.Fatal(err)
			}
			out, err := r.weir("stop-blocking", "--reason", "it burns")
			if err == nil || !strings.Contains(err.Error(), "key") {
				t.Errorf("error %v, must say that the key is not the state's: %s", err, out)
			}
			if got := r.held(); len(got) != 0 {
				t.Errorf("stop-blocking, no weir runs, and the file still blocks %v", got)
			}
			if now := readFile(t, filepath.Join(r.dir, ledgerFile)); now != ledger {
				t.Errorf("the ledger was written with another key:\n%s", strings.TrimPrefix(now, ledger))
			}
			if missing(filepath.Join(r.dir, emit.StopFile)) {
				t.Error("a run that is started would enforce again: there is no " + emit.StopFile)
			}
			if err := os.WriteFile(key, before, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := r.weir("stop-blocking", "--resume"); err != nil {
				t.Errorf("with the key of before: %v: %s", err, out)
			}
		})
	}
}

func TestStopBlockingWorksWithABrokenRule(t *testing.T) {
	r := newOperatorRig(t)
	stop := r.run(false)
	r.says("block", "192.0.2.8", "--for", "10h", "--reason", "x")
	stop()
	base := filepath.Dir(r.config)
	if err := os.MkdirAll(filepath.Join(base, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "rules", "bad.yaml"), []byte("id: bad\nwhen: ][\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.config, append(b, "rules: {dirs: [builtin, rules]}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := r.weir("stop-blocking", "--reason", "it burns")
	if err == nil {
		t.Error("no error", out)
	}
	if got := r.held(); len(got) != 0 {
		t.Errorf("stop-blocking, no weir runs, and the file still blocks %v", got)
	}
}

func TestThePointsOwnAddressesAreProtected(t *testing.T) {
	r := newOperatorRig(t)
	b, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(b), "points: [{name: proxy, file: {path: blocked.txt}}]",
		"points:\n  - {name: edge, haproxy: {map: weir.map, socket: \"198.51.100.9:9999\"}}\n  - {name: web, nginx: {conf: weir.conf, probe: \"http://198.51.100.10/generation\"}}", 1)
	if err := os.WriteFile(r.config, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &environment{out: os.Stderr, log: slog.New(slog.DiscardHandler)}
	g, err := e.engine(r.config, false, false)
	if err != nil {
		t.Fatal(err)
	}
	guards, err := g.newGuards(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"198.51.100.9/32", "198.51.100.10/32"} {
		if why, meets := guards.MeetsProtected(netip.MustParsePrefix(p)); !meets {
			t.Errorf("the address of a point, %s, is not protected %s", p, why)
		}
	}
}

// A replay into the directory of a state that a weir holds must be refused.
func TestAReplayDoesNotWriteIntoARunsState(t *testing.T) {
	r := newOperatorRig(t)
	stop := r.run(false)
	defer stop()
	r.says("block", "192.0.2.8", "--for", "10h", "--reason", "x")
	before, err := os.Stat(filepath.Join(r.dir, ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(filepath.Dir(r.config), "access.log")
	line := `198.51.100.7 - - [` + time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700") + `] "GET / HTTP/1.1" 200 12 "-" "curl/8"` + "\n"
	if err := os.WriteFile(log, []byte(line+line), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := weir("replay", "--out", r.dir, log)
	if err == nil {
		t.Error("no error", out)
	}
	after, serr := os.Stat(filepath.Join(r.dir, ledgerFile))
	if serr != nil || !os.SameFile(before, after) {
		t.Errorf("the ledger of a weir that runs was replaced by a replay's: %v", serr)
	}
}

// A directory of the operator's own that happens to have this name.
func TestAReplayRemovesNothingOfSomebodyElses(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "partial", "precious")
	if err := os.MkdirAll(filepath.Dir(precious), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "access.log")
	line := `198.51.100.7 - - [10/Mar/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8"` + "\n"
	if err := os.WriteFile(log, []byte(line+line), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := weir("replay", "--out", dir, log)
	if _, serr := os.Stat(precious); serr != nil {
		t.Errorf("replay --out removed what was not its own: %v (replay: %v)", serr, err)
	}
}

func TestStopBlockingFollowsNoLink(t *testing.T) {
	r := newOperatorRig(t)
	stop := r.run(false)
	stop()
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(r.dir, emit.StopFile)); err != nil {
		t.Fatal(err)
	}
	if out, err := r.weir("stop-blocking", "--reason", "x"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("%v: %s", err, out)
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "x" {
		t.Errorf("what the link led to is %q now (%v)", b, err)
	}
}
