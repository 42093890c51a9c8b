package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Where other rules come and the store is lost at once, they begin no earlier
// than those before them did, even if nothing was decided since.
func TestErasDoNotGoBackwardsWithoutTheStore(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(4, "a.log")
	change := func(tries int) int64 {
		t.Helper()
		s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, tries))
		_, said, stop := s.start()
		stop()
		eras := s.eras()
		if len(eras) < 2 {
			t.Fatalf("%+v\n%s", eras, said)
		}
		return eras[len(eras)-1].from
	}
	was := change(90)
	// Ticks had come further than the last decision when other rules began.
	l, err := s.opened()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.beginEra("another", was+600); err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{storeDir, storeFile} {
		if err := os.RemoveAll(filepath.Join(s.dir, "state", name)); err != nil {
			t.Fatal(err)
		}
	}
	if now := change(80); now < was+600 {
		t.Errorf("the last rules begin at %d, those before them at %d", now, was+600)
	}
}
