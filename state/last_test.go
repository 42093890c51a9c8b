package state

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// What the last checkpoint was committed with is read of a store that nobody has
// open, and nothing is changed by it.
func TestTheLastFlipIsReadWithoutOpeningTheStore(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := Last(t.Context(), dir); ok || err != nil {
		t.Errorf("without a store: %v, %v", ok, err)
	}
	s := mustOpen(t, testConfig(dir))
	for tick := int64(7); tick < 9; tick++ {
		if err := s.Begin(nil).Commit(t.Context(), Flip{Tick: tick, Meta: []byte{byte(tick)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := digest(t, dir)
	last, ok, err := Last(t.Context(), dir)
	if err != nil || !ok || last.Tick != 8 || len(last.Meta) != 1 || last.Meta[0] != 8 {
		t.Errorf("%+v, %v, %v", last, ok, err)
	}
	if after := digest(t, dir); !maps.Equal(before, after) {
		t.Errorf("looking changed it: %v, was %v", after, before)
	}
	manifest := filepath.Join(dir, storeDir, "MANIFEST")
	whole, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []struct {
		what string
		do   func() error
	}{
		{"its list of files", func() error { return os.WriteFile(manifest, []byte("none"), 0o600) }},
		{"the store", func() error { return os.RemoveAll(filepath.Join(dir, storeDir)) }},
		{"the sidecar", func() error { return os.WriteFile(filepath.Join(dir, sidecarFile), whole, 0o600) }},
	} {
		if err := damage.do(); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := Last(t.Context(), dir); ok || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s is damaged: %v, %v", damage.what, ok, err)
		}
	}
}
