package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnArchiveIsLookedAtAsItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd[1]*")
	if _, err := Look(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context()))
	must(t, a.Add(t.Context(), Part{"edge", 0}, 1, simple(10, start+hour, 10), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{{"edge", 0}: 20}))
	f, err := Look(dir)
	must(t, err)
	if st := a.Stats(); st.Open < 100 {
		t.Errorf("%d bytes of open hours", st.Open)
	}
	if !f.Held || f.Files != 1 || f.Bytes < 100 || f.Spools != 1 || len(f.Faults) > 0 {
		t.Errorf("while it is written: %+v", f)
	}
	must(t, a.Close())
	files, err := filepath.Glob(escaped(dir) + "/edge/*.parquet")
	must(t, err)
	must(t, os.Truncate(files[0], 30))
	must(t, os.WriteFile(filepath.Join(dir, marksFile), []byte("x"), 0o600))
	if f, err = Look(dir); err != nil || f.Held || len(f.Faults) != 2 || !strings.Contains(f.Faults[0], filepath.Base(files[0])) || !strings.Contains(f.Faults[1], marksFile) {
		t.Errorf("damaged: %+v, %v", f, err)
	}
}
