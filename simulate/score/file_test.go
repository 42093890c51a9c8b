package score

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/ingest"
)

// A file is read in chunks, and what is too long may lie across several.
func TestLinesOfAFileThatAreTooLongKeepTheirLabels(t *testing.T) {
	r := newRig(t, attack, honest)
	var file bytes.Buffer
	want := int64(0)
	for i := range 400 {
		if i%7 == 3 || i%7 == 4 {
			r.raw(honest, strings.Repeat("x", 64<<10+1+i*977))
			continue
		}
		r.every(attack, 1, request{ip: "192.0.2.1"})
		want++
	}
	r.raw(honest, strings.Repeat("x", 300<<10))
	for i := range r.lines {
		file.Write(append(r.lines[i].Line, '\n'))
	}
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := ingest.OpenFiles("file", []string{path})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	r.log.Source = src
	out := r.must()
	eq(t, "lines", out.Lines, 401)
	eq(t, "attack", part(t, out, attack).Requests, want)
	eq(t, "broken", out.Broken, 401-want)
	eq(t, "honest", out.Honest.Requests, 0)
}
