package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/api"
	"weir/emit"
	"weir/enrich"
	"weir/event"
)

func TestABlockByHandComesAndGoes(t *testing.T) {
	r := newOperatorRig(t)
	r.run(false)
	out := r.says("block", "192.0.2.7", "--for", "1h", "--reason", "probes the login")
	must(t, out, "192.0.2.7 is blocked until", "for 1h", "proxy it holds it, as read back", "to undo: weir unblock 192.0.2.7 -c "+r.config+" --reason")
	if got := r.held(); !slices.Equal(got, []string{"192.0.2.7"}) {
		t.Errorf("the point holds %v", got)
	}
	out = r.says("why", "192.0.2.7")
	must(t, out, "1 decision is in force against 192.0.2.7", "Blocked until", "by hand by", "probes the login", "at proxy: it holds it", "weir unblock 192.0.2.7 -c")
	out = r.says("why", "192.0.2.0/28")
	must(t, out, "1 decision is in force against 192.0.2.0/28")
	out = r.says("unblock", "192.0.2.7", "--reason", "an office, they called")
	must(t, out, "192.0.2.7: withdrew 1 decision; new ones on it are held until", "proxy holds nothing, as it is to")
	if got := r.held(); len(got) != 0 {
		t.Errorf("the point still holds %v", got)
	}
	must(t, r.says("why", "192.0.2.7"), "Nothing is in force against 192.0.2.7 now", "Was blocked, and is not any more", "an office, they called", "New decisions on ip=192.0.2.7 are held until")
	must(t, r.says("status"), "unblocked 1 target, new decisions on which are held")
	must(t, r.says("unblock", "192.0.2.200", "--reason", "x"), "192.0.2.200: nothing was in force")
	must(t, r.says("why", "192.0.2.200"), "Nothing was decided about 192.0.2.200", "New decisions on ip=192.0.2.200 are held until", ": x")
	must(t, r.says("block", "192.0.2.201", "--for", "2d", "--reason", "x"), "192.0.2.201 is blocked until", "for 2d")
	must(t, r.says("decisions"), "new blocked until", "operator ip=192.0.2.7 (probes the login)", "withdrawn operator ip=192.0.2.7", "unblocked ip=192.0.2.7 until")
}

func TestStopBlockingWorksHoweverWeirIs(t *testing.T) {
	t.Run("it runs", func(t *testing.T) {
		r := newOperatorRig(t)
		r.run(false)
		r.says("block", "192.0.2.7", "--for", "1h", "--reason", "x")
		out := r.says("stop-blocking", "--reason", "customers cannot log in")
		must(t, out, "Stopped: every list is emptied", "proxy holds nothing, as it is to")
		if got := r.held(); len(got) != 0 {
			t.Errorf("the point holds %v", got)
		}
		must(t, r.says("status"), "STOPPED since", "customers cannot log in", "targets nothing")
		must(t, r.says("why", "192.0.2.7"), "All blocking is stopped")
		out, err := r.weir("block", "192.0.2.8", "--for", "1h", "--reason", "x")
		if err == nil || !strings.Contains(err.Error(), "stopped") {
			t.Errorf("a block while all is stopped: %v, %s", err, out)
		}
		must(t, r.says("stop-blocking", "--resume"), "Resumed", "proxy holds 1 entry, as it is to")
		if got := r.held(); !slices.Equal(got, []string{"192.0.2.7"}) {
			t.Errorf("the point holds %v", got)
		}
		if _, err := os.Stat(filepath.Join(r.dir, emit.StopFile)); !os.IsNotExist(err) {
			t.Errorf("the file is still there: %v", err)
		}
	})
	t.Run("it runs and does not answer", func(t *testing.T) {
		r := newOperatorRig(t)
		r.run(true)
		if err := r.ledger.Add([]event.Decision{stuffing(7, time.Now().Truncate(time.Second), time.Hour)}); err != nil {
			t.Fatal(err)
		}
		r.until("the point holds it", func() bool { return len(r.held()) == 1 })
		must(t, r.says("stop-blocking", "--reason", "it burns"), "did not do it when it was asked", "It obeys the file")
		r.until("the list is empty", func() bool { return len(r.held()) == 0 })
		must(t, r.says("stop-blocking", "--resume"), "is gone, and it resumes within seconds")
		r.until("the point holds it again", func() bool { return len(r.held()) == 1 })
	})
	t.Run("it does not run", func(t *testing.T) {
		r := newOperatorRig(t)
		stop := r.run(false)
		r.says("block", "192.0.2.7", "--for", "1h", "--reason", "x")
		stop()
		if got := r.held(); len(got) != 1 {
			t.Fatalf("the point holds %v", got)
		}
		must(t, r.says("stop-blocking", "--reason", "it burns"), "weir is not running; this command emptied the points itself", "proxy holds nothing")
		if got := r.held(); len(got) != 0 {
			t.Errorf("the point holds %v", got)
		}
		must(t, r.says("status"), "weir is not running", "STOPPED since")
		stop = r.run(false)
		if f := r.ledger.InForce(); !f.Stopped {
			t.Error("the next run blocks")
		}
		stop()
		must(t, r.says("stop-blocking", "--resume"), "Resumed. weir is not running", "proxy holds 1 entry")
		if got := r.held(); !slices.Equal(got, []string{"192.0.2.7"}) {
			t.Errorf("the point holds %v", got)
		}
		if _, err := r.weir("stop-blocking", "--resume"); err == nil || !strings.Contains(err.Error(), "not stopped") {
			t.Errorf("resumed twice: %v", err)
		}
	})
}

