package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/api"
	"weir/pipeline"
)

// reloads answers on the socket of the rig's state with what reload says.
func (r *operatorRig) reloads(reload func(context.Context) (string, error)) {
	r.t.Helper()
	ledger := r.open()
	srv, err := api.New(api.Config{
		Socket: filepath.Join(r.dir, socketFile), Ledger: ledger, Status: func() *pipeline.Status { return nil }, Version: "1.2.3", Started: time.Now(), Reload: reload,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, ledger.Close()); err != nil {
			r.t.Error(err)
		}
	})
	client := api.NewClient(filepath.Join(r.dir, socketFile))
	for try := 0; ; try++ {
		if _, err = client.Status(ctx); err == nil {
			return
		}
		if try == 1000 {
			r.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAReloadPrintsWhatChangedOrWhyTheOldRulesStay(t *testing.T) {
	r := newOperatorRig(t)
	if _, err := r.weir("reload"); err == nil || exitCode(err) != 1 || !strings.Contains(err.Error(), "reload: weir is not running") || !strings.Contains(err.Error(), "start it with weir run") {
		t.Errorf("with no weir: %v", err)
	}
	said, refused := "", error(nil)
	r.reloads(func(context.Context) (string, error) { return said, refused })
	said = "26 rules decide from 2026-03-06T04:49:10Z on; 25 as before\nchanged: own.tries\x1b[2J\n"
	out, err := r.weir("reload")
	if want := "26 rules decide from 2026-03-06T04:49:10Z on; 25 as before\nchanged: own.tries\\u001b[2J\n"; err != nil || out != want {
		t.Errorf("%v: %q, must be %q", err, out, want)
	}
	refused = errors.New("rules/own/tries.yaml:11:7: when: unknown name fials\n | fials >= 20\n | ^")
	out, err = r.weir("reload")
	if err == nil || exitCode(err) != 1 || out != "" || err.Error() != "reload: "+refused.Error() {
		t.Errorf("%v: %q", err, out)
	}
	if _, err := r.weir("reload", "now"); exitCode(err) != 2 {
		t.Errorf("with an argument: %v", err)
	}
}
