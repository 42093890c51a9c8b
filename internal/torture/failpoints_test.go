package torture

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// point is where weir kills itself, at one of the first so many times that it comes
// by.
type point struct {
	name string
	most int
}

// failpoints are those that any run comes by.
var failpoints = []point{
	{"state.records.written", 3}, {"pipeline.emit.before", 30}, {"state.flip.before", 3}, {"pipeline.commit.before", 3},
	{"state.open.before", 1}, {"state.records.synced", 3}, {"pipeline.emit.after", 30}, {"state.flip.after", 3},
	{"archive.synced", 3}, {"state.flip.synced", 3}, {"pipeline.cut.after", 3}, {"state.sidecar.written", 3},
	{"pipeline.commit.after", 3},
}

// topicFailpoints are those of a run over a topic besides.
var topicFailpoints = []point{{"ingest.commit.before", 1}, {"ingest.commit.after", 1}}

// seldom are passed once in an hour of the log, or when a store has much that
// nobody reads: too seldom for a campaign. The archive's and the store's own tests
// crash there.
var seldom = []string{"archive.finish", "archive.written", "archive.renamed", "archive.finished", "archive.marked", "state.drop.before", "state.drop.after"}

// hit is a failpoint in the program's text.
var hit = regexp.MustCompile(`\b[hH]it\("([a-z]+\.[a-z.]+)"\)`)

func TestEveryFailpointOfTheProgramIsTried(t *testing.T) {
	tried, there := slices.Clone(seldom), []string(nil)
	for _, p := range slices.Concat(failpoints, topicFailpoints) {
		tried = append(tried, p.name)
	}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		for _, m := range hit.FindAllSubmatch(text, -1) {
			there = append(there, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tried)
	slices.Sort(there)
	if there = slices.Compact(there); !slices.Equal(tried, there) {
		t.Errorf("the program has %v, the campaign tries %v", there, tried)
	}
}