// until waits for what another goroutine does.
func (r *operatorRig) until(what string, holds func() bool) {
	r.t.Helper()
	for try := 0; !holds(); try++ {
		if try == 1000 {
			r.t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestWithoutARunTheLedgersFilesAnswer(t *testing.T) {
	r := newOperatorRig(t)
	for _, args := range [][]string{{"status"}, {"decisions"}, {"why", "192.0.2.7"}} {
		if _, err := r.weir(args...); err == nil || !strings.Contains(err.Error(), "no such directory; a run makes it: weir run -c ") {
			t.Errorf("%v before the first run: %v", args, err)
		}
	}
	stop := r.run(false)
	now := time.Now().Truncate(time.Second)
	if err := r.ledger.Add([]event.Decision{stuffing(7, now, time.Hour), stuffing(8, now.Add(-time.Minute), 5*time.Second)}); err != nil {
		t.Fatal(err)
	}
	running := r.says("why", "192.0.2.7")
	must(t, running, "ato.stuffing_source, version", "One source tries", "tries 41", `accounts 39 = distinct("10m", credential`, "of 39 clients that tried", "0 got in", "to undo weir unblock 192.0.2.7 -c")
	must(t, r.says("status"), "weir 1.2.3 runs since", "ready", "targets")
	stop()
	must(t, r.says("status"), "weir is not running; this is what its ledger in", "targets 1 blocked", "what is in force runs out")
	if out := r.says("status"); strings.Contains(out, "since this start") {
		t.Errorf("nothing has started: %s", out)
	}
	left := r.says("why", "192.0.2.7")
	must(t, left, "weir is not running", "to undo weir is not running and takes no order: weir run -c", "Blocked until", `= distinct("10m", credential`)
	must(t, r.says("why", "198.51.100.1"), "Nothing in the ledger covers 198.51.100.1.", "something else refuses them")
	must(t, r.says("decisions"), "weir is not running", "new blocked until", "ato.stuffing_source ip=192.0.2.7")
	out, err := r.weir("decisions", "--json", "-n", "1")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(r.dir, ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.TrimSuffix(strings.TrimSpace(out), "}"); line == "" || !strings.Contains(string(file), line+`,"chain":`) {
		t.Errorf("not a line of the ledger: %s", out)
	}
	var s api.Status
	if out, err = r.weir("status", "--json"); err != nil || json.Unmarshal([]byte(out), &s) != nil || s.Engine != nil || s.Force.InForce["block"] != 1 {
		t.Errorf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"block", "192.0.2.9", "--for", "1h", "--reason", "x"}, {"unblock", "192.0.2.7", "--reason", "x"}, {"approve", "ato.stuffing_source"}} {
		if _, err := r.weir(args...); !errors.Is(err, api.ErrNotRunning) || exitCode(err) != 1 {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestAnAccountsNameStaysHere(t *testing.T) {
	r := newOperatorRig(t)
	r.run(false)
	now := time.Now().Truncate(time.Second)
	d := stuffing(7, now, time.Hour)
	d.Target = event.Target{{Field: "credential", Text: enrich.Credential(r.key, "Alice@shop.example")}}
	d.Would = event.Challenge
	if err := r.ledger.Add([]event.Decision{d}); err != nil {
		t.Fatal(err)
	}
	out := r.says("why", "--account", " alice@SHOP.example ")
	must(t, out, "1 decision is in force against the account with the pseudonym "+d.Target[0].Text, "Challenged until")
	if strings.Contains(strings.ToLower(out), "alice") {
		t.Errorf("the name is printed: %s", out)
	}
	must(t, r.says("unblock", "--account", "alice@shop.example", "--reason", "reset her password"), "withdrew 1 decision")
	files, err := filepath.Glob(filepath.Join(r.dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || strings.Contains(strings.ToLower(string(b)), "alice") {
			t.Errorf("%s holds the name: %v", f, err)
		}
	}
}

func TestWhatOperatorsMistypeIsUsage(t *testing.T) {
	r := newOperatorRig(t)
	r.run(false)
	tried := 0
	for _, c := range []struct {
		args string
		says string
	}{
		{"block", "no target given"},
		{"block 192.0.2.7 --for 1h", "--reason"},
		{"block 192.0.2.7 --reason x", "--for"},
		{"block 192.0.2.7 --for soon --reason x", "--for"},
		{"block 192.0.2.7 192.0.2.8 --for 1h --reason x", "2 targets"},
		{"block shop.example --for 1h --reason x", "must be an address"},
		{"block 192.0.2.7 --for 1h --reason x --action sink", "action"},
		{"block 192.0.2.7 --for 1h --reason x --action limit", "to:"},
		{"unblock 192.0.2.7", "--reason"},
		{"unblock 192.0.2.7 --account alice --reason x", "one of them"},
		{"unblock 192.0.2.7 --reason x --for -1h", "--for"},
		{"approve", "one argument, not 0"},
		{"stop-blocking", "--reason"},
		{"stop-blocking now --reason x", "now"},
		{"stop-blocking --resume --reason x", "--reason"},
		{"approve ato.none --reason x", "--reason"},
		{"block 192.0.2.7 --for 1.5d --reason x", "--for"},
		{"why", "no target given"},
		{"why adress=192.0.2.7", "there is no field"},
		{"decisions -n 0", "-n 0"},
		{"decisions -n 1001", "-n 1001"},
		{"decisions --since yesterday", "--since"},
		{"decisions --rule [", "rule"},
		{"points show nothing", "there is no nothing"},
		{"status now", "now"},
	} {
		tried++
		out, err := r.weir(strings.Fields(c.args)...)
		if err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (exit %d)\n%s", c.args, err, exitCode(err), out)
		}
	}
	if tried < 20 {
		t.Errorf("%d tried", tried)
	}
	if _, err := weir("points", "sohw"); err == nil || exitCode(err) != 2 {
		t.Errorf("points sohw: %v", err)
	}
	for _, c := range []struct{ args, says string }{
		{"block 10.0.0.1 --for 1h --reason x", "private"},
		{"block 0.0.0.0/0 --for 1h --reason x", "width"},
		{"approve ato.none", "neither a rule"},
		{"stop-blocking --resume", "not stopped"},
	} {
		out, err := r.weir(strings.Fields(c.args)...)
		what := strings.Fields(c.args)[0] + ": "
		if err == nil || exitCode(err) != 1 || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), what+what) {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
	}
}

func TestPointsAreShownTriedAndReaped(t *testing.T) {
	r := newOperatorRig(t)
	must(t, r.says("points", "reap"), "has not run with this configuration yet")
	must(t, r.says("points", "test"), "ok point proxy can be read and changed; it gets: block")
	stop := r.run(false)
	r.says("block", "192.0.2.7", "--for", "1h", "--reason", "x")
	r.says("block", "192.0.2.8", "--for", "1s", "--reason", "x")
	must(t, r.says("points", "show"), "proxy", "to block", "holds", "192.0.2.7")
	must(t, r.says("points", "reap"), "weir is running and sees to its points itself")
	stop()
	b, err := os.ReadFile(r.list)
	if err != nil {
		t.Fatal(err)
	}
	must(t, r.says("points", "show", "proxy"), "nobody keeps this point", "192.0.2.7")
	var shown []pointShown
	out, err := r.weir("points", "show", "--json")
	if err != nil || json.Unmarshal([]byte(out), &shown) != nil || len(shown) != 1 || shown[0].Entries[0].Prefix != "192.0.2.7" || shown[0].Status != nil {
		t.Errorf("%v: %s", err, out)
	}
	time.Sleep(time.Until(r.ends()))
	must(t, r.says("points", "reap"), "in force 1 decision", "proxy holds 1 entry")
	if got := r.held(); !slices.Equal(got, []string{"192.0.2.7"}) {
		t.Errorf("the point holds %v, it held\n%s", got, b)
	}
	if err := os.WriteFile(r.list, []byte("somebody's own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = r.weir("points", "test")
	if !errors.Is(err, errFindings) || exitCode(err) != 1 || !strings.Contains(out, "FAULT") {
		t.Errorf("a file that is not weir's: %v\n%s", err, out)
	}
	out, err = r.weir("points", "show")
	if err == nil || exitCode(err) != 1 || !strings.Contains(out, "ERROR") {
		t.Errorf("a file that is not weir's: %v\n%s", err, out)
	}
	out, err = r.weir("points", "reap")
	if err == nil || !strings.Contains(out, "ERROR") {
		t.Errorf("a file that is not weir's: %v\n%s", err, out)
	}
}

// ends returns when the short block of the test above is over.
func (r *operatorRig) ends() time.Time { return time.Now().Add(1100 * time.Millisecond) }

func TestSetupIsPrintedAsItIs(t *testing.T) {
	r := newOperatorRig(t)
	must(t, r.says("points", "show", "--setup"), "blocked.txt holds the addresses to block", "weir points reap")
	b, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, "  - {name: web, nginx: {conf: lists.conf}}\n"...)
	if err := os.WriteFile(r.config, []byte(strings.Replace(string(b), "points: [{name: proxy, file: {path: blocked.txt}}]", "points:\n  - {name: proxy, file: {path: blocked.txt}}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := r.weir("points", "show", "web", "--setup")
	if err != nil || !strings.Contains(out, "include ") || strings.Count(out, "\n") < 3 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestWhatRootMakesIsTheStatesOwners(t *testing.T) {
	r := newOperatorRig(t)
	stop := r.run(false)
	stop()
	const nobody = 65534
	chowned := os.Chown(r.dir, nobody, nobody)
	if (chowned == nil) != (os.Geteuid() == 0) {
		t.Fatal(chowned)
	}
	if err := os.Remove(filepath.Join(r.dir, lockFile)); err != nil { // it is made anew
		t.Fatal(err)
	}
	r.says("stop-blocking", "--reason", "it burns")
	want, err := ownerOf(r.dir)
	if err != nil || chowned == nil && want.uid != nobody {
		t.Fatal(want, err)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if got, err := ownerOf(filepath.Join(r.dir, f.Name())); err != nil || got != want {
			t.Errorf("%s is %v's, must be %v's: %v", f.Name(), got, want, err)
		}
	}
}

func TestTheLinesForAProxyNeedThePointOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	text := "sources: [{name: nginx, format: combined}]\nsite: nowhere.yaml\nkey_file: nowhere\nenrich: {asn: nowhere.mmdb}\nrules: {dirs: [nowhere/]}\n" +
		"points: [{name: proxy, nginx: {conf: weir.conf}}, {name: waf, file: {path: blocked.txt}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := weir("points", "show", "proxy", "--setup", "-c", path)
	if err != nil || !strings.Contains(out, "include "+filepath.Join(dir, "weir.conf")+";") || strings.Contains(out, "blocked.txt") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = weir("points", "show", "--setup", "-c", path); err != nil || !strings.Contains(out, "blocked.txt holds the addresses to block") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err = weir("points", "show", "nothing", "--setup", "-c", path); err == nil || exitCode(err) != 2 {
		t.Errorf("%v", err)
	}
}

func TestWhoseLogNamesAccountsIsToldOfAccounts(t *testing.T) {
	d := stuffing(7, time.Now(), time.Hour)
	must(t, goodText(&d, true), "of 39 accounts")
	must(t, goodText(&d, false), "of 39 clients")
	for text, want := range map[string]bool{
		"format: combined": false, "format: json, fields: {ip: a, credential: user}": true, `pattern: '<ip> <credential> [<time>] "<request>"'`: true,
	} {
		path := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(path, []byte("sources: [{name: nginx, "+text+"}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(path)
		if err != nil || c.namesAccounts() != want {
			t.Errorf("%s: %v, must be %v", text, err, want)
		}
	}
}
