package state

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var sameFormat = flag.Bool("same-format", false, "with -update: what the golden files show is still of this format")

// kept are the golden files of all that stands in a store, from the root of the
// module: its own records, and what others have it keep.
var kept = []string{
	"state/testdata/records.golden", "state/testdata/chunk.packed",
	"windows/testdata/value.golden", "windows/testdata/head.golden", "windows/testdata/snapshot.golden", "windows/testdata/layout.golden",
	"rules/testdata/state.golden", "pipeline/testdata/meta.golden",
}

// A store of other bytes must be of another format, or it is misread, or taken for
// a damaged one: a golden file that is written anew does not change that.
func TestOtherBytesAreAnotherFormat(t *testing.T) {
	formats := filepath.Join("testdata", "format.golden")
	was, err := os.ReadFile(formats)
	if err != nil {
		t.Fatal(err)
	}
	now := fmt.Sprintf("format %d\n", Format)
	var other []string
	for _, name := range kept {
		b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%x %s\n", sha256.Sum256(b), name)
		if now += line; !strings.Contains(string(was), line) {
			other = append(other, name)
		}
	}
	if now == string(was) {
		return
	}
	head, _, _ := strings.Cut(now, "\n")
	if len(other) > 0 && strings.HasPrefix(string(was), head+"\n") && !*sameFormat {
		t.Fatalf("%s changed, and the format is %d as before: raise Format in state/layout.go and run this test with -update. "+
			"With -update -same-format only where older stores are read as before: the bytes say their own version, which was raised, or the file shows more than it did",
			strings.Join(other, ", "), Format)
	}
	if !*update {
		t.Fatalf("%s is not of format %d and its files: run this test with -update", formats, Format)
	}
	if err := os.WriteFile(formats, []byte(now), 0o644); err != nil {
		t.Fatal(err)
	}
}
